"""Where an import stands: a small file for each file that is imported, written after the broker's acknowledgement."""

from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from services.errors import ConfigurationError

_HEAD: Final = 65_536
"""Bytes of a file's beginning by which it is known again; it may have grown since."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """`next_row` is the row to begin again from; `done` once the file had no more. `head` hashes `head_bytes` of it."""

    file: str
    storefront: str
    mapping: str
    id_prefix: str
    head_bytes: int
    head: str
    next_row: int
    done: bool


class ResumePoint:
    """Of one file, told for one storefront."""

    def __init__(self, folder: Path, file: Path, *, name: str, storefront: str, mapping: str, id_prefix: str) -> None:
        self._path = folder / f"{storefront}--{name}.json"
        self._file = file
        self._of = Point(
            file=name,
            storefront=storefront,
            mapping=mapping,
            id_prefix=id_prefix,
            head_bytes=0,
            head="",
            next_row=1,
            done=False,
        )
        self._point: Point | None = None

    @property
    def path(self) -> Path:
        return self._path

    def read(self) -> Point | None:
        """None when nothing of it was imported. Raises ConfigurationError when what was is not what is to be."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Point)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            raise ConfigurationError(f"{self._path} can't be read ({error}); {_ANEW}") from None
        if self._head(found.head_bytes) != found.head:
            raise ConfigurationError(f"{self._file} is not the file that {self._path} speaks of; {_ANEW}")
        if (found.mapping, found.id_prefix) != (self._of.mapping, self._of.id_prefix):
            raise ConfigurationError(
                f"the mapping or the id prefix is another than for the first {found.next_row - 1} rows of "
                f"{self._file}; go on with the same, or {_ANEW}"
            )
        return found

    def write(self, *, next_row: int, done: bool) -> None:
        """Raises ConfigurationError where nothing can be written."""
        if self._point is None:
            size = min(_HEAD, self._file.stat().st_size)
            self._point = msgspec.structs.replace(self._of, head_bytes=size, head=self._head(size))
        point = msgspec.structs.replace(self._point, next_row=next_row, done=done)
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(point))
            beside.replace(self._path)
        except OSError as error:
            fix = "say by --state in which folder the resume points may lie"
            raise ConfigurationError(f"{self._path} can't be written: {error.strerror}; {fix}") from None

    def _head(self, size: int) -> str:
        with self._file.open("rb") as file:
            return sha256(file.read(size)).hexdigest()


_ANEW: Final = "import it from its beginning with --from-start (what is there already is not taken in twice)"
