"""From rows to events: what each row becomes, which are left out, which are at fault."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import BEGAN, SHOP, Came, shaped

from ingest.history.load import MappingFile
from ingest.history.mapping import HistoryMapping
from ingest.history.rows import Row
from ingest.history.shaping import Made, Shaper, Telling
from services.contracts.events import Event, SaidBy, decode_event

MAPPING = """\
format: csv
types: {price: decimal, count: int}
time: {at: row.at}
who: {user_id: row.customer, email: row.email}
traits: {first_name: row.first}
skip:
  - {when: row.customer == "test", because: a test}
events:
  - {name: Product Viewed, when: row.what == "view", properties: {product_id: row.order}}
  - name: Order Refunded
    when: row.count < 0
    properties: {order_id: row.order, total: row.price * -row.count}
  - {name_from: row.what, when: row.what == "order_completed", properties: {total: row.price * row.count}}
"""
HEADER = "at,customer,email,first,what,order,price,count\n"


def came(directory: Path, *rows: str, mapping: str = MAPPING, header: str = HEADER, **more: Any) -> Came:  # noqa: ANN401
    (directory / "m.yaml").write_text(mapping, encoding="utf-8")
    (directory / "shop.csv").write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return shaped(directory / "shop.csv", directory / "m.yaml", **more)


def test_a_row_is_an_event_as_a_server_would_tell_it(tmp_path: Path) -> None:
    (event,) = came(tmp_path, "2026-01-31 09:30:00,c1,Ann@Example.com,Ann,view,p1,,").events
    assert event == Event(
        id="shop.csv:1",
        storefront="shop",
        name="Product Viewed",
        who=event.who,
        occurred_at=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),  # the shop is in Berlin
        received_at=BEGAN,
        said_by=SaidBy.SERVER,
        properties={"product_id": "p1"},
        traits={"first_name": "Ann"},
        imported_at=BEGAN,
    )
    assert (event.who.user_id, event.who.email) == ("c1", "Ann@Example.com")


def test_a_name_comes_from_a_constant_a_condition_or_the_row(tmp_path: Path) -> None:
    found = came(
        tmp_path,
        "2026-01-01,c1,,,view,p1,,",
        "2026-01-02,c1,,,order,o1,2.55,-3",
        "2026-01-03,c1,,,order_completed,o2,0.1,3",
    ).events
    assert [(e.name, e.properties.get("total")) for e in found] == [
        ("Product Viewed", None),
        ("Order Refunded", 7.65),
        ("Order Completed", 0.3),
    ]


def test_rows_that_are_alike_are_events_of_their_own(tmp_path: Path) -> None:
    row = "2026-01-01,c1,,,view,p1,,"
    assert [event.id for event in came(tmp_path, row, row).events] == ["shop.csv:1", "shop.csv:2"]
    assert [event.id for event in came(tmp_path, row, prefix="old-").events] == ["old-shop.csv:1"]


def test_what_is_to_be_left_out_is_counted_and_need_not_be_readable(tmp_path: Path) -> None:
    found = came(tmp_path, "never,test,,,view,p1,free,", "2026-01-01,c1,,,view,p1,,")
    assert (found.left_out, len(found.events), found.faults) == (["a test"], 1, [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("soon,c1,,,view,p1,,", "`soon` is no time written as in 2026-11-22T09:30:00Z"),
        (",c1,,,view,p1,,", "`row.at`, when it happened, is not there"),
        ("2026-12-24,c1,,,view,p1,,", "it happened 2026-12-23 23:00 UTC, which is still to come"),
        ("1969-01-01,c1,,,view,p1,,", "it happened 1968-12-31, before 1970"),
        ("2026-01-01,,,,view,p1,,", "it names nobody; leave such rows out with `skip`"),
        ("2026-01-01,guest,till@shop.example,,view,p1,,", "it names nobody; leave such rows out with `skip`"),
        ("2026-01-01,c1,,,view,p1,free,", "price: `free` is no number with `.` as its decimal mark"),
        ("2026-01-01,c1,,,view,p1,,two", "count: `two` is no whole number"),
        ("2026-01-01,c1,,,waved,p1,,", "no event's `when` holds"),
        ("2026-01-01,c1,,,view,a\0b,,", "a text holds a NUL"),
        ("2026-01-01," + "c" * 501 + ",,,view,p1,,", "user_id has 501 characters; at most 500 are taken"),
    ],
)
def test_a_row_that_can_not_be_taken_is_told_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    found = came(tmp_path, "2026-01-01,c1,,,view,p1,,", row, "2026-01-01,c1,,,view,p1,,")
    ((line, why),) = found.faults
    assert (line, why[: len(said)]) == (3, said)
    assert len(found.events) == 2, "the rows beside it are taken"


def test_an_id_from_a_column_counts_once(tmp_path: Path) -> None:
    mapping = MAPPING.replace("{name: Product Viewed,", "{name: Product Viewed, id: row.order,")
    found = came(tmp_path, *["2026-01-01,c1,,,view,v1,,"] * 2, "2026-01-01,c1,,,view,,,", mapping=mapping)
    assert ([event.id for event in found.events], found.left_out) == (["v1"], ["an earlier row had its id"])
    assert found.fault == "the event's id is not there"


def test_a_comma_may_be_the_decimal_mark(tmp_path: Path) -> None:
    mapping = MAPPING.replace("format: csv", "format: csv\ncsv: {delimiter: ';', decimal_mark: ','}")
    row = "2026-01-03;c1;;;order_completed;o2;12,50;2"
    found = came(tmp_path, row, row.replace("12,50", "12.50"), mapping=mapping, header=HEADER.replace(",", ";"))
    assert found.events[0].properties == {"total": 25.0}
    assert found.fault.startswith("price: `12.50` is no number with `,`")


LINES = """\
format: csv
types: {count: int, price: decimal}
time: {at: row.day, format: "%d.%m.%Y"}
who: {user_id: row.customer}
events:
  - name: Order Completed
    id: row.order
    together: row.order
    apart: 2
    properties: {order_id: row.order, lines: 1}
    products: {sku: row.sku, quantity: row.count, gift: row.gift == "y"}
    sums: {total: row.price * row.count}
