"""A scenario as it is played: what happens when, and what has to be so then. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.contracts.identity import Identity
from stage_engine.history import Entry
from stage_engine.identity import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event with every identity that it names, and what it says of who is whom. `late`: its time was over."""

    entry: Entry
    named: tuple[Identity, ...]
    links: tuple[Link, ...]
    late: bool = False


Where = tuple[str, str | None]
"""A track, and the key of one of its carts or orders; None where there is only one to be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came at one time, however long ago it happened; `now` is the clock after it."""

    now: datetime
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """All of it has to be so; what is None or empty is not looked at.

    `place` is file:line:column. `changes`, `taken_back` and `reasons` are of what came since the `expect` before.
    """

    place: str
    now: datetime
    of: Identity | None = None
    stages: Mapping[Where, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    changes: "Changes | None" = None
    taken_back: "Changes | None" = None
    reasons: tuple[str, ...] = ()
    next_at: datetime | None = None
    no_next: bool = False
    customers: int | None = None
    never: "Never | None" = None

    @property
    def only_customers(self) -> bool:
        """Whether it is about nobody, but how many there are."""
        return replace(self, customers=None) == Expected(place=self.place, now=self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Either all of them, as (where, stage) in order, or for each place that is named its stages in order."""

    in_order: tuple[tuple[Where, str], ...] | None = None
    by_track: Mapping[Where, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    stages: Mapping[Where, Sequence[str]] = field(default_factory=dict)
    changes: Mapping[Where, Sequence[str]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`place` is file:line:column of its name."""

    name: str
    place: str
    steps: tuple[Came | Expected, ...]
