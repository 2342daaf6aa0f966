"""How fast events may come: of one storefront, and of one client of its web pages. Pure: time is an argument.

A bucket fills at the rate and holds no more than the burst. A call goes through while anything is in it, and may take
more than there is: so a batch is never too large for its bucket, and what it took too much has to fill up again first.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

CLIENTS_KEPT: Final = 100_000
"""Buckets of clients, some 20 MB. Who was not heard of for longest is forgotten first, as if theirs was full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`events` a second, and `burst` of them at once after a rest."""

    events: int
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was in it at that time; below zero after a call that took more than there was."""

    level: float
    at: datetime


def level(bucket: Bucket, rate: Rate, now: datetime) -> float:
    """A clock that is set back fills nothing."""
    return min(rate.burst, bucket.level + rate.events * max(0.0, (now - bucket.at).total_seconds()))


def spent(bucket: Bucket, rate: Rate, events: int, now: datetime) -> Bucket:
    """Never further down than a burst, so that the longest wait is a burst's, too."""
    return Bucket(max(level(bucket, rate, now) - events, -rate.burst), now)


def wait(bucket: Bucket, rate: Rate, now: datetime) -> int:
    """Whole seconds until something is in it; 0 for now."""
    lacking = -level(bucket, rate, now)
    return 0 if lacking < 0 else math.floor(lacking / rate.events) + 1


class Whose(StrEnum):
    STOREFRONT = "storefront"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Wait:
    """`seconds`, whole and at least one, and whose limit it is."""

    whose: Whose
    rate: Rate
    seconds: int


class Rates:
    """What this process has let through. `client` is None where no limit is by client."""

    def __init__(self, *, storefront: Rate, client: Rate, clients_kept: int = CLIENTS_KEPT) -> None:
        self._rates = {Whose.STOREFRONT: storefront, Whose.CLIENT: client}
        self._kept = {Whose.STOREFRONT: None, Whose.CLIENT: clients_kept}
        self._buckets: dict[Whose, OrderedDict[str, Bucket]] = {whose: OrderedDict() for whose in Whose}

    def wait(self, storefront: str, client: str | None, now: datetime) -> Wait | None:
        """None: they may go on. The client's own limit comes first, as it is the narrower."""
        for whose, key in _keys(storefront, client):
            bucket, rate = self._buckets[whose].get(key), self._rates[whose]
            if bucket is not None and (seconds := wait(bucket, rate, now)):
                return Wait(whose, rate, seconds)
        return None

    def spend(self, storefront: str, client: str | None, events: int, now: datetime) -> None:
        for whose, key in _keys(storefront, client):
            buckets, rate, kept = self._buckets[whose], self._rates[whose], self._kept[whose]
            bucket = buckets.pop(key, None) or Bucket(rate.burst, now)
            buckets[key] = spent(bucket, rate, events, now)
            if kept is not None and len(buckets) > kept:
                buckets.popitem(last=False)


def _keys(storefront: str, client: str | None) -> list[tuple[Whose, str]]:
    """A client of two storefronts has a bucket of each: they are no business of each other's."""
    of_storefront = (Whose.STOREFRONT, storefront)
    return [of_storefront] if client is None else [(Whose.CLIENT, f"{storefront} {client}"), of_storefront]
