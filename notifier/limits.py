"""Caps and cool-downs: how much of what a customer has been given leaves room for more. Pure.

Asked twice: by the guard, and again under the customer's lock just before a message is handed over, so that two
notifiers give nobody two where there is room for one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from notifier.followups import EMAIL
from services.contracts.storefront import Cap, Storefront

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
UNLIMITED: Final = Cap(day=None, week=None)
USUAL: Final[Mapping[str, Cap]] = {EMAIL: Cap(), "sms": Cap(), "push": Cap()}
"""A webhook goes to a program of the shop's own, which nobody is tired of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A message that the customer was given, or may have been, at the latest at `at`.

    Not `live`: that would have been, or that somebody else was given in their stead.
    """

    id: UUID
    follow_up: str
    occasion: UUID
    channel: str
    marketing: bool
    at: datetime
    live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one message has to keep to. `cap` is of marketing on its channel, `cool_down` of its follow-up.

    A `trial` goes to nobody, or not to the customer: it keeps to what it would if the trials before had gone out. To
    what goes out, trials are nothing.
    """

    follow_up: str
    occasion: UUID
    channel: str
    cap: Cap
    cool_down: timedelta | None
    trial: bool = False

    @property
    def looks_back(self) -> timedelta:
        """How far back what was given matters."""
        return max(WEEK, self.cool_down or WEEK)

    @property
    def bind(self) -> bool:
        return self.cap != UNLIMITED or self.cool_down is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A message that is about to be handed over, if there is room; of several the highest `priority` first."""

    message: UUID
    customer: UUID
    marketing: bool
    limits: Limits
    priority: int
    due_at: datetime


def cap_of(storefront: Storefront, channel: str, *, marketing: bool) -> Cap:
    """What the customer did themselves is told of however often they do it."""
    return storefront.caps.get(channel, USUAL.get(channel, UNLIMITED)) if marketing else UNLIMITED


def granted(wishes: Iterable[Wish], given: Mapping[UUID, Sequence[Given]], now: datetime) -> frozenset[UUID]:
    """The messages that there is room for together, by what each customer has been given."""
    held = {customer: list(ones) for customer, ones in given.items()}
    found = set()
    for wish in sorted(wishes, key=lambda w: (-w.priority, w.due_at, w.message)):
        own, limits = held.setdefault(wish.customer, []), wish.limits
        others = [one for one in own if one.id != wish.message]  # an attempt of its own takes nobody's place
        if cooling(limits, others, now) or room(limits, others, now) == 0:
            continue
        found.add(wish.message)
        own.append(
            Given(
                id=wish.message,
                follow_up=limits.follow_up,
                occasion=limits.occasion,
                channel=limits.channel,
                marketing=wish.marketing,
                at=now,
                live=not limits.trial,
            )
        )
    return frozenset(found)


def cooling(limits: Limits, given: Iterable[Given], now: datetime) -> bool:
    """Whether the follow-up came to this customer for something else, not long enough ago."""
    cool_down = limits.cool_down
    if cool_down is None:
        return False
    return any(
        one.follow_up == limits.follow_up and one.occasion != limits.occasion and one.at > now - cool_down
        for one in given
        if one.live or limits.trial
    )


def room(limits: Limits, given: Iterable[Given], now: datetime) -> int | None:
    """How many more may go now; None for as many as there are."""
    held = _counted(limits, given)
    left = [
        max(most - sum(at > now - window for at in held), 0)
        for most, window in _windows(limits.cap)
        if most is not None
    ]
    return min(left, default=None)


def room_at(limits: Limits, given: Iterable[Given], now: datetime) -> datetime | None:
    """When there is room for one, if nothing else goes until then; None if there never is."""
    held = sorted(_counted(limits, given), reverse=True)
    at = now
    for most, window in _windows(limits.cap):
        if most == 0:
            return None
        if most is not None and len(held) >= most:
            at = max(at, held[most - 1] + window)
    return at


def _windows(cap: Cap) -> tuple[tuple[int | None, timedelta], ...]:
    return (cap.day, DAY), (cap.week, WEEK)


def _counted(limits: Limits, given: Iterable[Given]) -> list[datetime]:
    return [one.at for one in given if one.marketing and one.channel == limits.channel and (one.live or limits.trial)]
