"""Rows of files: where each stands, and what is no row."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.history.mapping import FileFormat
from ingest.history.rows import FileFault, HistoryFile, name_of


def form(kind: Any = "csv", **more: Any) -> FileFormat:  # noqa: ANN401  any option
    return FileFormat(
        **{"kind": kind, "delimiter": ",", "columns": None, "encoding": "utf-8-sig", "items": None, **more}
    )


def read(path: Path, content: bytes, shape: FileFormat) -> list[tuple[str, int, Any]]:
    """Label, line, and the values or the fault of each row."""
    path.write_bytes(content)
    file = HistoryFile(path, shape)
    try:
        found = [(row.label, row.line, row.fault or row.values) for row in file.rows()]
        assert file.place == file.size == len(content)
        return found
    finally:
        file.close()


def test_the_first_line_names_the_columns(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b"\xef\xbb\xbfday,who\n1,ann\n2,bob\n", form()) == [
        ("1", 2, {"day": "1", "who": "ann"}),
        ("2", 3, {"day": "2", "who": "bob"}),
    ]


def test_a_cell_may_go_over_lines_and_empty_lines_are_none(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b'a;b\n"x\ny";1\n\nz;2\n', form(delimiter=";")) == [
        ("1", 3, {"a": "x\ny", "b": "1"}),
        ("2", 5, {"a": "z", "b": "2"}),
    ]


def test_columns_may_be_blanks_apart(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.txt", b" 1  2\n 3 4\n", form(delimiter=None, columns=["a", "b"]))
    assert rows == [("1", 1, {"a": "1", "b": "2"}), ("2", 2, {"a": "3", "b": "4"})]


def test_a_row_of_too_few_cells_is_at_fault_and_the_next_is_read(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", b"a,b\n1\n1,2\n", form())
    assert rows[0] == ("1", 2, "the row has 1 cells where there are 2 columns")
    assert rows[1] == ("2", 3, {"a": "1", "b": "2"})


def test_lines_of_json_are_rows_or_hold_lists_of_them(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n\n[1]\n{"a": \n{"a": 2}\n'
    rows = read(tmp_path / "a.ndjson", lines, form("ndjson"))
    assert [(label, line) for label, line, _ in rows] == [("1", 1), ("2", 3), ("3", 4), ("4", 5)]
    assert rows[1][2] == "the line is no JSON object"
    assert rows[2][2].startswith("the line is no JSON: ")
    nested = json.dumps({"s": 7, "items": [{"a": 1}, {"a": 2, "s": 8}, 3]}).encode() + b'\n{"s": 9}\n'
    assert read(tmp_path / "b.ndjson", nested, form("ndjson", items="items")) == [
        ("1.1", 1, {"s": 7, "a": 1}),
        ("1.2", 1, {"s": 8, "a": 2}),
        ("1.3", 1, "item 3 of `items` is no JSON object"),
        ("2", 2, "the line has no list `items`"),
    ]


@pytest.mark.parametrize(("kind", "line"), [("csv", b"%d,x\n"), ("ndjson", b'{"a": %d}\n')])
def test_a_gzip_is_known_by_its_bytes_and_one_that_was_cut_is_said_to_be(
    tmp_path: Path, kind: str, line: bytes
) -> None:
    content = b"".join(line % number for number in range(50_000))
    shape = form(kind, columns=["a", "b"] if kind == "csv" else None)
    packed = gzip.compress(content)
    assert len(read(tmp_path / "whole", packed, shape)) == 50_000
    (tmp_path / "cut").write_bytes(packed[: len(packed) // 2])
    file, rows = HistoryFile(tmp_path / "cut", shape), []
    with pytest.raises(FileFault, match=r"cut:\d+ the gzip ends in the middle, or is broken .*; fetch the whole file"):
        rows.extend(file.rows())
    file.close()
    assert [row.label for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert 0 < len(rows) < 50_000
    assert all(row.values for row in rows), "no half of a row is taken for one"
    assert name_of(Path("x/a.csv.gz")) == name_of(Path("y/a.csv")) == "a.csv"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\nx,\xe4\n", "the text is not utf-8"),
        (b'a,b\n1,"x\n', "the row can't be taken apart"),
        (b"a,a\n1,2\n", "the first line must name the columns"),
        (b"", "the first line must name the columns"),
    ],
)
def test_what_can_not_be_read_on_is_said_with_the_fix(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(FileFault, match=said):
        read(tmp_path / "a.csv", content, form())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFault, match=r"none\.csv: No such file"):
        HistoryFile(tmp_path / "none.csv", form())
