"""The words of mails, apart from their looks: a file for each language, `words.de.yaml`, that people can edit.

The shop's own stand before ours, word by word: who wants another subject writes that one line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from services.errors import ShopError
from services.shop import YamlFile

OURS: Final = Path(str(files("notifier") / "templates"))
SHARED: Final = "shared"
"""What every mail may say."""
_FILE: Final = re.compile(r"words\.([a-z]{2,3}(?:-[A-Z]{2})?)\.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A text, with Jinja in it, and where it stands."""

    text: str
    file: Path
    mark: tuple[int, int]

    @property
    def place(self) -> str:
        """`file:line:column`."""
        return f"{self.file}:{self.mark[0]}:{self.mark[1]}"


Words = Mapping[str, Mapping[tuple[str, str], Word]]
"""By language, then by template and name."""


def read_words(folder: Path) -> Words:
    """Ours under those in this folder. Raises ShopError for what is no text in a section, one line a fault."""
    found: dict[str, dict[tuple[str, str], Word]] = {}
    faults: list[str] = []
    for path in (*sorted(OURS.glob("words.*.yaml")), *sorted(folder.glob("words.*.yaml"))):
        named = _FILE.fullmatch(path.name)
        if named is None:
            faults.append(f"{path}:1:1 names no language; write it as in words.de.yaml or words.de-AT.yaml")
            continue
        try:
            found.setdefault(named[1], {}).update(_of_file(YamlFile(path)))
        except ShopError as error:
            faults.append(str(error))
    if faults:
        raise ShopError("\n".join(faults))
    return found


def _of_file(source: YamlFile) -> dict[tuple[str, str], Word]:
    if not source.data:
        return {}
    return {key: word for section in source.mapping() for key, word in _of_section(source, section)}


def _of_section(source: YamlFile, section: str) -> Iterator[tuple[tuple[str, str], Word]]:
    for name, text in source.mapping((section,)).items():
        if not isinstance(text, str):
            raise source.fault([section, name], "here should stand a text; put it in quotes")
        yield (section, name), Word(text=str(text), file=source.path, mark=source.mark([section, name]))


def word(words: Words, languages: Sequence[str], sections: Sequence[str], name: str) -> Word | None:
    """The first there is: the language decides before the section does."""
    for language in languages:
        for section in (*sections, SHARED):
            if (found := words.get(language, {}).get((section, name))) is not None:
                return found
    return None
