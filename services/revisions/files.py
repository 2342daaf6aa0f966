"""A shop's directory as a value: what of it belongs to a revision, how large it may be, and laid out again.

Only what services read is taken, so that what else lies in the directory (a `.git`, a password in a note) stays there.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from services.errors import ShopError

Files = Mapping[str, bytes]
"""By path within the directory, with `/`."""

SINGLE: Final = ("storefronts.yaml", "lifecycle.yaml", "followups.yaml")
FOLDERS: Final = ("templates", "scenarios")
FROZEN: Final = ".presets"
"""In a revision, beside what the shop wrote: the preset that it extends, as it was when the revision was made."""
LARGEST: Final = 1_048_576
"""Bytes of one file: ten times the largest mail that providers show whole."""
LARGEST_ALL: Final = 16 * 1_048_576
"""Bytes of all: every process reads them when a revision comes into force."""
MOST: Final = 1_000
"""Files; also what ends a walk through links that lead in a circle."""


def packed(directory: Path) -> dict[str, bytes]:
    """Raises ShopError for what is missing, unreadable or too large."""
    found: dict[str, bytes] = {}
    size = 0
    for path in _paths(directory):
        name = path.relative_to(directory).as_posix()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ShopError(f"{path}:1:1 {error.strerror}; a revision holds the whole directory") from None
        size += len(content)
        if len(content) > LARGEST:
            raise ShopError(f"{path}:1:1 has over {LARGEST} bytes; pictures belong on a web server")
        if size > LARGEST_ALL or len(found) >= MOST:
            raise ShopError(f"{directory}:1:1 has over {MOST} files or {LARGEST_ALL} bytes; a revision takes no more")
        found[name] = content
    return found


def _paths(directory: Path) -> Iterator[Path]:
    for name in SINGLE:
        if (directory / name).is_file():
            yield directory / name
    for folder in FOLDERS:
        for at, folders, names in os.walk(directory / folder, followlinks=True):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(at) / name for name in sorted(names) if not name.startswith("."))


def unpack(files: Files, directory: Path) -> None:
    """Writes them. Raises ShopError for a path that leads out of the directory: no revision of ours has one."""
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ShopError(f"{name}:1:1 leads out of the shop's directory")
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def digest(files: Files) -> str:
    """The same for the same files, and for no others. What was frozen beside them counts as well."""
    total = sha256()
    for name in sorted(files):
        total.update(f"{len(name.encode())} {name} {len(files[name])} ".encode())
        total.update(files[name])
    return total.hexdigest()


def own(files: Files) -> dict[str, bytes]:
    """Those that the shop wrote."""
    return {name: content for name, content in files.items() if not name.startswith(f"{FROZEN}/")}


def as_json(files: Files) -> dict[str, Any]:
    """Text as text, so that a look with psql tells something; what is none (or holds a NUL) as base64."""
    return {name: _written(content) for name, content in files.items()}


def of_json(stored: Mapping[str, Any]) -> dict[str, bytes]:
    return {
        name: said.encode() if isinstance(said, str) else b64decode(said["base64"]) for name, said in stored.items()
    }


def _written(content: bytes) -> str | dict[str, str]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": b64encode(content).decode()} if "\0" in text else text
