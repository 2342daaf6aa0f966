"""From rows to events: each row is left out, at fault, an event, or part of one. Pure but for the clock it is given."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from msgspec.structs import replace

from ingest.decide import MAX_EVENT_RECORD
from ingest.dialects.canonical import EARLIEST, Said, as_text, canonical_event
from ingest.dialects.reading import Call, Refusal
from ingest.history.mapping import EventMapping, HistoryMapping, Together
from ingest.history.rows import Row
from ingest.limits import Limits, fault_in
from services.cards import without_cards
from services.conditions import MISSING, Expression
from services.contracts.events import SaidBy, encode_event, record_key
from services.contracts.identity import IdentityKind, Who, identities_of
from services.contracts.storefront import Storefront
from services.contracts.topics import EVENTS
from services.kafka import Record

REMEMBERED: Final = 500_000
"""Ids, and values that held rows together, of which it is known that they were there: about 50 MB."""
MOST_TOGETHER: Final = 10_000
"""Rows of one event; the longest invoice that we have seen has 1,114."""
ID_SEEN: Final = "an earlier row had its id"
_LIMITS: Final = Limits(event_bytes=MAX_EVENT_RECORD)


@dataclass(frozen=True, slots=True)
class Made:
    """An event, of so many rows."""

    record: Record
    rows: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    because: str


@dataclass(frozen=True, slots=True)
class Fault:
    """`line` of the file, and what is wrong there."""

    line: int
    why: str


Shaped = Made | LeftOut | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Whose history it is. `began` is when the import did: nothing in it can have happened later."""

    storefront: str
    declared: Storefront
    file: str
    id_prefix: str
    began: datetime


@dataclass(slots=True, kw_only=True)
class _Slot:
    """An event that is ready, or one whose rows are still coming; `first` and `last` number its rows."""

    key: Any
    event: EventMapping
    row: Row
    values: dict[str, Any]
    last: int
    rows: int = 1
    products: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, Decimal] = field(default_factory=dict)
    open: bool = False


class _Wrong(Exception):
    """Why a row, or the event that it begins, is not taken."""


