"""Stages that nobody can come to, and stages that nobody can leave. Pure."""

from collections.abc import Collection, Iterator

from stage_engine.model.checker.doubt import Doubt, Where, place_of
from stage_engine.model.checker.ways import Ways


def reach_doubts(ways: Ways, told: Collection[Where]) -> Iterator[Doubt]:
    """`told` are the rules of which it was said already why they move nobody."""
    stuck = {place_of(ways.track, rule) for rule in ways.rules if not ways.starts(rule)}
    yield from _stuck_rules(ways)
    for stage in ways.track.stages:
        if stage not in ways.reached:
            yield from _unreached(ways, stage, {*told, *stuck})
        elif stage in ways.open and not any(ways.out_of(stage)):
            yield from _trap(ways, stage)


def _stuck_rules(ways: Ways) -> Iterator[Doubt]:
    for rule in ways.rules:
        finals = sorted((rule.sources or frozenset()) & ways.track.finals)
        where = (*place_of(ways.track, rule), "from")
        if finals:
            verb, pronoun = ("is", "it") if len(finals) == 1 else ("are", "them")
            yield Doubt(
                where=where,
                message=f"{_listed(finals)} {verb} final: nothing leads out of {pronoun}",
                fix=f"take {pronoun} out of `from`, or `final: true` off",
            )
        elif not ways.starts(rule) and rule.sources is not None:
            yield Doubt(
                where=where,
                message=f"this leads from `{rule.target}` to `{rule.target}`, which is no move",
                fix="name other stages, or write `again: true` if it is to count as one",
            )


def _unreached(ways: Ways, stage: str, told: Collection[Where]) -> Iterator[Doubt]:
    where = ("tracks", ways.track.name, "stages", stage)
    into = [rule for rule in ways.rules if rule.target == stage]
    if not into:
        yield Doubt(where=where, message=f"nothing leads into `{stage}`", fix="give it `enter:`, or take it out")
    elif not all(_is_told(place_of(ways.track, rule), told) for rule in into):
        closed = [start for start in ways.track.stages if start != stage and any(start in ways.starts(r) for r in into)]
        yield Doubt(
            where=where,
            message=f"nobody can come to `{stage}`: its rules lead from {_listed(closed)}, where nobody can be",
            fix="widen `from`, or let a rule lead there",
        )


def _is_told(rule: Where, told: Collection[Where]) -> bool:
    return any(where[: len(rule)] == rule for where in told)


def _trap(ways: Ways, stage: str) -> Iterator[Doubt]:
    if any(any(ways.out_of(other)) for other in ways.open if other in ways.reached):
        yield Doubt(
            where=("tracks", ways.track.name, "stages", stage),
            message=f"nothing leads out of `{stage}`, and it is not final",
            fix="write `final: true` if it is an end, else a rule that leads on",
        )


def _listed(stages: list[str]) -> str:
    return ", ".join(f"`{stage}`" for stage in stages)
