"""What becomes of a message, by how handing it over ended."""

from datetime import timedelta

import pytest

from notifier.outcomes import (
    MAIL_PAUSES,
    WEBHOOK_PAUSES,
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


@pytest.mark.parametrize("schedule", [MAIL_PAUSES, WEBHOOK_PAUSES])
def test_pauses_grow_and_end(schedule: tuple[timedelta, ...]) -> None:
    pauses = []
    for attempt in range(1, len(schedule) + 1):
        outcome = refused_for_now(uid("m"), attempt, "450 busy", NOON, schedule)
        assert isinstance(outcome, RetryAt)
        pauses.append(outcome.at - NOON)
    assert all(meant * 0.75 <= pause <= meant * 1.25 for pause, meant in zip(pauses, schedule, strict=True))
    assert list(schedule) == sorted(schedule)
    assert isinstance(refused_for_now(uid("m"), len(schedule) + 1, "450 busy", NOON, schedule), Dead)


def test_mail_is_given_up_after_six_hours_and_a_webhook_after_three_days() -> None:
    assert timedelta(hours=4) < sum(MAIL_PAUSES, timedelta()) < timedelta(hours=8)
    assert timedelta(days=3) < sum(WEBHOOK_PAUSES, timedelta()) < timedelta(days=4)


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


def test_where_a_repeat_is_known_by_its_id_it_is_handed_over_again_until_that_ends() -> None:
    again = NOON + timedelta(minutes=5)
    result = settled(Unknown(why="timeout", again=again), attempts=1, unknowns=1)
    assert (result.status, result.due_at, result.attempts, result.unknowns) == (Status.RETRY, again, 2, 2)
    assert settled(Unknown(why="timeout"), attempts=9, unknowns=2).status is Status.UNKNOWN


def test_a_follow_up_that_asks_for_it_is_sent_once_more_and_only_once() -> None:
    first = settled(Unknown(why="timeout"), resend_unknown=True)
    assert (first.status, first.unknowns) == (Status.RETRY, 1)
    second = settled(Unknown(why="timeout"), attempts=1, unknowns=1, resend_unknown=True)
    assert (second.status, second.unknowns) == (Status.UNKNOWN, 2)


def test_what_may_have_gone_out_before_never_reads_as_dead() -> None:
    assert settled(Dead(why="550"), unknowns=1).status is Status.UNKNOWN
    assert settled(Dead(why="550")).status is Status.DEAD


@pytest.mark.parametrize("said", ["550 Empf\udce4nger unbekannt", "550 no\x00body", "550\r\nnobody", "550 \x1b[31mred"])
def test_whatever_bytes_the_far_side_answers_with_can_be_kept(said: str) -> None:
    outcomes: list[Outcome] = [Delivered(answer=said), Dead(why=said), Unknown(why=said)]
    outcomes.append(RetryAt(at=NOON, why=said, counted=True))
    for outcome in outcomes:
        kept = settled(outcome).answer
        assert kept.startswith("550")
        assert kept.isprintable()
        assert kept.encode()
