"""The engine's tables, read and written in bulk inside somebody's transaction. It decides nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import Transition
from services.contracts.dead_letters import DeadLetter
from services.contracts.events import Event, SaidBy, rank_of
from services.contracts.identity import Identity, IdentityKind, Who
from services.postgres import among, columns_of, rows, selected
from stage_engine import tables
from stage_engine.arrivals import Place
from stage_engine.fold import Move
from stage_engine.history import Entry, Position
from stage_engine.orders import Order
from stage_engine.state import EMPTY, Instance, State, decode_state, encode_state

_E = tables.events.c
_C = tables.customers.c
_json = msgspec.json.Encoder(decimal_format="string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer's row. `waits_from` is the position of the first event that waits."""

    id: UUID
    storefront: str
    root: UUID
    sequence: int
    state: State
    next_wake: datetime | None
    waits_from: Position | None
    hold: str | None
    broken: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What storing changed, by (identity, event key): new events, and copies that turned out to have come first.

    A repeat is in neither. `other_bodies` counts those that said something else under a known id.
    """

    new: dict[tuple[UUID, UUID], Entry]
    earlier: dict[tuple[UUID, UUID], Entry]
    other_bodies: int


async def customers(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Customer]:
    """The rows, which the caller has locked when it means to write them."""
    found = await connection.execute(sa.select(tables.customers).where(among(_C.id, ids)))
    return {row.id: _customer(row) for row in found}


def _customer(row: Any) -> Customer:  # noqa: ANN401  SQLAlchemy's row
    return Customer(
        id=row.id,
        storefront=row.storefront,
        root=row.root,
        sequence=row.sequence,
        state=EMPTY if row.state is None else decode_state(row.state),
        next_wake=row.next_wake,
        waits_from=None if row.waits_at is None else Position(row.waits_at, row.waits_rank, row.waits_id),
        hold=row.hold,
        broken=row.broken,
    )


async def write_customers(connection: AsyncConnection, customers: Sequence[Customer]) -> None:
    columns = (
        _C.id,
        _C.sequence,
        _C.state,
        _C.next_wake,
        _C.waits_at,
        _C.waits_rank,
        _C.waits_id,
        _C.hold,
        _C.broken,
    )
    given = rows("written", columns)
    values = [
        (c.id, c.sequence, encode_state(c.state), c.next_wake, *(c.waits_from or (None,) * 3), c.hold, c.broken)
        for c in customers
    ]
    await connection.execute(
        sa.update(tables.customers)
        .where(_C.id == given.c.id)
        .values({column.name: given.c[column.name] for column in columns[1:]}),
        columns_of("written", columns, values),
    )


async def keep_events(connection: AsyncConnection, entries: Iterable[Entry]) -> Kept:
    """Stores events under their identities, whose rows are locked; of copies the one received first stays."""
    first: dict[tuple[UUID, UUID], Entry] = {}
    for entry in entries:
        place = entry.identity, entry.key
        if place not in first or entry.precedence < first[place].precedence:
            first[place] = entry
    known = await _known(connection, list(first))
    kept = Kept(
        new={place: entry for place, entry in first.items() if place not in known},
        earlier={place: entry for place, entry in first.items() if place in known and entry.precedence < known[place]},
        other_bodies=sum(place in known and entry.body != known[place][1] for place, entry in first.items()),
    )
    stored = [_event_row(entry) for _, entry in sorted((kept.new | kept.earlier).items())]
    await _upsert(connection, tables.events, "kept", list(_E), stored)
    return kept


async def _known(
    connection: AsyncConnection, places: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], tuple[datetime, bytes]]:
    """The precedence of the copies that are stored already."""
    columns = (_E.identity_id, _E.event_key)
    given = rows("given", columns)
    found = await connection.execute(
        sa.select(_E.identity_id, _E.event_key, _E.received_at, _E.body).join(
            given, sa.and_(_E.identity_id == given.c.identity_id, _E.event_key == given.c.event_key)
        ),
        columns_of("given", columns, places),
    )
    return {(row.identity_id, row.event_key): (row.received_at, row.body) for row in found}


def _event_row(entry: Entry) -> tuple[Any, ...]:
    event = entry.event
    return (
        entry.identity,
        entry.key,
        event.id,
        event.storefront,
        event.name,
        int(rank_of(event.name)),
        event.occurred_at,
        event.received_at,
        str(event.said_by),
        entry.body,
        *(_json.encode(part).decode() for part in (event.who, event.properties, event.traits, event.context)),
    )


async def histories(
    connection: AsyncConnection,
    customers: Collection[UUID],
    *,
    since: Mapping[UUID, Position] | None = None,
    until: datetime | None = None,
) -> dict[UUID, list[Entry]]:
    """Every event of these customers, in no particular order; of some only those from a position on."""
    identity = tables.identities
    statement = (
        sa.select(*_E, identity.c.customer_id, identity.c.kind, identity.c.value)
        .join(identity, identity.c.id == _E.identity_id)
        .where(among(identity.c.customer_id, customers))
    )
    if until is not None:
        statement = statement.where(_E.occurred_at <= until)
    if since:
        earliest = min(since.values())
        statement = statement.where(_E.occurred_at >= earliest.occurred_at)
    found: dict[UUID, list[Entry]] = defaultdict(list)
    for row in await connection.execute(statement):
        entry = _entry(row)
        if since is None or row.customer_id not in since or entry.position >= since[row.customer_id]:
            found[row.customer_id].append(entry)
    return found


def _entry(row: Any) -> Entry:  # noqa: ANN401  SQLAlchemy's row
    return Entry(
        identity=row.identity_id,
        belongs_to=Identity(IdentityKind(row.kind), row.value),
        event=Event(
            id=row.event_id,
            storefront=row.storefront,
            name=row.name,
            who=Who(**row.who),
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            said_by=SaidBy(row.said_by),
            properties=row.properties,
            traits=row.traits,
            context=row.context,
        ),
        body=row.body,
    )


async def with_copies(
    connection: AsyncConnection, customers: Collection[UUID], event_keys: Collection[UUID]
) -> frozenset[UUID]:
    """Those of the customers that hold one of the events under more than one of their identities."""
    identity = tables.identities.c
    found = await connection.execute(
        sa.select(identity.customer_id)
        .join(tables.events, _E.identity_id == identity.id)
        .where(among(identity.customer_id, customers), among(_E.event_key, event_keys))
        .group_by(identity.customer_id, _E.event_key)
        .having(sa.func.count() > 1)
    )
    return frozenset(found.scalars())


async def orders(connection: AsyncConnection, wanted: Mapping[UUID, Collection[str]]) -> dict[UUID, dict[str, Order]]:
    """Rows of the order book by customer and order key."""
    o = tables.orders.c
    columns = (o.customer_id, o.key)
    given = rows("booked", columns)
    values = [(customer, key) for customer, keys in wanted.items() for key in keys]
    found: dict[UUID, dict[str, Order]] = defaultdict(dict)
    if not values:
        return found
    result = await connection.execute(
        sa.select(tables.orders).join(
            given, sa.and_(o.customer_id == given.c.customer_id, o.key == given.c.key.collate("C"))
        ),
        columns_of("booked", columns, values),
    )
    for row in result:
        found[row.customer_id][row.key] = Order(
            key=row.key,
            completed_at=row.completed_at,
            currency=row.currency,
            revenue=Decimal(row.revenue),
            total=Decimal(row.total),
            refunded=Decimal(row.refunded),
            refunded_whole=row.refunded_whole,
            cancelled=row.cancelled,
        )
    return found


async def write_orders(connection: AsyncConnection, changed: Mapping[UUID, Mapping[str, Order]]) -> None:
    columns = list(tables.orders.c)
    names = [c.name for c in columns]
    values = [
        (customer, *(getattr(order, name) for name in names[1:]))
        for customer, orders in changed.items()
        for order in orders.values()
    ]
    await _upsert(connection, tables.orders, "booked", columns, values)


async def forget_derived(connection: AsyncConnection, customers: Collection[UUID]) -> None:
    """Before a re-fold from the beginning: its order book and its table of instances are made anew."""
    for table in (tables.orders, tables.instances):
        await connection.execute(sa.delete(table).where(among(table.c.customer_id, customers)))


async def write_instances(
    connection: AsyncConnection,
    changed: Iterable[tuple[UUID, str, Instance]],
    gone: Iterable[tuple[UUID, UUID]],
) -> None:
    """`changed` are (customer, storefront, instance), `gone` (customer, instance id)."""
    columns = list(tables.instances.c)
    values = [(c, i.id, s, i.track, i.shown_key, i.stage, i.since) for c, s, i in changed]
    await _upsert(connection, tables.instances, "stood", columns, values)
    key = (tables.instances.c.customer_id, tables.instances.c.instance)
    left = rows("gone", key)
    if pairs := list(gone):
        await connection.execute(
            sa.delete(tables.instances).where(key[0] == left.c.customer_id, key[1] == left.c.instance),
            columns_of("gone", key, pairs),
        )


async def standing_transitions(
    connection: AsyncConnection, customers: Collection[UUID]
) -> dict[UUID, dict[UUID, Transition]]:
    """The transitions that were announced and not retracted, in their order."""
    t = tables.transitions.c
    found: dict[UUID, dict[UUID, Transition]] = defaultdict(dict)
    result = await connection.execute(
        sa.select(t.customer_id, t.id, t.body)
        .where(among(t.customer_id, customers), ~t.retracted)
        .order_by(t.customer_id, t.number)
    )
    for row in result:
        found[row.customer_id][row.id] = msgspec.convert(row.body, Transition)
    return found


async def write_transitions(
    connection: AsyncConnection, moves: Iterable[tuple[UUID, int, Move]], retracted: Iterable[tuple[UUID, UUID]]
) -> None:
    """`moves` are (customer, number, move), `retracted` (customer, transition id)."""
    t = tables.transitions.c
    key = (t.customer_id, t.id)
    if pairs := list(retracted):
        away = rows("away", key)
        await connection.execute(
            sa.update(tables.transitions)
            .where(t.customer_id == away.c.customer_id, t.id == away.c.id)
            .values(retracted=True),
            columns_of("away", key, pairs),
        )
    columns = [t.customer_id, t.id, t.at, t.number, t.retracted, t.body]
    values = [
        (customer, m.transition.id, m.transition.at, number, False, _json.encode(m.transition).decode())
        for customer, number, m in moves
    ]
    await _upsert(connection, tables.transitions, "moved", columns, values)


async def write_dead_letters(connection: AsyncConnection, letters: Sequence[tuple[Place, DeadLetter]]) -> None:
    columns = list(tables.dead_letters.c)
    values = [
        (p.topic, p.partition, p.offset, d.storefront, d.code, d.reason, d.source, d.received_at, d.raw)
        for p, d in letters
    ]
    await _upsert(connection, tables.dead_letters, "dead", columns, values)


async def _upsert(
    connection: AsyncConnection,
    table: sa.Table,
    name: str,
    columns: Sequence[sa.Column[Any]],
    values: Sequence[Sequence[Any]],
) -> None:
    if not values:
        return
    given = rows(name, columns)
    statement = insert(table).from_select([c.name for c in columns], sa.select(*selected(given, columns)))
    rest = {c.name: statement.excluded[c.name] for c in columns if not c.primary_key}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest),
        columns_of(name, columns, values),
    )


async def read_watermark(connection: AsyncConnection) -> datetime | None:
    """None until it is known for the first time."""
    at: datetime | None = await connection.scalar(sa.select(tables.watermark.c.at))
    return at


async def raise_watermark(connection: AsyncConnection, at: datetime) -> None:
    """It never falls."""
    statement = insert(tables.watermark).values(row=1, at=at)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[tables.watermark.c.row],
            set_={"at": statement.excluded.at},
            where=statement.excluded.at > tables.watermark.c.at,
        )
    )


async def next_table_number(connection: AsyncConnection) -> int:
    return int(await connection.scalar(sa.select(tables.table_numbers.next_value())) or 0)
