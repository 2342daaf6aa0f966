"""The engine's tables, read and written in bulk inside somebody's transaction. It decides nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import Root, Transition
from services.contracts.dead_letters import DeadLetter
from services.contracts.identity import IdentityKind
from services.postgres import among, columns_of, rows, selected, upsert
from stage_engine import tables
from stage_engine.arrivals import Place
from stage_engine.fold import Move
from stage_engine.history import Position
from stage_engine.state import EMPTY, Instance, State, decode_state, encode_state

_E = tables.events.c
_C = tables.customers.c
_I = tables.identities.c
_json = msgspec.json.Encoder(decimal_format="string")
NOWHERE = (None, None, None)


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A join or a split that waits to be published: its number, and the other customers that it touched."""

    number: int
    others: list[UUID]
    split: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer's row. `waits_from` is the position of the first event that waits, `root_said` who `root` is.

    `revision` is the one of the shop that `state`, checkpoints and order versions were folded by (as its `folded_as`
    has it), None before the first fold; `broken_by` is the one whose fold stumbled. `refold_from` is where the
    background refolder is to begin; `arrived_from` the first of what came since it did. `joined` is a join or a split
    that is published with the next fold.
    """

    id: UUID
    storefront: str
    root: UUID
    sequence: int
    state: State
    next_wake: datetime | None
    waits_from: Position | None
    hold: str | None
    broken: str | None
    refold_from: Position | None = None
    arrived_from: Position | None = None
    joined: Joined | None = None
    revision: int | None = None
    broken_by: int | None = None
    root_said: Root | None = None


async def customers(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Customer]:
    """The rows, which the caller has locked when it means to write them."""
    found = await connection.execute(
        sa.select(tables.customers, _I.kind.label("root_kind"), _I.value.label("root_value"))
        .join(tables.identities, _I.id == _C.root)
        .where(among(_C.id, ids))
    )
    return {row.id: _customer(row) for row in found}


def _customer(row: Any) -> Customer:  # noqa: ANN401  SQLAlchemy's row
    return Customer(
        id=row.id,
        storefront=row.storefront,
        root=row.root,
        sequence=row.sequence,
        state=EMPTY if row.state is None else decode_state(row.state),
        next_wake=row.next_wake,
        waits_from=_position(row.waits_at, row.waits_rank, row.waits_id),
        hold=row.hold,
        broken=row.broken,
        refold_from=_position(row.refold_at, row.refold_rank, row.refold_id),
        arrived_from=_position(row.arrived_at, row.arrived_rank, row.arrived_id),
        joined=None if row.joined is None else msgspec.convert(row.joined, Joined),
        revision=row.revision,
        broken_by=row.broken_by,
        root_said=Root(kind=IdentityKind(row.root_kind).field, value=row.root_value),
    )


def _position(at: datetime | None, rank: int | None, event_id: str | None) -> Position | None:
    return None if at is None else Position(at, rank or 0, event_id or "")


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
        _C.refold_at,
        _C.refold_rank,
        _C.refold_id,
        _C.arrived_at,
        _C.arrived_rank,
        _C.arrived_id,
        _C.joined,
        _C.revision,
        _C.broken_by,
    )
    given = rows("written", columns)
    values = [
        (
            c.id,
            c.sequence,
            encode_state(c.state),
            c.next_wake,
            *(c.waits_from or NOWHERE),
            c.hold,
            c.broken,
            *(c.refold_from or NOWHERE),
            *(c.arrived_from or NOWHERE),
            None if c.joined is None else _json.encode(c.joined).decode(),
            c.revision,
            c.broken_by,
        )
        for c in customers
    ]
    await connection.execute(
        sa.update(tables.customers)
        .where(_C.id == given.c.id)
        .values(dict(zip((c.name for c in columns[1:]), selected(given, columns[1:]), strict=True))),
        columns_of("written", columns, values),
    )


async def write_instances(
    connection: AsyncConnection,
    changed: Iterable[tuple[UUID, str, Instance]],
    gone: Iterable[tuple[UUID, UUID]],
) -> None:
    """`changed` are (customer, storefront, instance), `gone` (customer, instance id)."""
    columns = list(tables.instances.c)
    values = [(c, i.id, s, i.track, i.shown_key, i.stage, i.since) for c, s, i in changed]
    await upsert(connection, tables.instances, "stood", columns, values)
    key = (tables.instances.c.customer_id, tables.instances.c.instance)
    left = rows("gone", key)
    if pairs := list(gone):
        await connection.execute(
            sa.delete(tables.instances).where(key[0] == left.c.customer_id, key[1] == left.c.instance),
            columns_of("gone", key, pairs),
        )


class Standing(NamedTuple):
    """A transition that was announced and not retracted; `number` is its place among the customer's."""

    number: int
    transition: Transition


HANDED = 1_000_000_000
"""Added to the numbers of transitions that were handed over: they come after all of the customer's own."""


async def standing_transitions(
    connection: AsyncConnection, since: Mapping[UUID, int]
) -> dict[UUID, dict[UUID, Standing]]:
    """By customer and transition id, in their order; of each customer those from a number on."""
    t = tables.transitions.c
    columns = (t.customer_id, t.number)
    given = rows("since", columns)
    found: dict[UUID, dict[UUID, Standing]] = defaultdict(dict)
    result = await connection.execute(
        sa.select(t.customer_id, t.id, t.number, t.body)
        .join(given, sa.and_(t.customer_id == given.c.customer_id, t.number >= given.c.number))
        .where(~t.retracted)
        .order_by(t.customer_id, t.number),
        columns_of("since", columns, list(since.items())),
    )
    for row in result:
        found[row.customer_id][row.id] = Standing(row.number, msgspec.convert(row.body, Transition))
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
    await upsert(connection, tables.transitions, "moved", columns, values)


async def hand_over(connection: AsyncConnection, before: UUID, after: UUID) -> None:
    """What stood under a customer who is now part of another stands under that one: its next fold says what holds."""
    await share(connection, before, after)
    t = tables.transitions.c
    await connection.execute(
        sa.update(tables.transitions).where(t.customer_id == before, ~t.retracted).values(retracted=True)
    )


async def share(
    connection: AsyncConnection, before: UUID, after: UUID, identities: Collection[UUID] | None = None
) -> None:
    """What stands under one customer stands under another too: all, or what events of these identities caused."""
    t = tables.transitions.c
    columns = (t.customer_id, t.id, t.at, t.number, t.retracted, t.body)
    standing = sa.select(
        sa.literal(after, t.customer_id.type), t.id, t.at, HANDED + t.number % HANDED, t.retracted, t.body
    ).where(t.customer_id == before, ~t.retracted)
    if identities is not None:
        cause = t.body["cause"]["identity"].astext
        standing = standing.where(cause == sa.any_(sa.literal([str(id_) for id_ in identities], ARRAY(sa.Text))))
    handed = insert(tables.transitions).from_select([c.name for c in columns], standing)
    await connection.execute(
        handed.on_conflict_do_update(
            index_elements=[t.customer_id, t.id],
            set_={"retracted": False, "number": handed.excluded.number},
            where=t.retracted,
        )
    )


async def write_dead_letters(connection: AsyncConnection, letters: Sequence[tuple[Place, DeadLetter]]) -> None:
    columns = [column for column in tables.dead_letters.c if column.name != "replayed_at"]
    values = [
        (p.topic, p.partition, p.offset, d.storefront, d.code, d.reason, d.source, d.received_at, d.raw)
        for p, d in letters
    ]
    await upsert(connection, tables.dead_letters, "dead", columns, values)


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