"""
LINE_HEADER = "day,customer,order,sku,count,price,gift\n"


def lines(directory: Path, *rows: str) -> Came:
    return came(directory, *rows, mapping=LINES, header=LINE_HEADER)


def line(order: str, sku: str = "s", count: str = "1", price: str = "0.1") -> str:
    return f"1.2.2026,c1,{order},{sku},{count},{price},n"


def test_rows_that_belong_together_are_one_event(tmp_path: Path) -> None:
    found = lines(tmp_path, line("o1", "a"), line("o1", "b", "2"), line("o2", "a", "3", "1000000.01"))
    assert found.faults == []
    first, second = found.events
    assert first.occurred_at == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert first.properties == {
        "order_id": "o1",
        "lines": 1,
        "products": [{"sku": "a", "quantity": 1, "gift": False}, {"sku": "b", "quantity": 2, "gift": False}],
        "total": 0.3,
    }
    assert second.properties["total"] == 3000000.03


def test_they_may_lie_apart_and_events_come_in_the_order_of_their_first_rows(tmp_path: Path) -> None:
    found = lines(tmp_path, line("o1"), line("o2"), line("o2"), line("o1"), line("o3"))
    assert [(e.id, len(e.properties["products"])) for e in found.events] == [("o1", 2), ("o2", 2), ("o3", 1)]
    assert found.faults == []


def test_a_row_that_comes_when_its_event_was_ended_is_at_fault_and_not_dropped(tmp_path: Path) -> None:
    found = lines(tmp_path, line("o1"), line("o2"), line("o3"), line("o4"), line("o1"))
    assert found.fault == (
        "it belongs to o1, of which no row came for more than 2 rows; sort the file by it, or raise `apart`"
    )


def test_a_sum_needs_a_number_in_every_row(tmp_path: Path) -> None:
    assert lines(tmp_path, line("o1"), line("o1", price="")).fault == (
        "`row.price * row.count`, for the sum `total`, comes to no number"
    )


def told(rows: list[Row], first: int, mapping: HistoryMapping) -> tuple[list[tuple[int, Event]], list[int]]:
    """The events from row `first` on, each with the row it was given at; and where to resume after each row."""
    shaper = Shaper(mapping, Telling(storefront="shop", declared=SHOP, file="shop.csv", id_prefix="", began=BEGAN))
    given, resume = [], []
    for row in rows[first - 1 :]:
        given += [(row.number, one) for one in shaper.take(row)]
        resume.append(shaper.resume_at)
    given += [(len(rows), one) for one in shaper.end()]
    made = [(at, decode_event(one.record.value or b"")) for at, one in given if isinstance(one, Made)]
    assert len(made) == len(given), given
    return made, resume


@pytest.fixture(scope="module")
def of_lines(tmp_path_factory: pytest.TempPathFactory) -> HistoryMapping:
    path = tmp_path_factory.mktemp("lines") / "m.yaml"
    path.write_text(LINES, encoding="utf-8")
    return MappingFile(path, "UTC").compiled(LINE_HEADER.strip().split(","))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=16))
def test_what_was_sent_up_to_a_resume_point_and_what_comes_from_it_on_is_all(
    of_lines: HistoryMapping, letters: list[str]
) -> None:
    """Wherever it ends: nothing is missing, and what comes twice is the same."""
    names: list[str] = []
    last: dict[str, int] = {}
    runs: dict[str, int] = {}
    for number, letter in enumerate(letters):  # after more than `apart` rows the same letter is another order
        runs[letter] = runs.get(letter, 0) + (number - last.get(letter, number) > 2)
        last[letter] = number
        names.append(f"{letter}{runs[letter]}")
    columns = LINE_HEADER.strip().split(",")
    rows = [
        Row(n, str(n), n, dict(zip(columns, line(name, sku=f"s{n}").split(","), strict=True)))
        for n, name in enumerate(names, 1)
    ]
    whole, resume = told(rows, 1, of_lines)
    assert [event.id for _, event in whole] == list(dict.fromkeys(names))
    expected = {event.id: event for _, event in whole}
    for reached, at in enumerate(resume, 1):
        before = {event.id: event for given_at, event in whole if given_at <= reached}
        after = {event.id: event for _, event in told(rows, at, of_lines)[0]}
        assert before | after == expected


def test_money_is_summed_without_losing_a_cent(tmp_path: Path) -> None:
    (event,) = lines(tmp_path, *[line("o1", price="0.10")] * 37).events
    assert Decimal(str(event.properties["total"])) == Decimal("3.7")
