"""Facts: running values over a customer's events, each a small JSON value. Pure.

What a model declares is in `model.Fact`; here is how an event changes its running value, and how it reads at a time.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from services.contracts.changes import Cause
from services.contracts.events import Event
from stage_engine.model.model import Fact, FactKind, Model
from stage_engine.money import amount, currency_of, money
from stage_engine.orders import Order

BUCKETS = 168
"""A window slides in steps of 1/168 (a week: by the hour) on absolute time, so that it never depends on arrival."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_DISTINCT = 10_000
"""Values that a `distinct` tells apart in a customer's state; a bot's further ones are not counted."""


class Latest(msgspec.Struct, frozen=True, array_like=True):
    """When it happened last, and by which event: that is what arms a timed rule."""

    at: datetime
    cause: Cause


class FactState(msgspec.Struct, frozen=True, kw_only=True):
    """The running values of all facts. A fold replaces what changes and shares the rest."""

    counts: dict[str, int] = {}
    sums: dict[str, Decimal] = {}
    windows: dict[str, dict[int, int]] = {}
    distinct: dict[str, list[str]] = {}
    latest: dict[str, Latest] = {}
    kept: dict[str, Any] = {}

    def copied(self) -> "FactState":
        """For a fold to write into: the maps are its own, the values are never changed in place."""
        return FactState(
            counts=dict(self.counts),
            sums=dict(self.sums),
            windows=dict(self.windows),
            distinct=dict(self.distinct),
            latest=dict(self.latest),
            kept=dict(self.kept),
        )


def observe(state: FactState, fact: Fact, event: Event, cause: Cause, *, currency: str) -> None:
    """Takes one event into a fact that counts by events (not `per_order`). Writes into `state`, a fold's own copy.

    `currency` is the storefront's: amounts in another are never added.
    """
    if fact.where is not None and not fact.where.holds({"event": event.properties}):
        return
    name, said = fact.name, event.properties.get(fact.of or "")
    match fact.kind:
        case FactKind.COUNT if fact.within is not None:
            state.windows[name] = _stepped(state.windows.get(name, {}), event.occurred_at, fact.within)
        case FactKind.COUNT:
            state.counts[name] = state.counts.get(name, 0) + 1
        case FactKind.SUM if currency_of(event.properties) in (None, currency):
            state.sums[name] = state.sums.get(name, Decimal()) + (amount(said) or Decimal())
        case FactKind.DISTINCT:
            state.distinct[name] = _with(state.distinct.get(name, []), said)
        case FactKind.LATEST:
            state.latest[name] = Latest(event.occurred_at, cause)
        case FactKind.LAST:
            state.kept[name] = state.kept.get(name) if said is None else said
        case FactKind.FIRST:
            state.kept[name] = said if state.kept.get(name) is None else state.kept[name]
        case FactKind.SUM:
            pass  # of another currency


def _with(known: list[str], said: object) -> list[str]:
    return known if said is None or str(said) in known or len(known) >= MAX_DISTINCT else [*known, str(said)]


def observe_order(state: FactState, fact: Fact, before: Order | None, after: Order, *, currency: str) -> None:
    """Takes what changed in an order's row into a `per_order` fact. Amounts in another currency are never added."""
    if fact.kind is FactKind.DISTINCT:
        came = int(after.completed_at is not None) - int(before is not None and before.completed_at is not None)
        state.counts[fact.name] = state.counts.get(fact.name, 0) + came
        return
    change = _counted(fact, after, currency) - _counted(fact, before, currency)
    if change:
        state.sums[fact.name] = state.sums.get(fact.name, Decimal()) + change


def _counted(fact: Fact, order: Order | None, currency: str) -> Decimal:
    if order is None or order.currency != currency:
        return Decimal()
    of = fact.of or "revenue"
    return order.net(of) if fact.less_refunds else order.gross(of)


def _bucket(at: datetime, within: timedelta) -> int:
    return (at - EPOCH) // (within / BUCKETS)


def _stepped(window: dict[int, int], at: datetime, within: timedelta) -> dict[int, int]:
    now = _bucket(at, within)
    kept = {bucket: count for bucket, count in window.items() if bucket > now - BUCKETS}
    kept[now] = kept.get(now, 0) + 1
    return kept


def value_of(state: FactState, fact: Fact, at: datetime) -> Any:  # noqa: ANN401  int, Decimal, datetime or any JSON
    """How the fact reads at a time: what conditions see. None while nothing is known."""
    match fact.kind:
        case FactKind.COUNT if fact.within is not None:
            since = _bucket(at, fact.within) - BUCKETS
            return sum(count for bucket, count in state.windows.get(fact.name, {}).items() if bucket > since)
        case FactKind.COUNT:
            return state.counts.get(fact.name, 0)
        case FactKind.SUM:
            return state.sums.get(fact.name, Decimal())
        case FactKind.DISTINCT:
            return state.counts.get(fact.name, 0) if fact.per_order else len(state.distinct.get(fact.name, []))
        case FactKind.LATEST:
            latest = state.latest.get(fact.name)
            return latest.at if latest else None
        case FactKind.FIRST | FactKind.LAST:
            return state.kept.get(fact.name)


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
        case _:
            return value
