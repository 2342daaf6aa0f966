"""Where a call's records go: to Kafka, or to the spool at once. Pure: time is an argument.

    Closed ──a call had to be spooled──▶ Open ──a probe came through──▶ Draining ──little is left──▶ Closing ──▶ Closed
                                          ▲───────────a drain failed────────┴─────────────────────────┘

It opens with the first call that had to be spooled, since a later one must not overtake it: what comes while something
lies in the spool is laid behind it. The drain is the probe. When little is left calls wait for its end, so that under
load there is one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

RESTS: Final = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 5))
"""Before the next probe, by how many failed in a row: a broker that restarts is found soon, one that is gone is not
hammered. The last also bounds how long nobody notices that it is back."""
UNKNOWN_REST: Final = timedelta(seconds=30)
"""After a probe without any answer. Its producer lives on until it has one, and that answer is the next probe's cue;
this is for a producer that never gets one, so that there are two of these a minute at most."""
LITTLE: Final = 500
"""Records: less than a batch, which a healthy broker takes in milliseconds."""


class Way(Enum):
    KAFKA = auto()
    SPOOL = auto()
    WAIT = auto()


@dataclass(frozen=True, slots=True)
class Closed:
    pass


@dataclass(frozen=True, slots=True)
class Open:
    """`failures` in a row; no probe before `probe_at`."""

    failures: int
    probe_at: datetime


@dataclass(frozen=True, slots=True)
class Draining:
    pass


@dataclass(frozen=True, slots=True)
class Closing:
    pass


Breaker = Closed | Open | Draining | Closing


def way(breaker: Breaker) -> Way:
    match breaker:
        case Closed():
            return Way.KAFKA
        case Closing():
            return Way.WAIT
        case Open() | Draining():
            return Way.SPOOL


def call_failed(breaker: Breaker, at: datetime) -> Breaker:
    """Kafka did not take a call. Of a hundred that waited together the first says it; the drain learns the rest."""
    return Open(1, at + RESTS[0]) if isinstance(breaker, Closed) else breaker


def probe_failed(breaker: Breaker, at: datetime, *, certain: bool) -> Breaker:
    """`certain`: it was refused, not merely unanswered."""
    failures = breaker.failures + 1 if isinstance(breaker, Open) else 1
    rest = RESTS[min(failures, len(RESTS)) - 1] if certain else UNKNOWN_REST
    return Open(failures, at + rest)


def answered(breaker: Breaker, at: datetime) -> Breaker:
    """A probe that had been given up has its answer after all: somebody is there again."""
    return Open(breaker.failures, min(breaker.probe_at, at)) if isinstance(breaker, Open) else breaker


def drained(left: int) -> Breaker:
    """A batch is on Kafka, and so many records are left."""
    if left == 0:
        return Closed()
    return Closing() if left <= LITTLE else Draining()


def drain_due(breaker: Breaker, at: datetime) -> bool:
    match breaker:
        case Closed():
            return False
        case Open():
            return at >= breaker.probe_at
        case Draining() | Closing():
            return True
