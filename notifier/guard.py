"""Whether a planned message may go out now. Pure; asked just before sending, with all that is known then."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from notifier.beside import Beside
from notifier.conditions import Happened, scope
from notifier.coupons import Issued, issued
from notifier.delivery import Way, delivered
from notifier.draws import held_out, variant_of
from notifier.followups import EMAIL, WEBHOOK, FollowUp, Step
from notifier.holdings import Customer, Instance
from notifier.limits import Limits, cap_of, cooling, room, room_at
from notifier.plan import ended_elsewhere, happened_in, stands
from notifier.quiet import quiet_until, zone_of
from notifier.reach import Aim, Reachable, aim
from notifier.switches import NONE, Switches
from services.contracts.reasons import Reason
from services.contracts.storefront import Storefront

FRESH: Final = timedelta(seconds=60)
"""How old `known_until` may be: beyond that an order may lie somewhere that would end what we are about to send."""
LOOK_AGAIN: Final = timedelta(seconds=5)
"""After a deferral for freshness; `known_until` comes once a second when all is well."""
WHILE_PAUSED: Final = timedelta(minutes=5)
"""Resuming wakes what waits; this is for what was being put off at that very moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the guard looks at of a stored message. `variant` and `coupon_expires_at` are of an attempt before.

    A variant that the shop has taken out since is drawn anew.

    `channel` is of an attempt that may have delivered it: by another it would surely come twice.
    """

    id: UUID
    step: int
    transition: UUID
    occasion: UUID
    expires_at: datetime
    variant: str | None = None
    coupon_expires_at: datetime | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """`known_until` is the least of all partitions', None before all were heard of.

    `claim_spent`: a browser's claim of this address, or of this customer, was used for another message already.
    `claim_capped`: its network, or its storefront, has had as many mails to claimed addresses as are believed.
    `suppressed` says why nothing of the message's purpose goes to the address (a hard bounce, a complaint).
    `restored`: it was due before the database was restored to an earlier time: for all we know it has been sent.
    """

    follow_up: FollowUp | None
    storefront: Storefront | None
    customer: Customer
    instance: Instance
    known_until: datetime | None
    claim_spent: bool
    claim_capped: bool = False
    suppressed: str | None = None
    restored: bool = False
    beside: Beside = field(default_factory=Beside)
    switches: Switches = NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """`claim`: the address was said by a browser only, and this message uses it up. `limits` are asked once more.

    `meant_for` is the customer's own address where it is redirected to another. `to_staff`: it goes to the shop's own
    people, about the customer.
    """

    address: str
    meant_for: str | None = None
    way: Way = Way.LIVE
    claim: bool
    channel: str = EMAIL
    variant: str | None = None
    coupon: Issued | None = None
    drawn_as: UUID
    limits: Limits
    to_staff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    until: datetime
    why: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Withhold:
    why: Reason


Decision = Send | Defer | Withhold


def is_fresh(known_until: datetime | None, now: datetime) -> bool:
    return known_until is not None and now - known_until < FRESH


def guard(message: Message, circumstances: Circumstances, now: datetime) -> Decision:
    """What nothing mends comes first, then what waits for knowledge, then the customer, then the hour and the crowd.

    So the reason that is told is the one that would have to change first; who is held out is exactly who would have got
    it; and a message waits for room or for the morning only if nothing else is in its way.
    """
    follow_up, storefront, instance = circumstances.follow_up, circumstances.storefront, circumstances.instance
    step = None if follow_up is None else follow_up.step(message.step)
    if follow_up is None or storefront is None or step is None:
        return Withhold(why=Reason.NOT_CONFIGURED)
    happened = happened_in(instance, message.transition)
    if happened is None or not stands(instance, follow_up, message.transition):
        return Withhold(why=Reason.VOID)
    waits = _untimely(message, follow_up, circumstances, now) or _in_turn(message, circumstances.beside, now)
    if waits is not None:
        return waits
    forbidden = _forbidden(follow_up, storefront, circumstances) or _unasked(follow_up, step, happened, circumstances)
    if forbidden is not None:
        return Withhold(why=forbidden)
    reachable = Reachable(
        profile=circumstances.customer.profile,
        claim_spent=circumstances.claim_spent,
        claim_capped=circumstances.claim_capped,
        suppressed=circumstances.suppressed,
    )
    way = step if message.channel is None else replace(step, channels=(message.channel,))
    aimed = aim(follow_up, way, storefront, reachable)
    if isinstance(aimed, Reason):
        return Withhold(why=aimed)
    return _timed(message, follow_up, step, storefront, aimed, circumstances, now)


def _untimely(
    message: Message, follow_up: FollowUp, circumstances: Circumstances, now: datetime
) -> Defer | Withhold | None:
    if circumstances.restored:
        return Withhold(why=Reason.RESTORED)
    if now >= message.expires_at:
        return Withhold(why=Reason.TOO_OLD)
    if circumstances.switches.over(follow_up.name, circumstances.customer.storefront) is not None:
        return _paused(message, now)
    if not is_fresh(circumstances.known_until, now):
        return Defer(until=now + LOOK_AGAIN, why=Reason.NOT_FRESH)
    return None


def _paused(message: Message, now: datetime) -> Defer:
    """For as long as it is worth sending: nothing is decided meanwhile, since what is paused may be about to change."""
    return Defer(until=min(now + WHILE_PAUSED, message.expires_at), why=Reason.PAUSED)


def _in_turn(message: Message, beside: Beside, now: datetime) -> Defer | Withhold | None:
    """The messages of one occasion come in their order."""
    if beside.overtaken:
        return Withhold(why=Reason.OVERTAKEN)
    if beside.step_before is None:
        return None
    return _wait(message, max(beside.step_before, now + LOOK_AGAIN), Reason.STEP_BEFORE)


def _forbidden(follow_up: FollowUp, storefront: Storefront, circumstances: Circumstances) -> Reason | None:
    if circumstances.customer.hold is not None:
        return Reason.ON_HOLD
    if not follow_up.marketing:
        return None
    stages, stops = circumstances.beside.stages, storefront.marketing_stops_in
    return Reason.MARKETING_STOPPED if any(stages.get(track) in stops[track] for track in stops) else None


def _unasked(follow_up: FollowUp, step: Step, happened: Happened, circumstances: Circumstances) -> Reason | None:
    """What it was written for: the ending of another track, and its conditions."""
    beside, instance = circumstances.beside, circumstances.instance
    if ended_elsewhere(follow_up, happened, beside.others):
        return Reason.ENDED
    conditions = [one for one in (follow_up.condition, step.condition) if one is not None]
    if not conditions:
        return None
    asked_of = scope(instance, happened, circumstances.customer.profile, beside.stages, beside.since)
    return None if all(one.holds(asked_of) for one in conditions) else Reason.CONDITION


def _timed(
    message: Message,
    follow_up: FollowUp,
    step: Step,
    storefront: Storefront,
    aimed: Aim,
    circumstances: Circumstances,
    now: datetime,
) -> Decision:
    """It could go. Whether it does is a matter of the draw, the hour, and of what else the customer gets."""
    way, address = delivered(follow_up, storefront, aimed)
    limits = Limits(
        follow_up=follow_up.name,
        occasion=message.occasion,
        channel=aimed.channel,
        cap=cap_of(storefront, aimed.channel, marketing=follow_up.marketing),
        cool_down=follow_up.cool_down,
        trial=way is not Way.LIVE,
    )
    drawn_as = circumstances.beside.drawn_as or circumstances.customer.id
    if cooling(limits, circumstances.beside.given, now):
        return Withhold(why=Reason.COOL_DOWN)
    if held_out(follow_up, drawn_as):
        return Withhold(why=Reason.HOLDOUT)
    waits = _waits(message, follow_up, storefront, limits, circumstances, now)
    if waits is not None:
        return waits
    tried = message.variant if any(one.name == message.variant for one in step.variants) else None
    variant = tried or variant_of(follow_up, step, drawn_as)
    return Send(
        address=address,
        meant_for=aimed.address if way is Way.REDIRECT else None,
        way=way,
        claim=aimed.claim and way is Way.LIVE,
        channel=aimed.channel,
        variant=variant,
        coupon=_coupon(message, step, variant, now),
        drawn_as=drawn_as,
        limits=limits,
        to_staff=step.to_staff,
    )


def _waits(
    message: Message,
    follow_up: FollowUp,
    storefront: Storefront,
    limits: Limits,
    circumstances: Circumstances,
    now: datetime,
) -> Defer | Withhold | None:
    """For its channel, for the morning, for room, or for something more important."""
    if circumstances.switches.over_channel(limits.channel) is not None:
        return _paused(message, now)
    beside = circumstances.beside
    quiet = storefront.quiet_hours if follow_up.marketing and limits.channel != WEBHOOK else None
    zone = zone_of(circumstances.customer.profile, storefront)
    if quiet is not None and (until := quiet_until(quiet, zone, now)) is not None:
        return _wait(message, until, Reason.QUIET_HOURS)
    left = room(limits, beside.given, now)
    if left == 0:
        return _wait(message, room_at(limits, beside.given, now), Reason.CAPPED)
    if left is not None and beside.ahead >= left:
        return _wait(message, now + LOOK_AGAIN, Reason.OUTRANKED)
    return None


def _wait(message: Message, until: datetime | None, why: Reason) -> Defer | Withhold:
    """Within its max_age, else never."""
    return Withhold(why=why) if until is None or until >= message.expires_at else Defer(until=until, why=why)


def _coupon(message: Message, step: Step, variant: str | None, now: datetime) -> Issued | None:
    """As at the first attempt, if there was one."""
    _, coupon = step.look(variant)
    if coupon is None:
        return None
    first = issued(coupon, message.id, now)
    return first if message.coupon_expires_at is None else replace(first, expires_at=message.coupon_expires_at)
