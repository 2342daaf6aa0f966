"""Arrivals: every record becomes an event to store or a dead letter with its reason."""

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from msgspec.structs import replace

from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter, encode_dead_letter
from services.contracts.events import MESSAGE_EVENTS, encode_event
from services.contracts.storefront import Storefront
from services.contracts.topics import DEAD_LETTERS, EVENTS
from services.kafka import Stretch
from stage_engine.arrivals import Arrival, arrivals_of
from tests.unit.stage_engine.builders import SHOP, START, event, when


def read(value: bytes | None, topic: str = EVENTS, *, shop: Storefront = SHOP) -> Arrival | DeadLetter:
    record = ConsumerRecord(
        topic=topic,
        partition=2,
        offset=7,
        timestamp=int(START.timestamp() * 1000),
        timestamp_type=0,
        key=None,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )
    found = arrivals_of([Stretch(TopicPartition(topic, 2), 7, 8, (record,))], {"shop": shop})
    (outcome,) = [*found.events, *(letter for _, letter in found.dead)]
    return outcome


def code(value: bytes | None) -> str:
    letter = read(value)
    assert isinstance(letter, DeadLetter), letter
    assert letter.reason
    assert letter.source == "storefront.events[2]@7"
    return letter.code


def raw(name: str = "A", **said: object) -> bytes:
    return encode_event(event(name, **said).event)


def test_an_event_is_stored_under_its_identity() -> None:
    arrived = read(raw(id="x", who={"user_id": "u1", "anonymous_id": "a1"}))
    assert isinstance(arrived, Arrival)
    assert (arrived.entry.event.id, arrived.entry.belongs_to.value) == ("x", "u1")
    assert [identity.value for identity in arrived.named] == ["u1", "a1"]


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b'{"id": 1}', b'"\\ud800"'])
def test_what_can_not_be_decoded_is_a_dead_letter(value: bytes | None) -> None:
    assert code(value) == "undecodable"


def test_an_event_of_a_storefront_that_nobody_declared_is_a_dead_letter() -> None:
    assert code(raw().replace(b'"shop"', b'"elsewhere"')) == "unknown_storefront"


def test_an_event_that_happened_after_it_was_received_is_a_dead_letter() -> None:
    assert code(raw(received="0s").replace(b"T12:00:00Z", b"T13:00:00Z", 1)) == "from_the_future"
    assert code(raw(received="1m", imported="2m")) == "from_the_future"


def test_a_nul_that_postgres_can_not_keep_is_a_dead_letter() -> None:
    assert code(raw(note="a\0b")) == "unstorable"


def test_text_about_a_nul_is_text() -> None:
    assert isinstance(read(raw(note="a\\u0000b")), Arrival)


@pytest.mark.parametrize(
    "name",
    [
        "Order Refunded",
        "Order Updated",
        "Order Cancelled",
        "Survey Answered",
        "Email Subscribed",
        "Support Case Opened",
        "Support Case Closed",
        *sorted(MESSAGE_EVENTS),
    ],
)
def test_a_browser_may_not_say_what_forges_money_consent_answers_cases_or_bounces(name: str) -> None:
    assert code(raw(name, by="browser")) == "untrusted_source"
    assert isinstance(read(raw(name)), Arrival)


def test_a_browser_may_ask_for_news_where_that_is_asked_back() -> None:
    asked = raw("Email Subscribed", by="browser")
    assert isinstance(read(asked, shop=replace(SHOP, double_opt_in=True)), Arrival)
    assert isinstance(read(asked), DeadLetter)


@pytest.mark.parametrize("name", ["Order Completed", "Email Unsubscribed", "Product Added", "Customer Identified"])
def test_a_browser_may_say_the_rest(name: str) -> None:
    assert isinstance(read(raw(name, by="browser")), Arrival)


def test_a_dead_letter_of_ingests_is_kept_as_it_is() -> None:
    letter = DeadLetter(
        storefront="shop", code="too_large", reason="…", source="/v1/batch", received_at=START, raw=b"x"
    )
    assert read(encode_dead_letter(letter), DEAD_LETTERS) == letter


def test_a_dead_letter_keeps_a_bounded_part_of_what_came() -> None:
    letter = read(b"x" * (MAX_RAW_BYTES + 1))
    assert isinstance(letter, DeadLetter)
    assert len(letter.raw) == MAX_RAW_BYTES


def test_times_are_kept_in_utc() -> None:
    arrived = read(raw().replace(b"T12:00:00Z", b"T14:00:00+02:00"))
    assert isinstance(arrived, Arrival)
    assert arrived.entry.event.occurred_at.isoformat() == when("0s").isoformat()
