"""The breaker, on a clock that stands still."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.breaker import (
    LITTLE,
    RESTS,
    UNKNOWN_REST,
    Breaker,
    Closed,
    Closing,
    Draining,
    Open,
    Way,
    answered,
    call_failed,
    drain_due,
    drained,
    probe_failed,
    way,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("breaker", "goes"),
    [(Closed(), Way.KAFKA), (Open(1, NOW), Way.SPOOL), (Draining(), Way.SPOOL), (Closing(), Way.WAIT)],
)
def test_calls_go_to_kafka_only_while_nothing_lies_before_them(breaker: Breaker, goes: Way) -> None:
    assert way(breaker) is goes


def test_the_first_call_that_fails_opens_it_and_the_others_change_nothing() -> None:
    opened = call_failed(Closed(), NOW)
    assert opened == Open(1, NOW + RESTS[0])
    assert call_failed(opened, later(3)) == opened
    assert call_failed(Draining(), NOW) == Draining()
    assert call_failed(Closing(), NOW) == Closing()


def test_probes_rest_longer_and_longer_up_to_the_last() -> None:
    breaker: Breaker = call_failed(Closed(), NOW)
    rests = []
    for _ in range(8):
        breaker = probe_failed(breaker, NOW, certain=True)
        assert isinstance(breaker, Open)
        rests.append(breaker.probe_at - NOW)
    assert rests == sorted(rests)
    assert rests[-1] == RESTS[-1]


def test_a_probe_without_an_answer_is_waited_for_and_its_answer_is_the_cue() -> None:
    breaker = probe_failed(Open(1, NOW), NOW, certain=False)
    assert not drain_due(breaker, later(10))
    assert drain_due(breaker, NOW + UNKNOWN_REST)
    assert drain_due(answered(breaker, later(10)), later(10))


def test_an_answer_never_puts_a_probe_off() -> None:
    assert answered(Open(1, NOW), later(10)) == Open(1, NOW)
    assert answered(Closed(), NOW) == Closed()


def test_it_closes_once_nothing_is_left_and_lets_calls_wait_for_the_last() -> None:
    assert drained(LITTLE + 1) == Draining()
    assert drained(LITTLE) == Closing()
    assert drained(0) == Closed()


def test_a_drain_that_fails_opens_it_again() -> None:
    for breaker in (Draining(), Closing()):
        assert probe_failed(breaker, NOW, certain=True) == Open(1, NOW + RESTS[0])


def test_drains_are_due_while_something_may_lie_there() -> None:
    assert not drain_due(Closed(), NOW)
    assert not drain_due(Open(1, later(1)), NOW)
    assert drain_due(Open(1, NOW), NOW)
    assert drain_due(Draining(), NOW)
    assert drain_due(Closing(), NOW)
