"""What is kept by position so that a re-fold can begin in the middle: versions of orders, and checkpoints of states."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from services.postgres import among, columns_of, rows, upsert
from stage_engine import tables
from stage_engine.checkpoints import superfluous
from stage_engine.fold import CHECKPOINT_EVERY
from stage_engine.history import Position
from stage_engine.orders import Order
from stage_engine.state import State, decode_state, encode_state

_O = tables.orders.c
_K = tables.checkpoints.c
_VERSION = (_O.changed_at, _O.changed_rank, _O.changed_id)
_POINT = (_K.at, _K.rank, _K.event_id)


async def orders(
    connection: AsyncConnection, wanted: Mapping[UUID, Collection[str]], as_of: Mapping[UUID, Position | None]
) -> dict[UUID, dict[str, Order]]:
    """Rows of the order book by customer and order key, as they were after the event at a position."""
    columns = (_O.customer_id, _O.key, *_VERSION)
    given = rows("booked", columns)
    values = [
        (customer, key, *position)
        for customer, keys in wanted.items()
        if (position := as_of.get(customer)) is not None
        for key in keys
    ]
    found: dict[UUID, dict[str, Order]] = defaultdict(dict)
    if not values:
        return found
    then = sa.tuple_(given.c.changed_at, given.c.changed_rank, given.c.changed_id.collate("C"))
    result = await connection.execute(
        sa.select(tables.orders)
        .join(given, sa.and_(_O.customer_id == given.c.customer_id, _O.key == given.c.key.collate("C")))
        .where(sa.tuple_(*_VERSION) <= then)
        .ext(distinct_on(_O.customer_id, _O.key))
        .order_by(_O.customer_id, _O.key, *(column.desc() for column in _VERSION)),
        columns_of("booked", columns, values),
    )
    for row in result:
        found[row.customer_id][row.key] = order_of(row)
    return found


def order_of(row: Any) -> Order:  # noqa: ANN401  SQLAlchemy's row
    """Of any table that has an order's columns."""
    return Order(
        key=row.key,
        completed_at=row.completed_at,
        currency=row.currency,
        revenue=Decimal(row.revenue),
        total=Decimal(row.total),
        refunded=Decimal(row.refunded),
        refunded_whole=row.refunded_whole,
        cancelled=row.cancelled,
    )


async def write_orders(connection: AsyncConnection, versions: Iterable[tuple[UUID, Position, Order]]) -> None:
    columns = list(tables.orders.c)
    own = [column.name for column in columns[5:]]
    values = [
        (customer, order.key, *position, *(getattr(order, name) for name in own))
        for customer, position, order in versions
    ]
    await upsert(connection, tables.orders, "booked", columns, values)


async def checkpoints_before(
    connection: AsyncConnection, positions: Mapping[UUID, Position | None]
) -> dict[UUID, State]:
    """For each customer the last state that was kept before a position; none for None, or where none was."""
    columns = (_K.customer_id, *_POINT)
    given = rows("wanted", columns)
    values = [(customer, *position) for customer, position in positions.items() if position is not None]
    if not values:
        return {}
    before = sa.tuple_(given.c.at, given.c.rank, given.c.event_id.collate("C"))
    found = await connection.execute(
        sa.select(_K.customer_id, _K.state)
        .join(given, _K.customer_id == given.c.customer_id)
        .where(sa.tuple_(*_POINT) < before)
        .ext(distinct_on(_K.customer_id))
        .order_by(_K.customer_id, _K.events.desc()),
        columns_of("wanted", columns, values),
    )
    return {row.customer_id: decode_state(row.state) for row in found}


async def forget_after(connection: AsyncConnection, positions: Mapping[UUID, Position | None]) -> None:
    """Before a re-fold from a position (None: from the beginning): what was derived of later events is gone."""
    for table, point in ((tables.orders, _VERSION), (tables.checkpoints, _POINT)):
        columns = (table.c.customer_id, *point)
        given = rows("kept", columns)
        values = [(customer, *(position or (None, None, None))) for customer, position in positions.items()]
        at, rank, event_id = (given.c[column.name] for column in point)
        await connection.execute(
            sa.delete(table).where(
                table.c.customer_id == given.c.customer_id,
                at.is_(None) | (sa.tuple_(*point) > sa.tuple_(at, rank, event_id.collate("C"))),
            ),
            columns_of("kept", columns, values),
        )


async def write_checkpoints(connection: AsyncConnection, taken: Mapping[UUID, Collection[State]]) -> None:
    """Keeps new ones, and thins the customer's older ones; where a history that is not kept whole begins, one stays."""
    customers = [customer for customer, states in taken.items() if states]
    values = [
        (customer, state.events, *state.position, encode_state(state))
        for customer in customers
        for state in taken[customer]
        if state.position is not None
    ]
    if not values:
        return
    await upsert(connection, tables.checkpoints, "taken", list(_K), values)
    held: dict[UUID, list[int]] = defaultdict(list)
    for customer, events in await connection.execute(
        sa.select(_K.customer_id, _K.events).where(among(_K.customer_id, customers))
    ):
        if events % CHECKPOINT_EVERY == 0:
            held[customer].append(events)
    key = (_K.customer_id, _K.events)
    thinned = [(customer, events) for customer, numbers in held.items() for events in superfluous(numbers)]
    if thinned:
        given = rows("thinned", key)
        await connection.execute(
            sa.delete(tables.checkpoints).where(_K.customer_id == given.c.customer_id, _K.events == given.c.events),
            columns_of("thinned", key, thinned),
        )
