"""From a body to records: what goes where, and what is answered."""

from collections.abc import Callable
from datetime import datetime

import pytest

from ingest.decide import Decision
from services.contracts.dead_letters import MAX_RAW_BYTES, decode_dead_letter
from services.contracts.keys import KeyKind, new_write_key
from services.contracts.topics import DEAD_LETTERS, EVENTS, MAX_REQUEST_BYTES
from services.errors import TooLarge

GOOD = {"id": "e1", "name": "Product Added", "user_id": "u1"}


def test_the_answer_names_each_rejected_event(take: Callable[..., Decision]) -> None:
    answer = take([GOOD, {"id": "e2"}, {"name": "n"}], "native").answer
    assert (answer["received"], answer["accepted"]) == (3, 1)
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(1, "missing_name"), (2, "missing_id")]
    assert all(set(r) == {"index", "code", "message"} for r in answer["rejected"])


def test_events_and_dead_letters_go_to_their_topics_in_one_send(take: Callable[..., Decision]) -> None:
    assert [r.topic for r in take([GOOD, {}, GOOD], "native").records] == [EVENTS, EVENTS, DEAD_LETTERS]


def test_a_customer_s_events_share_a_key(take: Callable[..., Decision]) -> None:
    one, same, other = take(
        [GOOD, {**GOOD, "id": "e2", "anonymous_id": "a"}, {**GOOD, "user_id": "u2"}], "native"
    ).events
    assert one.key == same.key != other.key


def test_a_dead_letter_keeps_what_came_and_why(take: Callable[..., Decision], received: datetime) -> None:
    decision = take(b'[{"id": "e1", "nam": "x"}]', "native")
    letter = decode_dead_letter(decision.letters[0].value or b"")
    assert letter.raw == b'{"id": "e1", "nam": "x"}'
    assert (letter.code, letter.source, letter.received_at) == ("unknown_field", "/v1/native", received)


def test_a_dead_letter_holds_no_write_key(take: Callable[..., Decision]) -> None:
    key, stored = new_write_key("shop", KeyKind.SERVER)
    for body, dialect in (({"writeKey": key}, "track"), ({"batch": [{"type": "track", "writeKey": key}]}, "batch")):
        (letter,) = take(body, dialect).letters
        raw = decode_dead_letter(letter.value or b"").raw
        assert key.encode() not in raw
        assert stored.prefix.encode() in raw


def test_a_dead_letter_is_cut_where_it_could_fill_the_disk(take: Callable[..., Decision]) -> None:
    decision = take([{**GOOD, "properties": {"x": "y" * 300_000}}], "native")
    letter = decode_dead_letter(decision.letters[0].value or b"")
    assert letter.code == "too_large"
    assert len(letter.raw) == MAX_RAW_BYTES
    assert len(decision.letters[0].value or b"") < MAX_REQUEST_BYTES


def test_an_oversize_event_costs_no_other_of_its_batch(
    codes: Callable[..., list[tuple[int, str]]], take: Callable[..., Decision]
) -> None:
    body = [GOOD, {**GOOD, "properties": {"x": "y" * 32_768}}, GOOD]
    assert codes(body, "native") == [(1, "too_large")]
    assert len(take(body, "native").events) == 2


def test_the_batch_s_context_counts_towards_each_event(codes: Callable[..., list[tuple[int, str]]]) -> None:
    body = {"batch": [{"type": "track", "event": "e", "userId": "u"}], "context": {"x": "y" * 200}}
    assert codes(body, "batch", event_bytes=250) == [(0, "too_large")]
    assert codes(body, "batch", event_bytes=400) == []


def test_a_context_can_t_be_spread_over_a_batch_without_bound(take: Callable[..., Decision]) -> None:
    body = {"batch": [{}] * 2000, "context": {"x": "y" * 30_000}}
    with pytest.raises(TooLarge):
        take(body, "batch")


def test_an_event_too_large_when_stored_is_rejected_by_itself(codes: Callable[..., list[tuple[int, str]]]) -> None:
    assert codes([{**GOOD, "properties": {"x": "y" * 1_040_000}}, GOOD], "native", event_bytes=2_000_000) == [
        (0, "too_large")
    ]


def test_a_batch_of_just_the_limit_passes_and_one_more_event_does_not(take: Callable[..., Decision]) -> None:
    assert len(take([GOOD] * 2500, "native").events) == 2500
    with pytest.raises(TooLarge) as refused:
        take([GOOD] * 2501, "native")
    assert refused.value.code == "too_many_events"
