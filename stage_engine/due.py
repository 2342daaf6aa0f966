"""Due times: what the state says must happen when. Nobody sets or cancels a timer. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from services.contracts.changes import Cause
from stage_engine.facts import FactState
from stage_engine.model.model import Model, TimedRule
from stage_engine.state import Instance


class Arm(NamedTuple):
    """A timed rule with the time that armed it, and the event that set that time.

    `not_before`: a date may be said when it has passed, and a cool-down may still last.
    """

    rule: TimedRule
    armed_at: datetime
    cause: Cause
    not_before: datetime | None = None


class Due(NamedTuple):
    """The rules of one instance that come due at one time, in the order in which they are listed."""

    at: datetime
    instance: Instance
    arms: tuple[Arm, ...]


def next_due(model: Model, instances: Iterable[Instance], facts: FactState) -> Due | None:
    """The earliest; of one time the first track's, then in the order in which the instances began."""
    found = [due for instance in instances if (due := _of_instance(model, instance, facts))]
    if len(found) <= 1:
        return found[0] if found else None
    order = {track.name: position for position, track in enumerate(model.tracks)}
    return min(found, key=lambda due: (due.at, order[due.instance.track], due.instance.opened, due.instance.slot))


def _of_instance(model: Model, instance: Instance, facts: FactState) -> Due | None:
    times = [(due_at(arm, instance), arm) for arm in armed(model, instance, facts)]
    if not times:
        return None
    earliest = min(at for at, _ in times)
    return Due(earliest, instance, tuple(arm for at, arm in times if at == earliest))


def armed(model: Model, instance: Instance, facts: FactState) -> Iterator[Arm]:
    """The timed rules that wait in the instance's stage and that have not come due since they were last armed."""
    for rule in model.track(instance.track).timed_rules.get(instance.stage, ()):
        if rule.idle:
            arm = Arm(rule, instance.touched_at, instance.touched_by)
        elif rule.since is None:
            arm = Arm(rule, instance.since, instance.entered_by)
        elif rule.date:
            date = facts.dates.get(rule.since)
            if date is None:
                continue
            arm = Arm(rule, date.at, date.cause, date.said_at)
        else:
            latest = (instance.last if rule.of_instance else facts.latest).get(rule.since)
            if latest is None:
                continue
            arm = Arm(rule, latest.at, latest.cause)
        if instance.spent.get(rule.id) != arm.armed_at:
            yield arm if rule.cooldown is None else _cooling(arm, rule.cooldown, instance)


def _cooling(arm: Arm, cooldown: timedelta, instance: Instance) -> Arm:
    """Nobody is lost in a cool-down: what comes due in it is due at its end."""
    fired = instance.fired.get(arm.rule.id)
    if fired is None:
        return arm
    return arm._replace(not_before=max(arm.not_before or fired, fired + cooldown))


def due_at(arm: Arm, instance: Instance) -> datetime:
    """A rule that was overdue when its stage was entered is due upon entry, never before it."""
    at = max(arm.armed_at + arm.rule.after, instance.since)
    return at if arm.not_before is None else max(at, arm.not_before)
