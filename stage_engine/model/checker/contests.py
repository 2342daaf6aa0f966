"""Rules that always lose to another, and events that send an instance back and forth. Pure."""

from collections.abc import Iterator

from stage_engine.model.checker.doubt import Doubt, place_of
from stage_engine.model.checker.ways import Ways, number_of
from stage_engine.model.model import EventRule


def contest_doubts(ways: Ways) -> Iterator[Doubt]:
    for rule in ways.rules:
        if (
            isinstance(rule, EventRule) and number_of(ways.track, rule) >= 0
        ):  # a start's `on` begins, whoever wins later
            yield from _loses(ways, rule)
    yield from _to_and_fro(ways)


def _loses(ways: Ways, rule: EventRule) -> Iterator[Doubt]:
    """For which of its events, from wherever it leads, a rule that is listed later always applies too."""
    starts = ways.starts(rule)
    seen = sorted(name for name in rule.on if ways.sees(name))
    winners = {name: [ways.winner(rule, stage, name) for stage in starts if ways.meets(name, stage)] for name in seen}
    lost = {name: found for name, found in winners.items() if found and all(found)}
    if not lost:
        return
    first = next(winner for found in lost.values() for winner in found if winner is not None)
    names = ", ".join(f"`{name}`" for name in lost)
    said = "this rule can never win" if len(lost) == len(seen) else f"this rule can never win for {names}"
    alike = "the same `when`" if first.when is not None else "no `when`"
    yield Doubt(
        where=place_of(ways.track, rule),
        message=f"{said}: the one into `{first.target}` ({{beside}}) is listed later, with {alike}",
        fix="the last listed wins: give that one a `when` or a narrower `from`, or list this one later",
        beside=place_of(ways.track, first),
    )


def _to_and_fro(ways: Ways) -> Iterator[Doubt]:
    told: set[frozenset[str]] = set()
    for name, rules in ways.track.event_rules.items():
        for text in (None, *dict.fromkeys(rule.when.text for rule in rules if rule.when is not None)):
            found = {stage: _taken(rules, stage, text) for stage in ways.open if ways.meets(name, stage)}
            taken = {stage: rule for stage, rule in found.items() if rule is not None}
            for round_ in _rounds(taken):
                if frozenset(round_) <= ways.reached and frozenset(round_) not in told:
                    told.add(frozenset(round_))
                    yield _round_doubt(ways, name, round_, taken)


def _taken(rules: tuple[EventRule, ...], stage: str, text: str | None) -> EventRule | None:
    """The rule that an event takes here if, of all conditions, those that say `text` hold; none that cools down."""
    for rule in reversed(rules):
        holds = rule.when is None or rule.when.text == text
        if holds and (rule.sources is None or stage in rule.sources):
            return rule if rule.cooldown is None else None
    return None


def _rounds(taken: dict[str, EventRule]) -> Iterator[list[str]]:
    """The stages of each way that leads back to where it began."""
    for start in taken:
        path = [start]
        while path[-1] in taken and taken[path[-1]].target not in path:
            path.append(taken[path[-1]].target)
        if len(path) > 1 and path[-1] in taken and taken[path[-1]].target == start:
            yield path


def _round_doubt(ways: Ways, name: str, stages: list[str], taken: dict[str, EventRule]) -> Doubt:
    order = ways.track.stages
    first = min(stages, key=order.index)
    at = stages.index(first)
    turned = [*stages[at:], *stages[:at]]
    back = taken[turned[-1]]
    return Doubt(
        where=place_of(ways.track, back),
        message=f"every further `{name}` moves on and back again: {' → '.join(f'`{s}`' for s in [*turned, first])}",
        fix="say in `when` or `from` which way it leads, or give one a `cooldown`",
    )
