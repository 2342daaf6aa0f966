"""Sliding windows: what happened within a time, in steps of its 168th part on absolute time. Pure.

A week slides by the hour. The steps stand still whatever arrives when, so that no result depends on arrival.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

BUCKETS = 168
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_RECENT = 1_000
"""Values that one window tells apart; a bot's further ones are not counted."""

V = TypeVar("V")


def bucket(at: datetime, within: timedelta) -> int:
    return (at - EPOCH) // (within / BUCKETS)


def stepped(
    window: Mapping[int, V], at: datetime, within: timedelta, value: V, join: Callable[[V, V], V], *, now: datetime
) -> dict[int, V]:
    """With `value` taken in at `at`; what has left the window as of `now` is dropped."""
    step = bucket(at, within)
    since = (step if now is at else bucket(now, within)) - BUCKETS
    kept = {number: held for number, held in window.items() if number > since}
    if step > since:
        kept[step] = join(kept[step], value) if step in kept else value
    return kept


def inside(window: Mapping[int, V], at: datetime, within: timedelta) -> Iterable[V]:
    """The values that a window still holds at a time."""
    since = bucket(at, within) - BUCKETS
    return (value for number, value in window.items() if number > since)


def seen(window: Mapping[str, int], value: str, at: datetime, within: timedelta) -> dict[str, int]:
    """Which values came, and in which step each came last."""
    now = bucket(at, within)
    kept = {one: step for one, step in window.items() if step > now - BUCKETS}
    if value in kept or len(kept) < MAX_RECENT:
        kept[value] = now
    return kept


def count_seen(window: Mapping[str, int], at: datetime, within: timedelta) -> int:
    since = bucket(at, within) - BUCKETS
    return sum(step > since for step in window.values())
