"""Segment's calls: who, what, when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decide import Decision
from ingest.dialects.canonical import EARLIEST
from ingest.dialects.segment import corrected
from services.contracts.events import Event
from services.contracts.identity import Who
from services.errors import BadRequest

TRACK = {"type": "track", "event": "Product Added", "userId": "u1", "messageId": "m1"}
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LEAST = datetime(1970, 1, 1)  # noqa: DTZ001  hypothesis wants bounds without a zone


def second(number: float) -> str:
    return (AT + timedelta(seconds=number)).isoformat()


def occurred(event: Callable[..., Event], received: datetime, **times: str | None) -> float:
    return (event({**TRACK, **times}, "track").occurred_at - received).total_seconds()


def test_a_right_clock_is_believed_to_the_microsecond(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, timestamp=second(-5.25), sentAt=second(-1)) == -5.25
    assert occurred(event, received, timestamp=second(-65), sentAt=second(-60)) == -65


def test_a_wrong_clock_was_wrong_by_the_same_when_it_sent(event: Callable[..., Event], received: datetime) -> None:
    day = 86_400
    assert occurred(event, received, timestamp=second(day - 30), sentAt=second(day)) == -30
    assert occurred(event, received, timestamp=second(-day - 30), sentAt=second(-day)) == -30


def test_without_a_time_of_sending_the_time_is_believed(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, timestamp=second(-86_400)) == -86_400


def test_without_any_time_it_occurred_when_received(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, sentAt=second(-100)) == 0


def test_nothing_occurs_after_it_was_received(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, timestamp=second(30), sentAt=second(20)) == 0
    assert occurred(event, received, timestamp=second(3600)) == 0


def test_the_original_time_comes_before_the_timestamp(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, originalTimestamp=second(-9), timestamp=second(-3)) == -9
    assert occurred(event, received, originalTimestamp=None, timestamp=second(-3)) == -3


def test_the_event_s_time_of_sending_comes_before_the_batch_s_and_that_before_the_header_s(
    events: Callable[..., list[Event]], received: datetime
) -> None:
    wrong, right = second(1000), second(0)
    item = {**TRACK, "timestamp": second(-10)}
    own = {"batch": [{**item, "sentAt": right}], "sentAt": wrong}
    assert events(own, "batch", sent_at=wrong)[0].occurred_at == received - timedelta(seconds=10)
    batch = {"batch": [item], "sentAt": wrong}
    assert events(batch, "batch", sent_at=right)[0].occurred_at == received - timedelta(seconds=1010)
    header = {"batch": [item]}
    assert events(header, "batch", sent_at=wrong)[0].occurred_at == received - timedelta(seconds=1010)


def test_a_time_of_sending_that_can_t_be_read_corrects_nothing(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, timestamp=second(-10), sentAt="now") == -10


def test_a_time_without_an_offset_is_utc(event: Callable[..., Event], received: datetime) -> None:
    assert occurred(event, received, timestamp="2026-11-22T09:29:00") == -60


@given(
    st.datetimes(timezones=st.just(UTC), min_value=LEAST),
    st.none() | st.datetimes(timezones=st.just(UTC), min_value=LEAST),
)
def test_whatever_clocks_say_the_time_is_one_that_can_have_been(original: datetime, sent: datetime | None) -> None:
    assert EARLIEST <= corrected(original, sent, AT) <= AT


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"userId": None}, "missing_id"),
        ({"userId": ""}, "missing_id"),
        ({"userId": False}, "missing_id"),
        ({"event": None}, "missing_name"),
        ({"event": "e" * 201}, "bad_name"),
        ({"type": "delete"}, "unknown_type"),
        ({"type": None}, "unknown_type"),
        ({"type": "alias"}, "missing_id"),
        ({"type": "alias", "userId": None, "anonymousId": "a", "previousId": "o"}, "missing_id"),
        ({"messageId": "m" * 201}, "bad_id"),
        ({"timestamp": "soon"}, "bad_time"),
        ({"timestamp": 1795326178}, "bad_time"),
        ({"properties": ["a"]}, "invalid"),
        ({"properties": "a"}, "invalid"),
        ({"userId": {"id": 1}}, "invalid"),
        ({"properties": {"text": "a\x00"}}, "bad_text"),
    ],
)
def test_a_fault_in_one_item_is_named_and_the_others_are_taken(
    take: Callable[..., Decision], codes: Callable[..., list[tuple[int, str]]], item: dict[str, object], code: str
) -> None:
    body = {"batch": [TRACK, {**TRACK, **item}, TRACK]}
    assert codes(body, "batch") == [(1, code)]
    assert len(take(body, "batch").events) == 2


def test_items_that_are_no_objects_are_rejected_one_by_one(codes: Callable[..., list[tuple[int, str]]]) -> None:
    assert codes({"batch": [1, "x", None, [], TRACK]}, "batch") == [(i, "invalid") for i in range(4)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed"),
        (b"webhook_id=7", "malformed"),
        (b'{"batch": [1,}', "malformed"),
        (b"[]", "invalid"),
        (b"{}", "invalid"),
        (b'{"batch": {}}', "invalid"),
    ],
)
def test_a_body_without_a_batch_is_refused(take: Callable[..., Decision], body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        take(body, "batch")
    assert refused.value.code == code


def test_the_path_names_the_type_of_a_single_call(event: Callable[..., Event]) -> None:
    assert event({**TRACK, "type": "identify"}, "track").name == "Product Added"


def test_a_message_without_an_id_gets_one(events: Callable[..., list[Event]]) -> None:
    made = events({"batch": [{**TRACK, "messageId": None}, {**TRACK, "messageId": ""}]}, "batch")
    assert [event.id for event in made] == ["made-1", "made-2"]


def test_numeric_ids_become_text(event: Callable[..., Event]) -> None:
    found = event({**TRACK, "userId": 12, "anonymousId": 3.0, "messageId": 9}, "track")
    assert (found.id, found.who) == ("9", Who(user_id="12", anonymous_id="3"))


def test_the_item_s_context_wins_over_the_batch_s(events: Callable[..., list[Event]]) -> None:
    body = {"batch": [{**TRACK, "context": {"ip": "own"}}], "context": {"ip": "shared", "locale": "de"}}
    assert events(body, "batch")[0].context == {"ip": "own", "locale": "de"}


def test_a_fault_in_the_batch_s_context_is_the_batch_s(take: Callable[..., Decision]) -> None:
    with pytest.raises(BadRequest, match="context"):
        take({"batch": [TRACK], "context": {"a": "\x00"}}, "batch")


def test_php_s_empty_objects_are_empty(event: Callable[..., Event]) -> None:
    found = event({**TRACK, "properties": [], "context": [], "traits": []}, "track")
    assert (found.properties, found.context, found.traits) == ({}, {}, {})


def test_an_identify_s_traits_may_stand_only_in_its_context(event: Callable[..., Event]) -> None:
    found = event({"userId": "u1", "context": {"traits": {"email": "a@b.example"}, "ip": "x"}}, "identify")
    assert found.name == "Customer Identified"
    assert found.traits == {"email": "a@b.example"}
    assert found.who.email == "a@b.example"
    assert found.context == {"ip": "x"}


def test_traits_in_the_context_name_the_customer_of_any_call(event: Callable[..., Event]) -> None:
    assert event({**TRACK, "context": {"traits": {"email": "a@b.example"}}}, "track").who.email == "a@b.example"


def test_a_group_s_traits_are_not_the_customer_s(event: Callable[..., Event]) -> None:
    found = event({"userId": "u1", "groupId": 5, "traits": {"email": "office@b.example"}}, "group")
    assert found.name == "Group Joined"
    assert found.properties == {"group_id": "5", "group_traits": {"email": "office@b.example"}}
    assert found.who == Who(user_id="u1")
    assert found.traits == {}


def test_pages_and_screens_say_their_name_in_the_properties(event: Callable[..., Event]) -> None:
    page = event({"anonymousId": "a", "name": "Home", "category": "Shop", "properties": {"path": "/"}}, "page")
    assert (page.name, page.properties) == ("Page Viewed", {"path": "/", "name": "Home", "category": "Shop"})
    assert event({"anonymousId": "a", "name": "Cart"}, "screen").name == "Screen Viewed"


def test_an_alias_keeps_what_it_was_known_as(event: Callable[..., Event]) -> None:
    found = event({"userId": "new", "previousId": 17, "anonymousId": None}, "alias")
    assert found.name == "Identity Aliased"
    assert found.who == Who(user_id="new")
    assert found.properties == {"previous_id": "17"}


def test_older_names_are_put_right(event: Callable[..., Event]) -> None:
    assert event({**TRACK, "event": "Completed Order"}, "track").name == "Order Completed"
