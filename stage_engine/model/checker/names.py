"""Names of events that no documented source sends, and events that a track never sees. Pure."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from services.contracts.vocabulary import NAMES, SPELLINGS, folded
from stage_engine.model.checker.doubt import Doubt, Where, place_of
from stage_engine.model.checker.ways import Ways, number_of
from stage_engine.model.model import ON, EventRule, Model, Per, TimedRule

CLOSE: Final = 0.85
"""How alike two names must be (difflib's ratio) for one to be a slip of the other: a letter or two."""
_EVENTS: Final = {
    Per.CART: "carts, checkouts and orders",
    Per.CHECKOUT: "checkouts and orders",
    Per.ORDER: "orders",
}


def name_doubts(model: Model) -> Iterator[Doubt]:
    for fact in model.facts.values():
        where: Where = ("facts", fact.name)
        for name in sorted(fact.on):
            yield from _unknown(name, (*where, str(fact.kind), *([name] if fact.weights else ())))
        for name in sorted(fact.less):
            yield from _unknown(name, (*where, "less"))
    for track in model.tracks:
        ways = Ways(track)
        heard = dict(_heard(ways))
        for at, names in (*heard.items(), *_counted_from(model, ways)):
            for name in sorted(names):
                yield from _unknown(name, at)
        for at, names in heard.items():
            yield from _unseen(ways, sorted(name for name in names if not ways.sees(name)), at)


def _heard(ways: Ways) -> Iterator[tuple[Where, frozenset[str]]]:
    """What begins the track and what its rules go by, where it is said."""
    track = ways.track
    yield ("tracks", track.name, "stages", track.start, "on"), track.begins_on or frozenset()
    for rule in ways.rules:
        if isinstance(rule, EventRule) and number_of(track, rule) >= 0:
            yield (*place_of(track, rule), "on"), rule.on


def _counted_from(model: Model, ways: Ways) -> Iterator[tuple[Where, frozenset[str]]]:
    """Events since which a timed rule counts."""
    for rule in ways.rules:
        if isinstance(rule, TimedRule) and (rule.since or "").startswith(ON):
            yield (*place_of(ways.track, rule), "since"), model.armed_by(rule)[0]


def _unknown(name: str, where: Where) -> Iterator[Doubt]:
    if name in NAMES:
        return
    if (arrives := SPELLINGS.get(folded(name))) is not None:
        yield Doubt(where=where, message=f"`{name}` always arrives as `{arrives}`", fix=f"write `{arrives}`")
    elif close := get_close_matches(name, sorted(NAMES), n=1, cutoff=CLOSE):
        yield Doubt(where=where, message=f"no documented source sends `{name}`", fix=f"did you mean `{close[0]}`?")
    else:
        told = f"`{name}` is no documented event: it counts if your shop sends it under this very name"
        yield Doubt(where=where, message=told, note=True)


def _unseen(ways: Ways, names: list[str], where: Where) -> Iterator[Doubt]:
    if names:
        per = ways.track.per
        listed = ", ".join(f"`{name}`" for name in names)
        yield Doubt(
            where=where,
            message=f"{listed} never comes to a track per {per}",
            fix=f"name events of {_EVENTS.get(per, 'its own')}, or use a track per customer",
        )