class Shaper:
    """Takes rows in their order and gives events in the order of their first rows.

    Beside what is remembered of ids, it holds the rows since the first of an event that still waits for more.
    """

    def __init__(self, mapping: HistoryMapping, telling: Telling) -> None:
        self._mapping = mapping
        self._telling = telling
        self._waiting: deque[_Slot] = deque()
        self._open: dict[Any, _Slot] = {}
        self._known = _Remembered()
        self._reached = 0
        self._emitted_up_to = 0
        self.received_at = telling.began
        """When what is given next was taken in; whoever calls moves it on."""
        self.resume_at = 1
        """The row to begin again from: nothing of an event that was given stands at or after it."""

    def take(self, row: Row) -> Iterator[Shaped]:
        self._reached = row.number
        try:
            left_out = self._place(row)
            if left_out is not None:
                yield left_out
        except (_Wrong, ValueError) as error:
            yield Fault(row.line, str(error))
        yield from self._ready()

    def end(self) -> Iterator[Shaped]:
        """The file has no more rows."""
        for slot in self._open.values():
            slot.open = False
        self._open.clear()
        yield from self._ready()

    def _place(self, row: Row) -> LeftOut | None:
        if row.values is None:
            raise _Wrong(row.fault)
        values, fault = self._typed(row.values)
        scope = {"row": values}
        for skip in self._mapping.skip:
            if skip.when.holds(scope):
                return LeftOut(skip.because)
        if fault is not None:
            raise fault
        event = next((e for e in self._mapping.events if e.when is None or e.when.holds(scope)), None)
        if event is None:
            raise _Wrong("no event's `when` holds; add one for such rows, or leave them out with `skip`")
        slot = _Slot(key=None, event=event, row=row, values=values, last=row.number)
        if event.together is None:
            self._waiting.append(slot)
            return None
        self._join(slot, event.together, scope)
        return None

    def _typed(self, values: dict[str, Any]) -> tuple[dict[str, Any], _Wrong | None]:
        """What can't be read is missing, and said: such a row may still be one that is left out."""
        typed, fault = dict(values), None
        for name, read in self._mapping.columns.items():
            try:
                typed[name] = read(values.get(name))
            except ValueError as error:
                typed[name], fault = None, fault or _Wrong(f"{name}: {error}")
        return typed, fault

    def _join(self, slot: _Slot, together: Together, scope: dict[str, Any]) -> None:
        by = tuple(_plain(expression.value(scope)) for expression in together.by)
        if None in by:
            raise _Wrong(f"`{together.by[by.index(None)].text}`, by which rows belong together, is not there")
        key = (id(slot.event), repr(by))
        known = self._open.get(key)
        if known is None:
            if not self._known.is_new(("together", key)):
                raise _Wrong(
                    f"it belongs to {', '.join(map(str, by))}, of which no row came for more than {together.apart} "
                    "rows; sort the file by it, or raise `apart`"
                )
            slot.key, slot.open = key, True
            self._add(slot, slot, together, scope)
            self._open[key] = slot
            self._waiting.append(slot)
        elif known.rows == MOST_TOGETHER:
            raise _Wrong(f"more than {MOST_TOGETHER} rows belong to {', '.join(map(str, by))}")
        else:
            self._add(known, slot, together, scope)
            known.rows += 1
            known.last = slot.last

    @staticmethod
    def _add(to: _Slot, slot: _Slot, together: Together, scope: dict[str, Any]) -> None:
        amounts = {key: _amount(key, expression, scope) for key, expression in together.sums.items()}
        if together.products:
            made = {key: _plain(read(slot.values)) for key, read in together.products.items()}
            to.products.append({key: value for key, value in made.items() if value is not None})
        for key, amount in amounts.items():
            to.sums[key] = to.sums.get(key, Decimal()) + amount

    def _ready(self) -> Iterator[Shaped]:
        """What no row can be added to any more, up to the first that still waits."""
        while self._waiting:
            slot = self._waiting[0]
            if slot.open and self._reached - slot.last <= (slot.event.together.apart if slot.event.together else 0):
                break
            self._open.pop(slot.key, None)
            self._waiting.popleft()
            self._emitted_up_to = max(self._emitted_up_to, slot.last)
            try:
                yield self._made(slot)
            except (_Wrong, ValueError) as error:
                yield Fault(slot.row.line, str(error))
        first = self._waiting[0].row.number if self._waiting else self._reached + 1
        if first > self._emitted_up_to:
            self.resume_at = first

    def _made(self, slot: _Slot) -> Shaped:
        telling, scope = self._telling, {"row": slot.values}
        event_id = f"{telling.file}:{slot.row.label}"
        if slot.event.id is not None:
            given = as_text(_plain(slot.event.id(slot.values)))
            if given is None:
                raise _Wrong("the event's id is not there")
            if not self._known.is_new(("id", given)):
                return LeftOut(ID_SEEN)
            event_id = given
        said = Said(
            id=telling.id_prefix + event_id,
            name=_name(slot.event.name, scope),
            who=Who(**{kind: as_text(_plain(read(slot.values))) for kind, read in self._mapping.who.items()}),
            occurred_at=self._moment(scope),
            properties=self._properties(slot),
            traits=_given({key: read(slot.values) for key, read in self._mapping.traits.items()}),
            context={},
        )
        return Made(self._record(said), slot.rows)

    def _moment(self, scope: dict[str, Any]) -> datetime:
        at = self._mapping.at.value(scope)
        if at is MISSING or at == "":
            raise _Wrong(f"`{self._mapping.at.text}`, when it happened, is not there")
        found = at if isinstance(at, datetime) else self._mapping.read_time(at)
        if found < EARLIEST:
            raise _Wrong(f"it happened {found:%Y-%m-%d}, before {EARLIEST.year}")
        if found > self._telling.began:
            raise _Wrong(f"it happened {found:%Y-%m-%d %H:%M} UTC, which is still to come")
        return found

    @staticmethod
    def _properties(slot: _Slot) -> dict[str, Any]:
        found = _given({key: read(slot.values) for key, read in slot.event.properties.items()})
        if slot.products:
            found["products"] = slot.products
        return found | {key: format(amount, "f") for key, amount in slot.sums.items()}

    def _record(self, said: Said) -> Record:
        call = Call(
            storefront=self._telling.storefront, said_by=SaidBy.SERVER, received_at=self.received_at, new_id=_no_id
        )
        event = canonical_event(said, call)
        if isinstance(event, Refusal):
            raise _Wrong(event.message)
        own = [address.lower() for address in self._telling.declared.own_addresses]
        if identities_of(event.who, event.id, own)[0].kind is IdentityKind.EVENT:
            raise _Wrong("it names nobody; leave such rows out with `skip`")
        event = replace(event, imported_at=self._telling.began)
        key, value = record_key(event), without_cards(encode_event(event)).body
        fault = fault_in(value, _LIMITS, beside=len(key))
        if fault is not None:
            raise _Wrong(fault.message)
        return Record(topic=EVENTS, key=key, value=value)


class _Remembered:
    """The last so many hashes: what is older is forgotten, so that a file of any length fits into memory."""

    def __init__(self) -> None:
        self._hashes: dict[int, None] = {}

    def is_new(self, what: object) -> bool:
        hashed = hash(what)
        if hashed in self._hashes:
            return False
        self._hashes[hashed] = None
        if len(self._hashes) > REMEMBERED:
            del self._hashes[next(iter(self._hashes))]
        return True


def _name(name: str | Expression, scope: dict[str, Any]) -> str:
    if isinstance(name, str):
        return name
    found = as_text(_plain(name.value(scope)))
    if found is None:
        raise _Wrong(f"`{name.text}`, the event's name, is not there")
    return found


def _amount(key: str, expression: Expression, scope: dict[str, Any]) -> Decimal:
    found = expression.value(scope)
    try:
        return found if isinstance(found, Decimal) else Decimal(str(found))
    except InvalidOperation:
        raise _Wrong(f"`{expression.text}`, for the sum `{key}`, comes to no number") from None


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: plain for key, value in values.items() if (plain := _plain(value)) is not None}


def _plain(value: Any) -> Any:  # noqa: ANN401  any value
    """As JSON has it; None for what is missing."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case tuple():
            return [_plain(part) for part in value]
    return None if value is MISSING else value


def _no_id() -> str:
    raise AssertionError("every row has an id")
