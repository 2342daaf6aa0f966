"""Quiet hours, by the customer's own clock. Pure; explicit about the nights in which the clocks are changed."""

from datetime import UTC, datetime
from typing import Final, Literal

from whenever import Instant, Time, TimeZoneNotFoundError, ZonedDateTime

from services.contracts.changes import Profile
from services.contracts.storefront import QuietHours, Storefront

_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS: Final = (-1, 0)
"""The nights that can hold a moment: the one that began yesterday, and the one that begins today."""


def zone_of(profile: Profile, storefront: Storefront) -> str:
    """The customer's, where the shop's server has said one that there is; else the shop's."""
    said = profile.traits.get("timezone")
    if not isinstance(said, str):
        return storefront.timezone
    try:
        Instant(_ANY_TIME).to_tz(said)
    except (TimeZoneNotFoundError, ValueError):
        return storefront.timezone
    return said


def quiet_until(quiet: QuietHours, zone: str, now: datetime) -> datetime | None:
    """When the quiet hours end that `now` lies in; None outside of them.

    In the nights in which the clocks are changed they are the longer of what could be meant: of a time that comes twice
    they begin with the first and end with the last; one that is skipped lies before the gap as a beginning, after it as
    an end.
    """
    local = Instant(now).to_tz(zone)
    begin, end = Time(quiet.from_), Time(quiet.to)
    for day in _DAYS:
        started = _at(local, zone, day, begin, "earlier")
        ended = _at(local, zone, day + (end <= begin), end, "later")
        if started <= local < ended:
            return ended.to_instant().to_stdlib().astimezone(UTC)
    return None


def _at(local: ZonedDateTime, zone: str, days: int, time: Time, which: Literal["earlier", "later"]) -> ZonedDateTime:
    return local.date().add(days=days).at(time).assume_tz(zone, disambiguation=which)
