"""What a transition starts, until when, and how often. Pure; `followups_file` reads it from `followups.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

BEFORE_ALL: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""No event lies before it."""


class Purpose(StrEnum):
    """Marketing needs consent and is never sent twice; transactional goes to whoever did the thing it speaks of."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class OncePer(StrEnum):
    """What a follow-up may be sent once for: a run of a track (this cart, that order), or an event that started it."""

    INSTANCE = "instance"
    CAUSE = "cause"


ONCE_PER_INSTANCE: Final = frozenset({"cart", "checkout", "order"})
"""Tracks whose instances are things of their own: one mail a cart, one mail an order. Others go on for years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Over when the instance moves to any other stage."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Over when the instance moves to one of these."""

    stages: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """`wait` and `max_age` count from when the transition happened, not from when we heard of it.

    `resend_unknown`: when nobody can say whether the mail went out, send it once more under the same Message-ID.
    `since`: moves from before it was in force do not start it, however late they are heard of.
    """

    name: str
    track: str
    entered: str
    until: Left | Entered | None
    purpose: Purpose
    template: str
    wait: timedelta
    max_age: timedelta
    once_per: OncePer
    resend_unknown: bool
    since: datetime = BEFORE_ALL


FollowUps = Mapping[str, FollowUp]
