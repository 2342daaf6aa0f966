"""Conditions that can never hold. Pure."""

from collections.abc import Iterator
from difflib import get_close_matches

from services.conditions.never import always, claims, why_never
from stage_engine.model.checker.doubt import Doubt, Where, place_of
from stage_engine.model.checker.ways import Ways
from stage_engine.model.model import Fact, FactKind, Model, TimedRule


def condition_doubts(model: Model, ways: Ways) -> Iterator[Doubt]:
    for rule in ways.rules:
        if rule.when is None:
            continue
        where = (*place_of(ways.track, rule), "when")
        yield from _of_text(model, rule.when.text, where)
        events = sorted(".".join(path) for path in rule.when.reads if path[0] == "event")
        if events and isinstance(rule, TimedRule):
            yield Doubt(
                where=where,
                message=f"time brings no event, so `{events[0]}` is always missing here",
                fix="ask a fact instead, as in `last: …, of: …`",
            )


def fact_condition_doubts(model: Model) -> Iterator[Doubt]:
    for fact in model.facts.values():
        if fact.where is not None:
            yield from _of_text(model, fact.where.text, ("facts", fact.name, "where"))


def _of_text(model: Model, text: str, where: Where) -> Iterator[Doubt]:
    counts = {("facts", fact.name) for fact in model.facts.values() if _counts_up(fact)}
    stages: dict[tuple[str, ...], tuple[str, ...]] = {("stages", track.name): track.stages for track in model.tracks}
    if (why := why_never(text, counts)) is not None:
        fix = "take one of them out, or write `||`" if "both" in why else "take it out"
        yield Doubt(where=where, message=f"this can never hold: {why}", fix=fix)
    for claim in always(text, counts):
        fix = "take it out, or write `> 0`"
        yield Doubt(where=where, message=f"`{claim}` always holds: a count is never below 0", fix=fix)
    for claim in claims(text):
        known = stages.get(claim.path)
        if known is not None and claim.value not in known:
            close = get_close_matches(str(claim.value), known, n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"
            yield Doubt(where=where, message=f"`{claim.path[1]}` has no stage `{claim.value}`", fix=fix)


def _counts_up(fact: Fact) -> bool:
    """Whether it is a whole number that is never below 0."""
    return fact.kind in (FactKind.COUNT, FactKind.DISTINCT) and fact.by is None and not fact.less
