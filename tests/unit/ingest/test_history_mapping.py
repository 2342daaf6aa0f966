"""mapping.yaml: what can't be meant is said with its place and the fix, before a row is read."""

from pathlib import Path

import pytest

from ingest.history.load import MappingFile, find_mapping
from services.errors import ConfigurationError, ShopError

GOOD = """\
format: csv
types: {price: decimal, count: int}
time: {at: row.day}
who: {user_id: row.customer}
events:
  - name: Order Completed
    properties: {total: row.price * row.count}
"""
COLUMNS = ["day", "customer", "price", "count"]


def written(directory: Path, text: str) -> MappingFile:
    path = directory / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return MappingFile(path, "Europe/Berlin")


def fault(directory: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(ShopError) as raised:
        written(directory, GOOD.replace(old, new)).compiled(COLUMNS)
    return str(raised.value).removeprefix(f"{directory}/mapping.yaml:")


@pytest.mark.parametrize("name", ["cdnow", "online-retail", "otto"])
def test_what_is_shipped_can_be_meant(name: str) -> None:
    assert MappingFile(find_mapping(name), "UTC").format.kind in ("csv", "ndjson")


def test_a_mapping_that_is_not_shipped_is_named_beside_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no mapping cdnew; .* cdnow, online-retail, otto"):
        find_mapping("cdnew")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: csv", "formt: csv", "1:1 `formt` is not known here; did you mean `format`?"),
        ("format: csv", "format: xml", "1:1"),
        ("row.customer", "row.custmer", "4:7 in `row.custmer`, at character 5: `row` has no `custmer`; did you mean"),
        ("row.price * row.count", "row.day * row.count", "7:18 in `row.day * row.count`, at character 9: `*`"),
        ("row.day}", "row.day, zone: Europe/Berln}", "3:21 there is no time zone Europe/Berln; did you mean"),
        ("{price: decimal, count: int}", "{prise: decimal}", "2:9 the file has no column `prise`; did you mean"),
        ("{user_id: row.customer}", "{}", "4:1 names nobody"),
        ("  - name: Order Completed", "  - when: row.count > 0", "6:5 must say either its `name`, or by `name_from`"),
        ("properties: {total", "products: {total", "6:5 `products` and `sums` are of several rows"),
        ("format: csv", "format: csv\ncsv: {delimiter: ';;'}", "2:7 must be one character, or `whitespace`"),
        ("format: csv", "format: csv\ncsv: {encoding: latn}", "2:7 there is no encoding latn"),
        ("format: csv", "format: csv\nrows: items", "2:1 is for ndjson"),
        ("format: csv", "format: csv\nskip: [{when: row.count, because: none}]", "2:9 in `row.count`, at character 5"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert fault(tmp_path, old, new).startswith(said)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = fault(tmp_path, "row.day}\nwho: {user_id: row.customer}", "row.dya}\nwho: {user_id: row.custmer}")
    assert text.count("did you mean") == 2


def test_a_change_of_the_mapping_is_noticed(tmp_path: Path) -> None:
    before = written(tmp_path, GOOD).fingerprint
    assert written(tmp_path, GOOD).fingerprint == before
    assert written(tmp_path, GOOD + "# and more\n").fingerprint != before
