"""Facts: running values over a customer's events, each a small JSON value. Pure.

What a model declares is in `model.Fact`; here is how an event changes its running value, and how it reads at a time.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from services.contracts.changes import Cause
from services.contracts.events import Event
from services.contracts.storefront import Storefront
from stage_engine.dates import moment
from stage_engine.model.model import Fact, FactKind, Model
from stage_engine.money import amount, currency_of, lines_of, money
from stage_engine.orders import Order
from stage_engine.windows import count_seen, inside, seen, stepped

MAX_DISTINCT = 10_000
"""Values that a `distinct` tells apart in a customer's state; a bot's further ones are not counted."""
MOST_KEYS = 100
"""Keys that a fact `by` a property holds; over it the one that was touched longest ago leaves."""
MOST_LINES = 100
"""Products of one event that a fact goes through."""
MAX_KEY = 200
"""Characters of a key, and of a text that is kept under one."""
_ONE = Decimal(1)


class Latest(msgspec.Struct, frozen=True, array_like=True):
    """When it happened last, and by which event: that is what arms a timed rule."""

    at: datetime
    cause: Cause


class Dated(msgspec.Struct, frozen=True, array_like=True):
    """A date that was said, the event that said it first, and when."""

    at: datetime
    cause: Cause
    said_at: datetime


class Keyed(msgspec.Struct, frozen=True, array_like=True):
    """What a fact `by` a property holds of one key: the running value, under no name, and when it was touched last."""

    at: datetime
    value: "FactState"


class FactState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The running values of all facts. A fold replaces what changes and shares the rest.

    `windows`, `amounts` and `recent` are what slides: whole numbers and amounts by step, values by their last step.
    """

    counts: dict[str, int] = {}
    sums: dict[str, Decimal] = {}
    extremes: dict[str, Decimal] = {}
    windows: dict[str, dict[int, int]] = {}
    amounts: dict[str, dict[int, Decimal]] = {}
    recent: dict[str, dict[str, int]] = {}
    distinct: dict[str, list[str]] = {}
    latest: dict[str, Latest] = {}
    kept: dict[str, Any] = {}
    keyed: dict[str, dict[str, Keyed]] = {}
    dates: dict[str, Dated] = {}

    def copied(self) -> "FactState":
        """For a fold to write into: the maps are its own, the values are never changed in place."""
        return FactState(
            counts=dict(self.counts),
            sums=dict(self.sums),
            extremes=dict(self.extremes),
            windows=dict(self.windows),
            amounts=dict(self.amounts),
            recent=dict(self.recent),
            distinct=dict(self.distinct),
            latest=dict(self.latest),
            kept=dict(self.kept),
            keyed=dict(self.keyed),
            dates=dict(self.dates),
        )


def observe(state: FactState, fact: Fact, event: Event, cause: Cause, *, storefront: Storefront) -> None:
    """Takes one event into a fact that counts by events (not `per_order`). Writes into `state`, a fold's own copy.

    Amounts in another currency than the storefront's are never added.
    """
    if fact.where is not None and not fact.where.holds({"event": event.properties}):
        return
    if fact.money and currency_of(event.properties) not in (None, storefront.currency):
        return
    if fact.by is None and not fact.each:  # most of them by far
        said = found_at(event.properties, fact.path) if fact.path else None
        _taking(fact, event)(state, fact.name, fact, said, event, cause)
        if fact.dated:
            observe_date(state, fact.name, state.kept.get(fact.name), event, cause, storefront.timezone)
        return
    for line in lines_of(event.properties)[:MOST_LINES] if fact.each else (event.properties,):
        said = found_at(line, fact.path)
        if fact.by is None:
            _taking(fact, event)(state, fact.name, fact, said, event, cause)
        else:
            _by_key(state, fact, key_of(found_at(line, fact.by)), said, event, cause)


def _taking(fact: Fact, event: Event) -> Callable[..., object]:
    return _take_back if fact.less and event.name in fact.less else _take


def _by_key(state: FactState, fact: Fact, key: str | None, said: object, event: Event, cause: Cause) -> None:
    if key is None:
        return
    keyed = dict(state.keyed.get(fact.name, {}))
    value = keyed[key].value.copied() if key in keyed else FactState()
    if event.name not in fact.less:
        _take(value, "", fact, said, event, cause)
    elif key not in keyed or not _take_back(value, "", fact, said, event, cause):
        keyed.pop(key, None)
        state.keyed[fact.name] = keyed
        return
    if value == FactState():
        return  # it said nothing that is kept
    keyed[key] = Keyed(event.occurred_at, value)
    if len(keyed) > MOST_KEYS:
        del keyed[min(keyed, key=lambda one: (keyed[one].at, one))]
    state.keyed[fact.name] = keyed


