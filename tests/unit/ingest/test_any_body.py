"""Whatever comes: each item is an event that its readers can read, or is named and kept."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.decide import Decision
from services.contracts.dead_letters import decode_dead_letter
from services.contracts.events import decode_event
from services.errors import RequestError

FIELDS = [
    "id",
    "name",
    "type",
    "event",
    "messageId",
    "userId",
    "anonymousId",
    "user_id",
    "email",
    "phone",
    "properties",
    "traits",
    "context",
    "timestamp",
    "sentAt",
    "originalTimestamp",
    "occurred_at",
    "previousId",
    "groupId",
    "category",
    "products",
    "price",
    "order_id",
]
WORDS = st.sampled_from(
    [
        "u1",
        "",
        "0",
        "track",
        "identify",
        "page",
        "group",
        "alias",
        "2026-11-22T09:00:00Z",
        "9999-12-31T23:59:59Z",
        "\x00",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner),
    max_leaves=12,
)
ITEMS = st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES | WORDS) | VALUES, max_size=4)
ANY_JSON = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


def is_whole(decision: Decision, count: int) -> bool:
    for record in decision.events:
        event = decode_event(record.value or b"")
        assert event.occurred_at <= event.received_at
        assert b"\\u0000" not in (record.value or b"")
    for record in decision.letters:
        decode_dead_letter(record.value or b"")
    return len(decision.events) + len(decision.rejected) == decision.received == count == len(decision.records)


def as_json(value: Any) -> bytes:  # noqa: ANN401  any JSON
    """With halves of surrogate pairs as browsers write them; no NaN, which is no JSON."""
    return json.dumps(value).replace("NaN", "0").replace("Infinity", "1").encode()


@ANY_JSON
@given(ITEMS)
def test_any_list_of_our_own(take: Callable[..., Decision], items: list[Any]) -> None:
    assert is_whole(take(as_json(items), "native"), len(items))


@ANY_JSON
@given(ITEMS, VALUES, VALUES)
def test_any_batch_of_segment_s(take: Callable[..., Decision], items: list[Any], context: Any, sent: Any) -> None:  # noqa: ANN401  any JSON
    try:
        decision = take(as_json({"batch": items, "context": context, "sentAt": sent}), "batch")
    except RequestError as refused:
        assert refused.body["code"] in {"malformed", "bad_text", "invalid", "too_deep"}  # noqa: PT017  either is right
    else:
        assert is_whole(decision, len(items))


@ANY_JSON
@given(st.binary(max_size=60), st.sampled_from(["native", "batch", "track", "alias"]))
def test_any_bytes(take: Callable[..., Decision], raw: bytes, dialect: str) -> None:
    try:
        decision = take(raw, dialect)
    except RequestError as refused:
        assert refused.body["message"]  # noqa: PT017  either is right
    else:
        assert len(decision.events) + len(decision.rejected) == decision.received
