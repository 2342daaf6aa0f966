"""`followups.yaml`, as marketers write it, with the place of every fault."""

import re
from datetime import timedelta

from notifier.conditions import names_on
from notifier.followups import ONCE_PER_INSTANCE, Entered, FollowUp, FollowUps, Left, OncePer, Purpose
from notifier.followups_slips import Slips
from notifier.followups_written import CustomerOnce, FollowUpWritten, WhenWritten
from notifier.followups_written import FollowUpsWritten as FollowUpsWritten
from notifier.shipped import lay_under
from notifier.steps_file import read_steps
from services.errors import ShopError
from services.shop import YamlFile


def read_follow_ups(source: YamlFile) -> FollowUps:
    """Raises ShopError for what can't be meant, one line a fault, each with the place and the fix."""
    found, faults = what_reads(source)
    if faults:
        raise ShopError("\n".join(map(str, faults)))
    return found


def what_reads(source: YamlFile) -> tuple[FollowUps, list[ShopError]]:
    """What can be read, whatever else is wrong, and what is; raises ShopError for what is no mapping."""
    if not source.data:
        return {}, []
    found: dict[str, FollowUp] = {}
    faults: list[ShopError] = []
    for name in source.mapping():
        slips = Slips(source, name)
        follow_up = _follow_up(source, name, slips)
        faults += slips.faults
        if follow_up is not None:
            found[name] = follow_up
    return found, faults


def _follow_up(source: YamlFile, name: str, slips: Slips) -> FollowUp | None:
    """Reads one to its end, whatever is wrong on the way; None if what is left of it says too little."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        slips.add([], f"`{name}` can't name a follow-up; use a-z, 0-9 and -, as in `abandoned-cart`")
    if not lay_under(source, name, slips):
        return None
    fitted = source.fitting([name], FollowUpWritten)
    for slip in fitted.slips:
        slips.add(slip.where, slip.message, slip.character)
    return _made(name, fitted.value, slips) if fitted.value is not None else None


def _made(name: str, written: FollowUpWritten, slips: Slips) -> FollowUp | None:
    when, purpose = written.when, Purpose(written.purpose)
    if written.resend_unknown and purpose is Purpose.MARKETING:
        slips.add(["resend_unknown"], "marketing is never sent twice; leave `resend_unknown` to transactional mail")
    stage = _start(when, slips)
    until = _until(written, slips)
    names = names_on(when.track)
    max_age, once = slips.duration(["max_age"], written.max_age), _once_per(written, slips)
    if max_age == timedelta():
        slips.add(["max_age"], "nothing can be sent within no time; write how long it is worth sending, as in 24h")
    condition = slips.condition(["when", "if"], when.if_, names)
    steps = read_steps(written, names, slips)
    if purpose is Purpose.MARKETING and any(step.to_staff for step in steps):
        slips.add(["purpose"], "what goes to the shop's own people is no marketing; write `transactional`")
    if written.topic is not None and purpose is not Purpose.MARKETING:
        slips.add(["topic"], "only marketing can be refused by its topic; take it out, or write `purpose: marketing`")
    holdout = _share(written.holdout, slips)
    if stage is None or max_age is None or once is None or not steps:
        return None
    once_per, cool_down = once
    return FollowUp(
        name=name,
        track=when.track,
        stage=stage,
        leaving=when.left is not None,
        condition=condition,
        until=until,
        purpose=purpose,
        steps=steps,
        max_age=max_age,
        once_per=once_per,
        cool_down=cool_down,
        priority=written.priority,
        holdout=holdout,
        delivery=written.delivery,
        topic=written.topic,
        resend_unknown=written.resend_unknown,
    )


def _start(when: WhenWritten, slips: Slips) -> str | None:
    if (when.entered is None) == (when.left is None):
        slips.add(["when"], "what starts it is not said; write either `entered: stage` or `left: stage`")
        return None
    return when.entered if when.entered is not None else when.left


def _until(written: FollowUpWritten, slips: Slips) -> Left | Entered | None:
    until, when = written.until, written.when
    if until is None:
        return None
    if until.left is not None and until.entered is None and until.track is None:
        if until.left != when.entered:
            fix = f"write `{when.entered}` here" if when.entered else "write `entered: [stage, …]` instead"
            slips.add(["until", "left"], f"only leaving the stage it starts at can end it; {fix}")
        return Left(stage=until.left)
    if until.entered and until.left is None:
        return Entered(stages=frozenset(until.entered), track=until.track)
    slips.add(
        ["until"],
        "what ends it is not said; write `left: stage`, `entered: [stage, …]` or `{track: order, entered: [placed]}`",
    )
    return None


def _once_per(written: FollowUpWritten, slips: Slips) -> tuple[OncePer, timedelta | None] | None:
    match written.once_per:
        case None:
            return (OncePer.INSTANCE if written.when.track in ONCE_PER_INSTANCE else OncePer.CAUSE), None
        case CustomerOnce(customer=said):
            cool_down = slips.duration(["once_per", "customer"], said)
            return None if cool_down is None else (OncePer.CUSTOMER, cool_down)
        case said:
            return OncePer(said), None


def _share(said: str | None, slips: Slips) -> float:
    if said is None:
        return 0.0
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,4})?)\s*%\s*", said)
    share = float(match[1]) / 100 if match else -1.0
    if not 0.0 <= share < 1.0:
        slips.add(["holdout"], f"`{said}` is no share of customers; write it as in 10%, and less than 100%")
        return 0.0
    return share
