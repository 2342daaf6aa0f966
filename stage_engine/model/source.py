"""The file that a model is read from, with what it extends, and the faults that were found in it."""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from services.conditions import Condition, ConditionError, Names, compile_condition
from services.contracts.events import Name
from services.durations import parse_duration, spoken
from services.revisions.files import FROZEN
from services.shapes import Slip, Steps
from services.shop import YamlFile
from stage_engine.model.limits import LONGEST_EVENT, LONGEST_SPAN, MOST_NAMES
from stage_engine.model.overlay import lay_under
from stage_engine.model.schema import ModelWritten

PRESETS = Path(__file__).parent / "presets"
PARTS = tuple(f"parts/{found.stem}" for found in (PRESETS / "parts").glob("*.yaml"))
"""What presets share. A shop that writes its own lifecycle may extend it as they do."""
Where = Sequence[str | int]


def presets() -> list[str]:
    return sorted(found.stem for found in PRESETS.glob("*.yaml"))


def preset_file(directory: Path, name: str) -> Path | None:
    """Where a preset or a part of presets stands, for the shop in a directory; None if there is none of the name.

    Where the directory is a revision's, as it was when that was made: another version of ours may have another.
    """
    if not re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)?", name):
        return None
    frozen = directory / FROZEN / f"{name}.yaml"
    if frozen.exists():
        return frozen
    return PRESETS / f"{name}.yaml" if name in (*presets(), *PARTS) else None


def extended(file: YamlFile) -> dict[str, Path]:
    """All that a lifecycle extends, by name: a preset, and the parts that it extends itself."""
    found: dict[str, Path] = {}
    directory, extending = file.path.parent, file
    while (name := str(extending.mapping().get("extends"))) not in found and (path := preset_file(directory, name)):
        found[name] = path
        extending = YamlFile(path)
    return found


class Source:
    """Faults are collected, to be told all at once. `unmade` are facts that were too faulty to be made."""

    def __init__(self, file: YamlFile) -> None:
        self.file = file
        self.faults: list[Slip] = []
        self.unmade: frozenset[str] = frozenset()
        self._torn: frozenset[Steps] = frozenset()
        self._preset = ""

    def written(self) -> ModelWritten:
        """What fits, with the preset under it. Raises ShopError for a file that is no mapping."""
        own = self.file.mapping()
        if "extends" in own:
            name = str(own["extends"])
            if preset_file(self.file.path.parent, name) is None:
                self.fault(["extends"], f"there is no preset `{name}`; {meant(name, presets())}")
                self._torn = frozenset({("tracks",)})  # what would be laid under it is not known
                return ModelWritten()
            base: dict[str, Any] = {}
            for path in reversed(extended(self.file).values()):  # what presets share lies lowest
                over = YamlFile(path).mapping()
                lay_under(over, base)
                base = over
            self._preset = name
            for where, known in lay_under(own, base):
                said = f"there is no `{where[-1]}` in `{name}` to take away; {meant(where[-1], known)}"
                self.faults.append(Slip(where, said))
                _drop(own, where)
        fitted = self.file.fitting([], ModelWritten)
        self.faults += fitted.slips
        self._torn = fitted.torn
        return fitted.value or ModelWritten()

    def fault(self, where: Where, message: str, character: int | None = None) -> None:
        """Nothing is said of a whole from which a faulty part was left out: that may be why.

        `character` counts in the text that stands there. Of what only the preset says its name is told.
        """
        if self._preset and not self.file.holds(where):
            named = ".".join(str(step) for step in where if step not in ("tracks", "stages", "enter"))
            message = f"of the preset's `{named}`: {message}"
        if not any(torn[: len(where)] == tuple(where) for torn in self._torn):
            self.faults.append(Slip(tuple(where), message, character))

    def condition(self, where: Where, text: str | None, scope: Names) -> Condition | None:
        if text is None:
            return None
        try:
            return compile_condition(text, scope)
        except ConditionError as error:
            self.fault(where, f"in `{text}`: {error}", error.column)
            return None

    def events(self, where: Where, listed: Sequence[str]) -> None:
        """The names of events that rules or facts go by."""
        if not listed or not all(listed):
            self.fault(where, "name at least one event here")
        if len(listed) > MOST_NAMES:
            self.fault(where, f"a list names at most {MOST_NAMES} events, this {len(listed)}")
        for name in listed:
            if len(name) > LONGEST_EVENT:
                self.fault(where, f"an event's name has at most {LONGEST_EVENT} characters, this has {len(name)}")
        if Name.STAGE_SET in listed:
            self.fault(where, "`Stage Set` is an operator's word, which no rule and no fact hears; leave it out")

    def duration(
        self, where: Where, text: str | None, *, least: timedelta = timedelta(), most: timedelta = LONGEST_SPAN
    ) -> timedelta | None:
        if text is None:
            return None
        try:
            found = parse_duration(text)
        except ValueError as error:
            self.fault(where, str(error))
            return None
        if not least <= found <= most:
            self.fault(
                where, f"`{text}` is too {'short' if found < least else 'long'}; {spoken(least)} to {spoken(most)}"
            )
            return None
        return found


def _drop(own: dict[str, Any], where: Where) -> None:
    held: Any = own
    for step in where[:-1]:
        held = held[step]
    del held[where[-1]]


def meant(name: str, known: Iterable[str]) -> str:
    """The hint after a name that is not known."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"
