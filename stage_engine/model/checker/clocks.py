"""Timed rules that are due at once, and those that are never due first. Pure."""

from collections.abc import Iterator

from services.durations import spoken
from stage_engine.model.checker.doubt import Doubt, place_of
from stage_engine.model.checker.ways import Ways
from stage_engine.model.model import Per, TimedRule


def clock_doubts(ways: Ways) -> Iterator[Doubt]:
    timed = [rule for rule in ways.rules if isinstance(rule, TimedRule)]
    for rule in timed:
        yield from _never_first(ways, rule)
        for before in timed:
            if before is not rule and before.target in ways.starts(rule) and _is_old(ways, rule, before):
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


def _is_old(ways: Ways, rule: TimedRule, before: TimedRule) -> bool:
    """Whether what the rule counts from lies at least its time back when `before` has led into its stage."""
    if rule.idle:
        alike = before.idle
    elif rule.since is not None:
        alike = before.since == rule.since or (before.idle and ways.track.per is Per.CUSTOMER)
    else:
        alike = False
    return alike and before.after >= rule.after


def _at_once(ways: Ways, rule: TimedRule, before: TimedRule) -> Iterator[Doubt]:
    """Where the rule waited in the stage before, too, it was due there, and is spent."""
    waited = ways.starts(rule)
    if any(stage not in waited for stage in ways.starts(before)):
        key = "idle" if rule.idle else "since"
        yield Doubt(
            where=(*place_of(ways.track, rule), "after"),
            message=(
                f"this is due the moment `{before.target}` is entered:"
                f" {before.spoken} have passed by then ({{beside}}), and this says {spoken(rule.after)}"
            ),
            fix=f"write more than {spoken(before.after)}, or leave `{key}` out to count from the entry",
            beside=place_of(ways.track, before),
        )