def _take(state: FactState, slot: str, fact: Fact, said: object, event: Event, cause: Cause) -> None:  # noqa: C901, PLR0912  one case a kind
    at, within = event.occurred_at, fact.within
    match fact.kind:
        case FactKind.COUNT | FactKind.POINTS:
            weight = 1 if fact.kind is FactKind.COUNT else fact.weights.get(event.name, 0)
            if within is None:
                state.counts[slot] = state.counts.get(slot, 0) + weight
            else:
                state.windows[slot] = stepped(state.windows.get(slot, {}), at, within, weight, operator.add, now=at)
        case FactKind.LATEST:
            state.latest[slot] = Latest(at, cause)
        case FactKind.SUM:
            number = _number(fact, said) or Decimal()
            if within is None:
                state.sums[slot] = state.sums.get(slot, Decimal()) + number
            else:
                state.amounts[slot] = stepped(state.amounts.get(slot, {}), at, within, number, operator.add, now=at)
        case FactKind.MIN | FactKind.MAX:
            found, best = _number(fact, said), min if fact.kind is FactKind.MIN else max
            if found is None:
                return
            if within is None:
                state.extremes[slot] = best(state.extremes.get(slot, found), found)
            else:
                state.amounts[slot] = stepped(state.amounts.get(slot, {}), at, within, found, best, now=at)
        case FactKind.DISTINCT if within is not None:
            if said is not None:
                state.recent[slot] = seen(state.recent.get(slot, {}), str(said), at, within)
        case FactKind.DISTINCT:
            state.distinct[slot] = _with(state.distinct.get(slot, []), said)
        case FactKind.LAST | FactKind.FIRST:
            kept = state.kept.get(slot)
            said = said if fact.by is None else _short(said)
            if said is not None and (fact.kind is FactKind.LAST or kept is None):
                state.kept[slot] = said
        case _ as never:
            assert_never(never)


def _take_back(state: FactState, slot: str, fact: Fact, said: object, _event: Event, _cause: Cause) -> bool:
    """What an event that `less` names takes away. False when nothing of a key is left."""
    match fact.kind:
        case FactKind.COUNT:
            state.counts[slot] = max(0, state.counts.get(slot, 0) - 1)
            return state.counts[slot] > 0
        case FactKind.SUM:
            number = amount(said)
            state.sums[slot] = state.sums.get(slot, Decimal()) - (number or 0)
            return number is not None and state.sums[slot] > 0
        case FactKind.DISTINCT:
            state.distinct[slot] = [one for one in state.distinct.get(slot, []) if one != str(said)]
            return bool(state.distinct[slot])
        case _:
            return False


def observe_date(state: FactState, name: str, said: object, event: Event, cause: Cause, timezone: str) -> None:
    """Keeps the date that stands under a name after an event, and who said it first: it arms timed rules."""
    known = state.dates.get(name)
    if not isinstance(said, str) or (at := moment(said, timezone)) is None:
        state.dates.pop(name, None)
    elif known is None or known.at != at:
        state.dates[name] = Dated(at, cause, event.occurred_at)


def _with(known: list[str], said: object) -> list[str]:
    return known if said is None or str(said) in known or len(known) >= MAX_DISTINCT else [*known, str(said)]


def _number(fact: Fact, said: object) -> Decimal | None:
    """Numbers in texts count as numbers. A quantity that is not said is one, as the e-commerce spec has it."""
    return _ONE if said is None and fact.path[-1:] == ("quantity",) else amount(said)


def _short(said: object) -> object:
    """What is kept a hundred times is small."""
    return said[:MAX_KEY] if isinstance(said, str) else said if isinstance(said, int | float) else None


