"""The most messages that one customer of a storefront could get in a week, by channel and purpose. Pure.

An upper bound, not a forecast: everybody comes everywhere as often as they can, and is reached on every channel that a
step names. A customer can leave any number of carts; what is sent for each of them only a cap bounds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from notifier.followups import FollowUp, OncePer, Purpose, Step
from notifier.limits import WEEK, cap_of
from services.contracts.storefront import Cap, Storefront

DAYS: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one follow-up adds: `times` in any week, or so many `of_each` cart, order or coming to a stage."""

    follow_up: str
    times: int
    of_each: str | None

    def __str__(self) -> str:
        each = f" for each {self.of_each}" if self.of_each else ""
        return f"{self.follow_up} {self.times}{each}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """`most` is None where nothing bounds it; `capped` where it is the storefront's cap that does."""

    channel: str
    purpose: Purpose
    most: int | None
    capped: bool
    shares: tuple[Share, ...]

    def __str__(self) -> str:
        most = "no bound" if self.most is None else f"{self.most}{' by the cap' if self.capped else ''}"
        return f"{self.channel}, {self.purpose}: {most} ({', '.join(map(str, self.shares))})"


def worst_week(follow_ups: Iterable[FollowUp], storefront: Storefront) -> tuple[Worst, ...]:
    """Those on which anything goes to customers."""
    live = [one for one in follow_ups if (one.delivery or storefront.delivery) == "live"]
    channels = dict.fromkeys(channel for one in live for step in one.steps for channel in step.channels)
    found = []
    for channel in channels:
        for purpose in Purpose:
            shares = [share for one in live if one.purpose is purpose and (share := _share(one, channel))]
            if shares:
                cap = cap_of(storefront, channel, marketing=purpose is Purpose.MARKETING)
                found.append(_worst(channel, purpose, shares, cap))
    return tuple(found)


def _worst(channel: str, purpose: Purpose, shares: Sequence[Share], cap: Cap) -> Worst:
    asked = None if any(share.of_each for share in shares) else sum(share.times for share in shares)
    allowed = _a_week(cap)
    capped = allowed is not None and (asked is None or allowed < asked)
    return Worst(
        channel=channel,
        purpose=purpose,
        most=allowed if capped else asked,
        capped=capped,
        shares=tuple(shares),
    )


def _a_week(cap: Cap) -> int | None:
    by_day = None if cap.day is None else cap.day * DAYS
    return min((most for most in (by_day, cap.week) if most is not None), default=None)


def _share(follow_up: FollowUp, channel: str) -> Share | None:
    steps = [step for step in follow_up.steps if channel in step.channels]
    if not steps:
        return None
    times, of_each = _in_any_week(steps), None
    match follow_up.once_per:
        case OncePer.INSTANCE:
            of_each = follow_up.track
        case OncePer.CAUSE:
            of_each = f"{'leaving' if follow_up.leaving else 'coming to'} {follow_up.stage}"
        case OncePer.CUSTOMER:
            times *= _occasions(follow_up.cool_down or timedelta())
            of_each = None if follow_up.cool_down else follow_up.track
    return Share(follow_up=follow_up.name, times=times, of_each=of_each)


def _in_any_week(steps: Sequence[Step]) -> int:
    """The most of one occasion's messages that lie within seven days."""
    return max(sum(start.after <= step.after < start.after + WEEK for step in steps) for start in steps)


def _occasions(cool_down: timedelta) -> int:
    """How many may begin in a week that keep so far apart."""
    return 1 if cool_down >= WEEK else 1 + int((WEEK - timedelta(microseconds=1)) / max(cool_down, timedelta(hours=1)))
