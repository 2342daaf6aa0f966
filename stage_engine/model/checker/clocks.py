"""Timed rules that are due at once, and those that are never due first. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from services.durations import spoken
from stage_engine.model.checker.doubt import Doubt, place_of
from stage_engine.model.checker.ways import Ways, clock_of
from stage_engine.model.model import Model, Per, TimedRule
from stage_engine.subjects import is_own


def clock_doubts(model: Model, ways: Ways) -> Iterator[Doubt]:
    timed = [rule for rule in ways.rules if isinstance(rule, TimedRule)]
    for rule in timed:
        yield from _never_first(ways, rule)
        for before in timed:
            if before is not rule and before.target in ways.starts(rule) and _is_old(model, ways, rule, before):
                yield from _at_once(ways, rule, before)


def _never_first(ways: Ways, rule: TimedRule) -> Iterator[Doubt]:
    winners = [ways.winner(rule, stage, None) for stage in ways.starts(rule)]
    if winners and all(winners):
        first = next(winner for winner in winners if winner is not None)
        when = "always due before it" if isinstance(first, TimedRule) and first.after < rule.after else "due with it"
        yield Doubt(
            where=place_of(ways.track, rule),
            message=f"this rule can never win: the one into `{first.target}` ({{beside}}) is {when}",
            fix="give that one a longer time, or a `when` or a narrower `from`",
            beside=place_of(ways.track, first),
        )


def _is_old(model: Model, ways: Ways, rule: TimedRule, before: TimedRule) -> bool:
    """Whether what the rule counts from lies at least its time back when `before` has led into its stage."""
    if before.after < rule.after or not (rule.idle or rule.since):
        return False
    if clock_of(before) == clock_of(rule):
        return True
    per = ways.track.per
    seen = rule.of_instance or per is Per.CUSTOMER
    return before.idle and not rule.date and seen and all(is_own(per, name) for name in model.armed_by(rule)[0])


def _at_once(ways: Ways, rule: TimedRule, before: TimedRule) -> Iterator[Doubt]:
    """Where the rule waited in the stage before, too, it was due there, and is spent."""
    waited = ways.starts(rule)
    if all(stage in waited for stage in ways.starts(before)):
        return
    if rule.date:
        said = f"that is {before.spoken} ({{beside}}), and this says {rule.spoken}"
        fix = "give the one that is to come first the longer `ahead:`"
    else:
        said = f"{before.spoken} have passed by then ({{beside}}), and this says {spoken(rule.after)}"
        key = "idle" if rule.idle else "since"
        fix = f"write more than {spoken(before.after)}, or leave `{key}` out to count from the entry"
    yield Doubt(
        where=(*place_of(ways.track, rule), "ahead" if rule.date and rule.after < timedelta() else "after"),
        message=f"this is due the moment `{before.target}` is entered: {said}",
        fix=fix,
        beside=place_of(ways.track, before),
    )