def found_at(whole: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401  any JSON
    """What stands at `("shipping", "method")`, None if nothing does."""
    found: Any = whole.get(path[0]) if path else None
    for name in path[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def key_of(said: object) -> str | None:
    """A property's value as a key: texts and numbers, `42` and 42 being one; None for what names nothing."""
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        return None
    text = str(said).strip() if not isinstance(said, float) else repr(said).removesuffix(".0")
    return text[:MAX_KEY] or None


def observe_order(
    state: FactState, fact: Fact, before: Order | None, after: Order, at: datetime, *, currency: str
) -> None:
    """Takes what changed in an order's row at a time into a `per_order` fact.

    Amounts in another currency are never added. In a window an order stands where it was completed.
    """
    slot, within, completed = fact.name, fact.within, after.completed_at
    if fact.kind is FactKind.DISTINCT:
        came = int(completed is not None) - int(before is not None and before.completed_at is not None)
        if within is None:
            state.counts[slot] = state.counts.get(slot, 0) + came
        elif came and completed is not None:
            window = state.windows.get(slot, {})
            state.windows[slot] = stepped(window, completed, within, came, operator.add, now=at)
        return
    change = _counted(fact, after, currency) - _counted(fact, before, currency)
    if change and within is None:
        state.sums[slot] = state.sums.get(slot, Decimal()) + change
    elif change and within is not None and completed is not None:
        state.amounts[slot] = stepped(state.amounts.get(slot, {}), completed, within, change, operator.add, now=at)


def _counted(fact: Fact, order: Order | None, currency: str) -> Decimal:
    if order is None or order.currency != currency:
        return Decimal()
    of = fact.of or "revenue"
    return order.net(of) if fact.less_refunds else order.gross(of)


def value_of(state: FactState, fact: Fact, at: datetime) -> Any:  # noqa: ANN401  int, Decimal, datetime, ByKey or any JSON
    """How the fact reads at a time: what conditions see. None while nothing is known."""
    if fact.by is not None:
        return ByKey(fact, state.keyed.get(fact.name, {}), at)
    return _value(state, fact.name, fact, at)


def _value(state: FactState, slot: str, fact: Fact, at: datetime) -> Any:  # noqa: ANN401, PLR0911, C901  one case a kind
    within = fact.within
    match fact.kind:
        case FactKind.COUNT | FactKind.POINTS:
            return state.counts.get(slot, 0) if within is None else sum(inside(state.windows.get(slot, {}), at, within))
        case FactKind.SUM:
            if within is None:
                return _as_said(fact, state.sums.get(slot, Decimal()))
            return _as_said(fact, sum(inside(state.amounts.get(slot, {}), at, within), Decimal()))
        case FactKind.MIN | FactKind.MAX:
            if within is None:
                return _as_said(fact, state.extremes.get(slot))
            held: Iterable[Decimal] = inside(state.amounts.get(slot, {}), at, within)
            return _as_said(fact, (min if fact.kind is FactKind.MIN else max)(held, default=None))
        case FactKind.DISTINCT if fact.per_order:
            return state.counts.get(slot, 0) if within is None else sum(inside(state.windows.get(slot, {}), at, within))
        case FactKind.DISTINCT:
            if within is None:
                return len(state.distinct.get(slot, []))
            return count_seen(state.recent.get(slot, {}), at, within)
        case FactKind.LATEST:
            latest = state.latest.get(slot)
            return latest.at if latest else None
        case FactKind.FIRST | FactKind.LAST:
            return state.kept.get(slot)
        case _ as never:
            assert_never(never)


def _as_said(fact: Fact, number: Decimal | None) -> Decimal | float | None:
    """Money stays exact; what is no money is a number like any other."""
    if number is None or fact.money:
        return number
    return int(number) if number == number.to_integral_value() else float(number)


class ByKey(Mapping[str, Any]):
    """A fact `by` a property as of a time: of each key the value, worked out when it is asked for."""

    def __init__(self, fact: Fact, keyed: Mapping[str, Keyed], at: datetime) -> None:
        self._fact = fact
        self._keyed = keyed
        self._at = at

    def _at_key(self, key: object) -> Any:  # noqa: ANN401  see value_of
        """None for what has left its window as for what never was."""
        text = key_of(key)
        held = None if text is None else self._keyed.get(text)
        value = None if held is None else _value(held.value, "", self._fact, self._at)
        counts = self._fact.kind in (FactKind.COUNT, FactKind.DISTINCT, FactKind.POINTS, FactKind.SUM)
        return None if counts and value == 0 else value

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401  see value_of
        value = self._at_key(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        """In one order for ever: where a condition's steps run out must not depend on what came first."""
        return (key for key in sorted(self._keyed) if self._at_key(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class FactsAt(Mapping[str, Any]):
    """All facts as of a time, each worked out only when a condition reads it."""

    def __init__(self, model: Model, state: FactState, at: datetime) -> None:
        self._model = model
        self._state = state
        self._at = at

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  see value_of
        return value_of(self._state, self._model.facts[name], self._at)

    def __iter__(self) -> Iterator[str]:
        return iter(self._model.facts)

    def __len__(self) -> int:
        return len(self._model.facts)


def shown(value: Any) -> Any:  # noqa: ANN401  any fact
    """A fact's value as JSON has it: money as strings, times as RFC 3339 in UTC."""
    match value:
        case Decimal():
            return money(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case ByKey():
            return {key: shown(value[key]) for key in value}
        case _:
            return value
