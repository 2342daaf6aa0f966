"""The facts of two pasts that were folded apart, as one. Pure.

Counts and sums add up, of extremes and times the further holds, distinct values are united. When a `first` or `last`
value was said is not known, so the past that began earlier, or ended later, has the word.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, assert_never
from uuid import UUID

from msgspec.structs import fields

from stage_engine.facts import MAX_DISTINCT, MOST_KEYS, Dated, FactState, Keyed, Latest
from stage_engine.model.model import Fact, FactKind, Model

Value = TypeVar("Value")
Join = Callable[[Any, Any], Any]
SLIDING = frozenset({"windows", "amounts", "recent"})


def merged_facts(earlier: FactState, later: FactState, model: Model, *, later_began_first: bool) -> FactState:
    """`later` is of the past that ended later. Facts by order are as `earlier` has them: the order book has more."""
    both = FactState()
    for fact in (*model.facts.values(), *model.clocks.values()):
        if fact.per_order:
            for held in fields(FactState):
                values: dict[str, Any] = getattr(earlier, held.name)
                if fact.name in values:
                    getattr(both, held.name)[fact.name] = values[fact.name]
        elif fact.by is not None:
            keyed = _keyed(fact, earlier, later, later_began_first=later_began_first)
            if keyed:
                both.keyed[fact.name] = keyed
        else:
            _merge(both, fact.name, fact, earlier, later, later_began_first=later_began_first)
    both.dates.update(_dates(earlier, later, model, later_began_first=later_began_first))
    return both


def _dates(earlier: FactState, later: FactState, model: Model, *, later_began_first: bool) -> dict[str, Dated]:
    """As the traits and the facts that they stand in: the later word holds, but for what was said first."""
    found = {**earlier.dates, **later.dates}
    for name, date in earlier.dates.items():
        fact = model.facts.get(name)
        if fact is not None and fact.kind is FactKind.FIRST and not later_began_first:
            found[name] = date
    return found


def _keyed(fact: Fact, earlier: FactState, later: FactState, *, later_began_first: bool) -> dict[str, Keyed]:
    one, other = earlier.keyed.get(fact.name, {}), later.keyed.get(fact.name, {})
    found: dict[str, Keyed] = {}
    for key in dict.fromkeys((*one, *other)):
        held = [keyed[key] for keyed in (one, other) if key in keyed]
        value = held[0].value
        if len(held) == 2:  # noqa: PLR2004  both know it
            value = FactState()
            first, last = sorted(held, key=lambda keyed: keyed.at)
            began = later_began_first if first is held[0] else not later_began_first
            _merge(value, "", fact, first.value, last.value, later_began_first=began)
        found[key] = Keyed(max(keyed.at for keyed in held), value)
    newest = sorted(found, key=lambda key: (found[key].at, key))[-MOST_KEYS:]
    return {key: found[key] for key in found if key in set(newest)}


def _merge(
    both: FactState, slot: str, fact: Fact, earlier: FactState, later: FactState, *, later_began_first: bool
) -> None:
    where, join = _way(fact, later_began_first=later_began_first)
    if where in SLIDING:
        join = _steps(join)
    _put(getattr(both, where), slot, getattr(earlier, where), getattr(later, where), join)


def _way(fact: Fact, *, later_began_first: bool) -> tuple[str, Join]:
    """In which of the running values a kind is held, and how two of them become one."""
    slides = fact.within is not None
    match fact.kind:
        case FactKind.COUNT | FactKind.POINTS:
            return "windows" if slides else "counts", operator.add
        case FactKind.SUM:
            return "amounts" if slides else "sums", operator.add
        case FactKind.MIN | FactKind.MAX:
            return "amounts" if slides else "extremes", min if fact.kind is FactKind.MIN else max
        case FactKind.DISTINCT:
            return ("recent", max) if slides else ("distinct", _united)
        case FactKind.LATEST:
            return "latest", lambda one, other: max(one, other, key=_when)
        case FactKind.FIRST | FactKind.LAST:
            from_later = later_began_first or fact.kind is FactKind.LAST
            return "kept", lambda earlier, later: later if from_later else earlier
        case _ as never:
            assert_never(never)


def _put(
    both: dict[str, Value],
    slot: str,
    earlier: Mapping[str, Value],
    later: Mapping[str, Value],
    join: Callable[[Value, Value], Value],
) -> None:
    """What one of them knows, or what both know as one."""
    if slot in earlier and slot in later:
        both[slot] = join(earlier[slot], later[slot])
    elif slot in earlier or slot in later:
        both[slot] = earlier[slot] if slot in earlier else later[slot]


def _steps(join: Callable[[Any, Any], Any]) -> Callable[[Mapping[Any, Any], Mapping[Any, Any]], dict[Any, Any]]:
    """Of what slides, step by step."""

    def joined(earlier: Mapping[Any, Any], later: Mapping[Any, Any]) -> dict[Any, Any]:
        found = dict(earlier)
        for step, value in later.items():
            found[step] = join(found[step], value) if step in found else value
        return found

    return joined


def _united(earlier: list[str], later: list[str]) -> list[str]:
    return list(dict.fromkeys((*earlier, *later)))[:MAX_DISTINCT]


def _when(latest: Latest) -> tuple[datetime, str, UUID]:
    return latest.at, latest.cause.event_id, latest.cause.identity
