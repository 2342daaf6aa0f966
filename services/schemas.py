"""`stagepost schema`: JSON Schema of the shop's files, for editors that complete and check while one writes.

Each service registers the shape of the files that it reads under the entry point `stagepost.schemas`. What a schema
can't say (a stage that is not there, a condition that names nothing) `stagepost check` says.
"""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import msgspec

GROUP: Final = "stagepost.schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FOLDER: Final = ".schemas"
"""Beside the files that name them: editors find it without a network."""


def names() -> list[str]:
    return sorted(entry.name for entry in entry_points(group=GROUP))


def schema_of(name: str) -> dict[str, Any]:
    """Of `name`.yaml, or of the files in the folder `name`; raises KeyError for one that is not there."""
    shape = entry_points(group=GROUP)[name].load()
    found: dict[str, Any] = _tidied(msgspec.json.schema(shape))
    return {"$schema": DIALECT, "title": f"Stagepost: {name}", **found}


def as_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_all(directory: Path) -> list[Path]:
    """One file each; returns them."""
    directory.mkdir(parents=True, exist_ok=True)
    written = {directory / f"{name}.json": as_text(schema_of(name)) for name in names()}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return sorted(written)


def first_line(name: str, *, from_folder: str = "") -> str:
    """The comment by which editors find the schema of the file that it stands in."""
    return f"# yaml-language-server: $schema={from_folder}{FOLDER}/{name}.json\n"


def _tidied(node: Any) -> Any:  # noqa: ANN401  any JSON
    """Without what only programs would write: a key with nothing after it says nothing."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidied(value) for key, value in node.items() if (key, value) != ("default", None)}
    if "anyOf" in kept:
        options = [option for option in kept.pop("anyOf") if option != {"type": "null"}]
        kept = {**options[0], **kept} if len(options) == 1 else {"anyOf": options, **kept}
    named = isinstance(kept.get("title"), str)  # by our classes, which says nothing to who writes the file
    return {k: v for k, v in kept.items() if (k, v) != ("required", []) and not (named and k == "title")}
