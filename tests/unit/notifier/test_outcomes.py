"""What becomes of a message, by how handing it over ended."""

from datetime import timedelta
from itertools import pairwise

from notifier.outcomes import (
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    After,
    Dead,
    Delivered,
    Outcome,
    RetryAt,
    Unknown,
    after,
    nobody_there,
    refused_for_now,
)
from notifier.status import Status
from tests.unit.notifier.builders import NOON, uid


def settled(outcome: Outcome, *, attempts: int = 0, unknowns: int = 0, resend_unknown: bool = False) -> After:
    return after(outcome, attempts=attempts, unknowns=unknowns, resend_unknown=resend_unknown, now=NOON)


def test_accepted_is_sent() -> None:
    assert settled(Delivered(answer="250 OK")).status is Status.SENT


def test_pauses_grow_and_end() -> None:
    pauses = []
    for attempt in range(1, MAX_ATTEMPTS):
        outcome = refused_for_now(uid("m"), attempt, "450 busy", NOON)
        assert isinstance(outcome, RetryAt)
        pauses.append(outcome.at - NOON)
    assert pauses[0] < timedelta(seconds=13)
    assert all(earlier < later for earlier, later in pairwise(pauses[:6]))
    assert max(pauses) <= LONGEST_PAUSE * 1.25
    assert isinstance(refused_for_now(uid("m"), MAX_ATTEMPTS, "450 busy", NOON), Dead)


def test_messages_refused_together_do_not_come_back_together() -> None:
    again = {refused_for_now(uid(str(n)), 3, "421", NOON) for n in range(20)}
    assert len(again) > 10


def test_a_server_that_is_away_costs_no_attempt() -> None:
    result = settled(nobody_there(uid("m"), "connection refused", NOON), attempts=3)
    assert (result.status, result.attempts) == (Status.RETRY, 3)
    assert result.due_at is not None
    assert result.due_at < NOON + timedelta(seconds=15)


def test_an_unknown_outcome_is_final() -> None:
    result = settled(Unknown(why="timeout"))
    assert (result.status, result.due_at, result.unknowns) == (Status.UNKNOWN, None, 1)


def test_a_follow_up_that_asks_for_it_is_sent_once_more_and_only_once() -> None:
    first = settled(Unknown(why="timeout"), resend_unknown=True)
    assert (first.status, first.unknowns) == (Status.RETRY, 1)
    second = settled(Unknown(why="timeout"), attempts=1, unknowns=1, resend_unknown=True)
    assert (second.status, second.unknowns) == (Status.UNKNOWN, 2)


def test_what_may_have_gone_out_before_never_reads_as_dead() -> None:
    assert settled(Dead(why="550"), unknowns=1).status is Status.UNKNOWN
    assert settled(Dead(why="550")).status is Status.DEAD
