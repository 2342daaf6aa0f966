"""Our own shape, from the body's bytes to the record on the topic."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ingest.decide import Decision
from services.contracts.events import Event, SaidBy
from services.contracts.identity import Who
from services.errors import BadRequest

ADDED = {"id": "e1", "name": "Product Added", "user_id": "u1", "properties": {"product_id": "p"}}


def test_one_event_and_a_list_of_one_come_out_the_same(events: Callable[..., list[Event]]) -> None:
    assert events(ADDED, "native") == events([ADDED], "native")


def test_storefront_and_who_said_it_come_from_the_call_never_from_the_body(
    event: Callable[..., Event], codes: Callable[..., list[tuple[int, str]]]
) -> None:
    assert event(ADDED, "native", said_by=SaidBy.BROWSER).said_by is SaidBy.BROWSER
    assert event(ADDED, "native").storefront == "shop"
    assert codes([{**ADDED, "storefront": "other"}], "native") == [(0, "unknown_field")]
    assert codes([{**ADDED, "said_by": "server"}], "native") == [(0, "unknown_field")]


def test_an_unknown_key_is_named(take: Callable[..., Decision]) -> None:
    (rejected,) = take({**ADDED, "userid": "u1"}, "native").rejected
    assert "`userid`" in rejected.refusal.message
    assert "user_id" in rejected.refusal.message


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"id": None}, "missing_id"),
        ({"id": ""}, "missing_id"),
        ({"id": "x" * 201}, "bad_id"),
        ({"id": "a\nb"}, "bad_id"),
        ({"id": "a\x00b"}, "bad_text"),
        ({"name": None}, "missing_name"),
        ({"name": " "}, "missing_name"),
        ({"name": "n" * 201}, "bad_name"),
        ({"user_id": "u" * 501}, "bad_id"),
        ({"user_id": ["u1"]}, "invalid"),
        ({"properties": []}, "invalid"),
        ({"occurred_at": "yesterday"}, "bad_time"),
        ({"occurred_at": "2026-11-22T09:00:00"}, "bad_time"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "bad_time"),
        ({"occurred_at": 1795326178}, "invalid"),
        ({"properties": {"n": 2**64}}, "invalid"),
        ({"properties": {"a\x00b": 1}}, "bad_text"),
    ],
)
def test_a_fault_in_one_event_is_named_and_the_others_are_taken(
    take: Callable[..., Decision], codes: Callable[..., list[tuple[int, str]]], fault: dict[str, object], code: str
) -> None:
    body = [ADDED, {**ADDED, **fault}, ADDED]
    assert codes(body, "native") == [(1, code)]
    assert len(take(body, "native").events) == 2


@pytest.mark.parametrize("raw", [b"1" * 6000, b"1e400", b'"\xff"', b'"\\ud83d"', b'"\\u0000"'])
def test_a_value_that_no_reader_could_hold_costs_only_its_own_event(
    take: Callable[..., Decision], codes: Callable[..., list[tuple[int, str]]], raw: bytes
) -> None:
    bad = b'{"id":"e2","name":"n","properties":{"v":' + raw + b"}}"
    body = b'[{"id":"e1","name":"n"},' + bad + b"]"
    assert [index for index, _ in codes(body, "native")] == [1]
    assert len(take(body, "native").events) == 1


def test_a_whole_pair_of_surrogates_and_an_escaped_backslash_are_kept(event: Callable[..., Event]) -> None:
    found = event(
        b'{"id":"e1","name":"n","properties":{"a":"\\ud83d\\ude00","b":"\\\\ud83d","c":"\\\\u0000"}}', "native"
    )
    assert found.properties == {"a": "\U0001f600", "b": "\\ud83d", "c": "\\u0000"}


@pytest.mark.parametrize(
    ("body", "position"),
    [(b'[{"id": 1,, }]', "byte 10"), (b"[NaN]", "byte 1"), (b"[", "byte 1"), (b"[" * 100_000, "nested too deeply")],
)
def test_a_list_that_is_no_json_is_refused_with_the_position(
    take: Callable[..., Decision], body: bytes, position: str
) -> None:
    with pytest.raises(BadRequest, match=position) as refused:
        take(body, "native")
    assert refused.value.code == "malformed"


def test_a_single_event_that_is_no_json_says_where(take: Callable[..., Decision]) -> None:
    (rejected,) = take(b'{"id": "e1", "name" }', "native").rejected
    assert rejected.refusal.code == "malformed"
    assert "byte 20" in rejected.refusal.message


def test_an_event_without_a_time_occurred_when_it_was_received(event: Callable[..., Event], received: datetime) -> None:
    assert event(ADDED, "native").occurred_at == received


def test_nothing_occurs_after_it_was_received(event: Callable[..., Event], received: datetime) -> None:
    assert event({**ADDED, "occurred_at": "2031-01-01T00:00:00Z"}, "native").occurred_at == received


def test_times_become_utc_with_microseconds(event: Callable[..., Event]) -> None:
    found = event({**ADDED, "occurred_at": "2026-11-22T10:29:59.123456+01:00"}, "native")
    assert found.occurred_at == datetime(2026, 11, 22, 9, 29, 59, 123456, tzinfo=UTC)


def test_numeric_ids_become_text(event: Callable[..., Event]) -> None:
    found = event({"id": 7, "name": "Order Completed", "user_id": 42, "properties": {"order_id": 1001}}, "native")
    assert (found.id, found.who.user_id, found.properties["order_id"]) == ("7", "42", "1001")


def test_an_event_may_name_nobody(event: Callable[..., Event]) -> None:
    assert event({"id": "e1", "name": "Product Viewed"}, "native").who == Who()


def test_an_unknown_name_is_kept_as_it_is(event: Callable[..., Event]) -> None:
    assert event({**ADDED, "name": "  Käse_Tasted "}, "native").name == "  Käse_Tasted "


def test_an_empty_list_is_taken(take: Callable[..., Decision]) -> None:
    assert take([], "native").answer == {"received": 0, "accepted": 0, "rejected": []}
