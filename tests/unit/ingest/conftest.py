"""Builders for the dialects' tests: a call with a clock that stands still."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest

from ingest.decide import Decision, decide
from ingest.dialects import ga4, native, segment
from ingest.dialects.reading import Body, Call
from ingest.limits import Limits, without_half_pairs
from services.contracts.dead_letters import DeadLetter, decode_dead_letter
from services.contracts.events import Event, SaidBy, decode_event

RECEIVED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

Take = Callable[..., Decision]


def opened(raw: bytes, dialect: str) -> Body:
    """`native`, `batch`, `ga4`, or a Segment type."""
    raw = without_half_pairs(raw)
    match dialect:
        case "native":
            return native.open_body(raw)
        case "batch":
            return segment.open_batch(raw)
        case "ga4":
            return ga4.open_body(raw)
    return segment.open_single(raw, kind=dialect)


@pytest.fixture
def received() -> datetime:
    return RECEIVED


@pytest.fixture
def take() -> Take:
    """`take(body, "native", limits…)` → what is decided about it, as the app would have it."""
    numbers = count(1)

    def taken(
        body: object, dialect: str, *, said_by: SaidBy = SaidBy.SERVER, sent_at: str | None = None, **limits: int
    ) -> Decision:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        call = Call(
            storefront="shop",
            said_by=said_by,
            received_at=RECEIVED,
            new_id=lambda: f"made-{next(numbers)}",
            sent_at=sent_at,
        )
        return decide(opened(raw, dialect), call, Limits.model_validate(limits), route=f"/v1/{dialect}")

    return taken


@pytest.fixture
def events(take: Take) -> Callable[..., list[Event]]:
    """The events as the stage engine will read them; fails when anything was rejected."""

    def read(body: object, dialect: str, **more: object) -> list[Event]:
        decision = take(body, dialect, **more)
        assert not decision.rejected
        return [decode_event(record.value or b"") for record in decision.events]

    return read


@pytest.fixture
def event(events: Callable[..., list[Event]]) -> Callable[..., Event]:
    def read(body: object, dialect: str, **more: object) -> Event:
        (one,) = events(body, dialect, **more)
        return one

    return read


@pytest.fixture
def codes(take: Take) -> Callable[..., list[tuple[int, str]]]:
    """Index and code of what is rejected; each must also be kept as a dead letter that says the same."""

    def read(body: object, dialect: str, **more: object) -> list[tuple[int, str]]:
        decision = take(body, dialect, **more)
        letters = [decode_dead_letter(record.value or b"") for record in decision.letters]
        assert [said(letter) for letter in letters] == [
            (rejected.refusal.code, rejected.refusal.message) for rejected in decision.rejected
        ]
        assert all(rejected.refusal.message for rejected in decision.rejected)
        return [(rejected.index, rejected.refusal.code) for rejected in decision.rejected]

    return read


def said(letter: DeadLetter) -> tuple[str, str]:
    assert letter.storefront == "shop"
    assert letter.raw
    return letter.code, letter.reason
