"""Everything a check looks at: what was sent, what the topics hold, what the tables say, which mail arrived."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
import sqlalchemy as sa
from faults_reference import Logged
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import notifier.tables
from services.contracts.changes import Transition
from services.postgres import reading
from stage_engine import tables
from stage_engine.arrivals import Place
from stage_engine.history import Position
from stage_engine.orders import Order
from stage_engine.state import EMPTY, State, decode_state

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A record of `customer.stage-changes` about a customer."""

    partition: int
    offset: int
    customer: UUID
    sequence: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    message_id: str
    to: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How many mails of one kind an address gets: the round that made its story knows."""

    address: str
    subject: str
    least: int
    most: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A customer's row."""

    id: UUID
    storefront: str
    sequence: int
    state: State
    next_wake: datetime | None
    waits_at: datetime | None
    refold_at: datetime | None
    hold: str | None
    broken: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The database at one moment. `moves` are the transitions not retracted, in their order."""

    namespaces: dict[str, UUID]
    watermark: datetime
    events: dict[tuple[UUID, UUID], tuple[str, str, datetime, bytes]]
    """By (identity, event key): event id, storefront, received at, hash of the body."""
    dead: dict[Place, tuple[str, str]]
    """Code and reason."""
    customer_of: dict[UUID, UUID]
    customers: dict[UUID, Standing]
    moves: dict[UUID, list[Transition]]
    instances: dict[tuple[UUID, UUID], tuple[str, datetime]]
    part_of: dict[UUID, UUID]
    """Of customers whose root belongs to another now: to whom."""
    orders: dict[UUID, dict[tuple[str, Position], Order]]
    outbox: dict[tuple[UUID, int], tuple[bool, bytes]]
    held_by_notifier: dict[UUID, tuple[UUID, str]]
    """By instance: which customer it shows it with, and the stage."""
    heard_by_notifier: dict[UUID, int]
    messages: Rows

    @classmethod
    async def read(cls, engine: AsyncEngine) -> Self:
        async with reading(engine) as connection:
            return await cls.seen_by(connection)

    @classmethod
    async def seen_by(cls, connection: AsyncConnection) -> Self:
        return cls(**{name: await read(connection) for name, read in _READERS.items()})


async def _namespaces(connection: AsyncConnection) -> dict[str, UUID]:
    return {row.storefront: row.namespace for row in await connection.execute(sa.select(tables.storefronts))}


async def _watermark(connection: AsyncConnection) -> datetime | None:
    return (await connection.execute(sa.select(tables.watermark.c.at))).scalar()


async def _events(connection: AsyncConnection) -> dict[tuple[UUID, UUID], tuple[str, str, datetime, bytes]]:
    e = tables.events.c
    found = await connection.execute(
        sa.select(e.identity_id, e.event_key, e.event_id, e.storefront, e.received_at, e.body)
    )
    return {(r.identity_id, r.event_key): (r.event_id, r.storefront, r.received_at, r.body) for r in found}


async def _dead(connection: AsyncConnection) -> dict[Place, tuple[str, str]]:
    d = tables.dead_letters.c
    found = await connection.execute(sa.select(d.topic, d.partition, d.record_offset, d.code, d.reason))
    return {Place(r.topic, r.partition, r.record_offset): (r.code, r.reason) for r in found}


async def _customer_of(connection: AsyncConnection) -> dict[UUID, UUID]:
    i = tables.identities.c
    return {row.id: row.customer_id for row in await connection.execute(sa.select(i.id, i.customer_id))}


async def _customers(connection: AsyncConnection) -> dict[UUID, Standing]:
    c = tables.customers.c
    columns = (c.id, c.storefront, c.sequence, c.state, c.next_wake, c.waits_at, c.refold_at, c.hold, c.broken)
    return {
        row.id: Standing(**row._asdict() | {"state": EMPTY if row.state is None else decode_state(row.state)})
        for row in await connection.execute(sa.select(*columns))
    }


async def _moves(connection: AsyncConnection) -> dict[UUID, list[Transition]]:
    t = tables.transitions.c
    found: dict[UUID, list[Transition]] = defaultdict(list)
    for row in await connection.execute(
        sa.select(t.customer_id, t.body).where(~t.retracted).order_by(t.customer_id, t.number)
    ):
        found[row.customer_id].append(msgspec.convert(row.body, Transition))
    return dict(found)


async def _instances(connection: AsyncConnection) -> dict[tuple[UUID, UUID], tuple[str, datetime]]:
    i = tables.instances.c
    found = await connection.execute(sa.select(i.customer_id, i.instance, i.stage, i.since))
    return {(row.customer_id, row.instance): (row.stage, row.since) for row in found}


async def _part_of(connection: AsyncConnection) -> dict[UUID, UUID]:
    c, i = tables.customers.c, tables.identities.c
    found = await connection.execute(
        sa.select(c.id, i.customer_id).join(tables.identities, i.id == c.root).where(i.customer_id != c.id)
    )
    return {row.id: row.customer_id for row in found}


async def _orders(connection: AsyncConnection) -> dict[UUID, dict[tuple[str, Position], Order]]:
    found: dict[UUID, dict[tuple[str, Position], Order]] = defaultdict(dict)
    for row in await connection.execute(sa.select(tables.orders)):
        values = row._asdict()
        position = Position(values["changed_at"], values["changed_rank"], values["changed_id"])
        found[row.customer_id][row.key, position] = Order(**{f: values[f] for f in Order.__struct_fields__})
    return dict(found)


async def _outbox(connection: AsyncConnection) -> dict[tuple[UUID, int], tuple[bool, bytes]]:
    o = tables.outbox.c
    found = await connection.execute(sa.select(o.customer_id, o.sequence, o.published, o.value))
    return {(row.customer_id, row.sequence): (row.published, row.value) for row in found}


async def _held_by_notifier(connection: AsyncConnection) -> dict[UUID, tuple[UUID, str]]:
    i = notifier.tables.instances.c
    found = await connection.execute(sa.select(i.instance, i.customer_id, i.stage).where(i.stage.is_not(None)))
    return {row.instance: (row.customer_id, row.stage) for row in found}


async def _heard_by_notifier(connection: AsyncConnection) -> dict[UUID, int]:
    c = notifier.tables.customers.c
    return {row.id: row.sequence for row in await connection.execute(sa.select(c.id, c.sequence))}


async def _messages(connection: AsyncConnection) -> Rows:
    return (await connection.execute(sa.select(notifier.tables.messages))).all()


_READERS = {
    "namespaces": _namespaces,
    "watermark": _watermark,
    "events": _events,
    "dead": _dead,
    "customer_of": _customer_of,
    "customers": _customers,
    "moves": _moves,
    "instances": _instances,
    "part_of": _part_of,
    "orders": _orders,
    "outbox": _outbox,
    "held_by_notifier": _held_by_notifier,
    "heard_by_notifier": _heard_by_notifier,
    "messages": _messages,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`acknowledged` are the (storefront, event id) that ingest answered for."""

    acknowledged: frozenset[tuple[str, str]]
    records: Sequence[Logged]
    tables: Tables
    published: Sequence[Published]
    standings: Mapping[UUID, tuple[int, bytes | None]]
    """What `customer.stages` holds last of each customer: up to which change, and the value; None is a tombstone."""
    mails: Sequence[Mail]
    expected: Sequence[Expected] = ()
