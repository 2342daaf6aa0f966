"""The rows of a file, one after another, with where each stands; and how far into the file they are."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from ingest.history.mapping import FileFormat
from services.errors import ConfigurationError

MAX_LINE: Final = 16 * 1_048_576
"""Bytes of one line of NDJSON: what holds a visitor's whole history, and no file without line ends."""
_GZIP: Final = b"\x1f\x8b"


class FileFault(ConfigurationError):
    """The file can't be read on from here."""


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts all rows of the file from 1, `label` names the row for ever (`17`, or `3.5` in a line's list).

    `values` is None for what is no row; `fault` says why.
    """

    number: int
    label: str
    line: int
    values: dict[str, Any] | None
    fault: str = ""


def name_of(path: Path) -> str:
    """What ids are made of: neither moving a file nor compressing it makes other events of its rows."""
    return path.name.removesuffix(".gz")


class HistoryFile:
    """Opened once, read once from its beginning."""

    def __init__(self, path: Path, form: FileFormat) -> None:
        """Raises FileFault for what is not there."""
        self.path = path
        self._form = form
        try:
            self._raw: IO[bytes] = path.open("rb")
            self.size = path.stat().st_size
            packed = self._raw.read(2) == _GZIP
            self._raw.seek(0)
        except OSError as error:
            raise FileFault(f"{path}: {error.strerror}") from None
        self._bytes: Any = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        self._line = 0
        self._cells: Iterator[list[str]] = iter(())
        self.columns: Sequence[str] | None = None
        if form.kind == "csv":
            self._text = io.TextIOWrapper(self._bytes, encoding=form.encoding, newline="")
            self._cells = self._open_cells()
            try:
                with self._reading():
                    self.columns = form.columns or self._header()
            except FileFault:
                self.close()
                raise

    def close(self) -> None:
        self._raw.close()

    @property
    def place(self) -> int:
        """Bytes of the file, as it lies there, that have been read."""
        return self._raw.tell()

    def rows(self) -> Iterator[Row]:
        """Raises FileFault where the file ends in the middle or can't be made out."""
        with self._reading():
            yield from self._csv_rows() if self._form.kind == "csv" else self._json_rows()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What may go wrong with bytes, said with the place."""
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            fix = "fetch the whole file"
            raise FileFault(f"{self._next} the gzip ends in the middle, or is broken ({error}); {fix}") from None
        except UnicodeDecodeError as error:
            fix = "say in the mapping's csv.encoding which it is, as in latin-1"
            raise FileFault(f"{self._next} (or soon after) the text is not {error.encoding}; {fix}") from None
        except csv.Error as error:
            fix = "look for a quote that is not closed"
            raise FileFault(f"{self._next} the row can't be taken apart: {error}; {fix}") from None
        except OSError as error:
            raise FileFault(f"{self._next} {error.strerror or error}") from None

    @property
    def _next(self) -> str:
        return f"{self.path}:{self._line + 1}"

    def _open_cells(self) -> Iterator[list[str]]:
        if self._form.delimiter is None:
            for number, line in enumerate(self._text, 1):
                self._line = number
                yield line.split()
            return
        reader = csv.reader(self._text, delimiter=self._form.delimiter, strict=True)
        for cells in reader:
            self._line = reader.line_num
            yield cells

    def _header(self) -> list[str]:
        names = [name.strip() for name in next(self._cells, [])]
        if not names or len(set(names)) != len(names) or not all(names):
            raise FileFault(
                f"{self.path}:1 the first line must name the columns, each by a name of its own; where there is no "
                "such line, the mapping's csv.columns names them"
            )
        return names

    def _csv_rows(self) -> Iterator[Row]:
        columns = self.columns or ()
        number = 0
        for cells in self._cells:
            if not cells:
                continue  # a line with nothing on it
            number += 1
            if len(cells) == len(columns):
                yield Row(number, str(number), self._line, dict(zip(columns, cells, strict=True)))
            else:
                fault = f"the row has {len(cells)} cells where there are {len(columns)} columns"
                yield Row(number, str(number), self._line, None, fault)

    def _json_rows(self) -> Iterator[Row]:
        decode = msgspec.json.Decoder().decode
        number = record = 0
        while line := self._bytes.readline(MAX_LINE + 1):
            self._line += 1
            if len(line) > MAX_LINE:
                raise FileFault(f"{self.path}:{self._line} the line is longer than {MAX_LINE // 1_048_576} MiB")
            if line.isspace():
                continue
            record += 1
            try:
                found = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                found = error
            for label, values, fault in self._of_record(str(record), found):
                number += 1
                yield Row(number, label, self._line, values, fault)

    def _of_record(self, label: str, record: Any) -> Iterator[tuple[str, dict[str, Any] | None, str]]:  # noqa: ANN401  any JSON
        if not isinstance(record, dict):
            said = f"the line is no JSON: {record}" if isinstance(record, Exception) else "the line is no JSON object"
            yield label, None, said
            return
        name = self._form.items
        if name is None:
            yield label, record, ""
            return
        items = record.get(name)
        if not isinstance(items, list):
            yield label, None, f"the line has no list `{name}`"
            return
        beside = {key: value for key, value in record.items() if key != name}
        for number, item in enumerate(items, 1):
            if isinstance(item, dict):
                yield f"{label}.{number}", {**beside, **item}, ""
            else:
                yield f"{label}.{number}", None, f"item {number} of `{name}` is no JSON object"
