"""How handing over ended, and what becomes of the message then. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from notifier.status import Status

FIRST_PAUSE: Final = timedelta(seconds=10)
MAIL_PAUSES: Final = tuple(min(FIRST_PAUSE * 3**n, timedelta(hours=1)) for n in range(9))
"""After each refusal; one more, and a message is given up: after about four hours."""
WEBHOOK_PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""As Standard Webhooks advises: a receiver that is mended over a weekend has missed nothing."""
UNREACHABLE_PAUSE: Final = timedelta(seconds=10)
"""The server's absence is not the message's fault: it costs no attempt, and mail flows soon after it is back."""
KEPT_OF_AN_ANSWER: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The other side has taken responsibility for it."""

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAt:
    """Not delivered, and worth another try. `counted`: the message was refused, rather than nobody there to ask."""

    at: datetime
    why: str
    counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """Not delivered and never will be. `closed`: neither will anything else that goes there.

    `no_such_address`: the far side said that it has no such recipient, as a hard bounce does.
    """

    why: str
    closed: bool = False
    no_such_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It may have been delivered: nobody answered after all of it was handed over.

    `again`: when to hand it over once more, where the receiver tells a repeat by its id.
    """

    why: str
    again: datetime | None = None


Outcome = Delivered | RetryAt | Dead | Unknown


def refused_for_now(
    message: UUID, attempt: int, why: str, now: datetime, pauses: Sequence[timedelta] = MAIL_PAUSES
) -> RetryAt | Dead:
    """`attempt` counts from 1. `pauses` grow, with a jitter of ±25 % that is the message's own."""
    if attempt > len(pauses):
        return Dead(why=f"given up after {attempt} attempts: {why}")
    return RetryAt(at=now + pauses[attempt - 1] * _jitter(message, attempt), why=why, counted=True)


def nobody_there(message: UUID, why: str, now: datetime) -> RetryAt:
    return RetryAt(at=now + UNREACHABLE_PAUSE * _jitter(message, 0), why=why, counted=False)


def _jitter(message: UUID, attempt: int) -> float:
    """Between 0.75 and 1.25, the same for the same attempt: chance has no place where rules are."""
    first = hashlib.sha256(message.bytes + attempt.to_bytes(2, "big")).digest()[0]
    return 0.75 + first / 510


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What is written to a message's row once its outcome is in."""

    status: Status
    answer: str
    due_at: datetime | None = None
    attempts: int
    unknowns: int


def after(outcome: Outcome, *, attempts: int, unknowns: int, resend_unknown: bool, now: datetime) -> After:
    """An unknown outcome is final, but where a repeat is known by its id, or was asked for: then once more."""
    match outcome:
        case Delivered(answer=answer):
            return After(status=Status.SENT, answer=short(answer), attempts=attempts + 1, unknowns=unknowns)
        case RetryAt(at=at, why=why, counted=counted):
            return After(
                status=Status.RETRY, answer=short(why), due_at=at, attempts=attempts + counted, unknowns=unknowns
            )
        case Dead(why=why):
            # What may have been delivered at an earlier attempt must never read as if it had not.
            status = Status.UNKNOWN if unknowns else Status.DEAD
            return After(status=status, answer=short(why), attempts=attempts + 1, unknowns=unknowns)
        case Unknown(why=why, again=again):
            due_at = again or (now + FIRST_PAUSE if resend_unknown and unknowns == 0 else None)
            return After(
                status=Status.UNKNOWN if due_at is None else Status.RETRY,
                answer=short(why),
                due_at=due_at,
                attempts=attempts + 1,
                unknowns=unknowns + 1,
            )
        case _ as never:
            assert_never(never)


def short(answer: str) -> str:
    """One line of what the far side said, whatever its bytes were: of many servers they are no UTF-8.

    Postgres keeps no NUL and no half character. An outcome that could not be written would hold up all behind it.
    """
    return " ".join("".join(c if c.isprintable() else " " for c in answer).split())[:KEPT_OF_AN_ANSWER]
