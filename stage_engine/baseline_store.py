"""Baselines in Postgres: what stands for events that are not kept, found by the identities that it belongs to.

A baseline moves with its identity, as events do: who is whom stays in the pointers alone. Its orders and transitions
are copies, because those of a customer are derived and forgotten whenever the customer is folded again.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import Transition
from services.postgres import among, columns_of, rows, upsert
from stage_engine import tables
from stage_engine.baselines import Baseline
from stage_engine.book_store import order_of
from stage_engine.history import THE_BEGINNING, Position
from stage_engine.orders import Order
from stage_engine.state import State, decode_state, encode_state

_B = tables.baselines.c
_N = tables.baseline_identities.c
_BO = tables.baseline_orders.c
_BM = tables.baseline_moves.c
_E = tables.events.c
_I = tables.identities.c
_K = tables.checkpoints.c
_O = tables.orders.c
_T = tables.transitions.c
_VERSION = (_O.changed_at, _O.changed_rank, _O.changed_id)


async def kept_from(connection: AsyncConnection, customers: Collection[UUID]) -> dict[UUID, Position]:
    """Up to where the events of a customer are not kept; who has no baseline is absent."""
    found = await connection.execute(
        sa.select(_I.customer_id, _N.at, _N.rank, _N.event_id)
        .join(tables.identities, _I.id == _N.identity_id)
        .where(among(_I.customer_id, customers))
        .ext(distinct_on(_I.customer_id))
        .order_by(_I.customer_id, _N.at.desc(), _N.rank.desc(), _N.event_id.desc())
    )
    return {row.customer_id: Position(row.at, row.rank, row.event_id) for row in found}


async def with_a_past(connection: AsyncConnection, identities: Collection[UUID]) -> frozenset[UUID]:
    """Those of the identities that have events which are not kept."""
    return frozenset(
        (await connection.execute(sa.select(_N.identity_id).where(among(_N.identity_id, identities)))).scalars()
    )


async def taken_apart(connection: AsyncConnection, customers: Collection[UUID]) -> frozenset[UUID]:
    """The customers whose baseline stands for others' events too, or whose own stand in another's baseline."""
    held, holder = tables.identities.alias("held"), tables.identities.alias("holder")
    apart = (
        sa.select(held.c.customer_id, holder.c.customer_id)
        .select_from(tables.baseline_identities)
        .join(held, held.c.id == _N.identity_id)
        .join(holder, holder.c.id == _N.baseline)
        .where(held.c.customer_id != holder.c.customer_id)
    )
    found = await connection.execute(
        sa.union(apart.where(among(held.c.customer_id, customers)), apart.where(among(holder.c.customer_id, customers)))
    )
    return frozenset(customer for pair in found for customer in pair) & frozenset(customers)


async def baselines_after(
    connection: AsyncConnection, positions: Mapping[UUID, Position | None]
) -> dict[UUID, list[Baseline]]:
    """For each customer the baselines that sort after a position, with all that a fold takes from them."""
    columns = (_I.customer_id, _B.at, _B.rank, _B.event_id)
    given = rows("begun", columns)
    later = sa.tuple_(_B.at, _B.rank, _B.event_id) > sa.tuple_(given.c.at, given.c.rank, given.c.event_id.collate("C"))
    found = (
        await connection.execute(
            sa.select(_I.customer_id, *_B)
            .select_from(given)
            .join(tables.identities, _I.customer_id == given.c.customer_id)
            .join(tables.baselines, sa.and_(_B.id == _I.id, later)),
            columns_of("begun", columns, [(id_, *(at or THE_BEGINNING)) for id_, at in positions.items()]),
        )
    ).all()
    if not found:
        return {}
    ids = [row.id for row in found]
    orders, moves = await _orders(connection, ids), await _moves(connection, ids)
    baselines: dict[UUID, list[Baseline]] = defaultdict(list)
    for row in found:
        state = decode_state(row.state)
        baselines[row.customer_id].append(
            Baseline(
                id=row.id,
                position=Position(row.at, row.rank, row.event_id),
                state=msgspec.structs.replace(state, approximate=True) if row.taken_apart else state,
                orders=tuple(orders[row.id]),
                moves=tuple(moves[row.id]),
            )
        )
    return baselines


async def _orders(connection: AsyncConnection, baselines: Collection[UUID]) -> dict[UUID, list[tuple[Position, Order]]]:
    found: dict[UUID, list[tuple[Position, Order]]] = defaultdict(list)
    version = (_BO.changed_at, _BO.changed_rank, _BO.changed_id, _BO.key)
    for row in await connection.execute(
        sa.select(tables.baseline_orders).where(among(_BO.baseline, baselines)).order_by(*version)
    ):
        position = Position(row.changed_at, row.changed_rank, row.changed_id)
        found[row.baseline].append((position, order_of(row)))
    return found


async def _moves(connection: AsyncConnection, baselines: Collection[UUID]) -> dict[UUID, list[Transition]]:
    found: dict[UUID, list[Transition]] = defaultdict(list)
    wanted = sa.select(_BM.baseline, _BM.body).where(among(_BM.baseline, baselines))
    for row in await connection.execute(wanted.order_by(_BM.baseline, _BM.number)):
        found[row.baseline].append(msgspec.convert(row.body, Transition))
    return found


async def fold_away(
    connection: AsyncConnection, customer: UUID, root: UUID, state: State, position: Position, *, anew: bool
) -> int:
    """Puts a baseline in place of the events of a customer, who is locked, up to a position; returns how many.

    `root` is the identity that it is to belong to. Its transitions only grow, unless other baselines become part of it,
    or events from before its former end do (`anew`): then they are numbered otherwise.
    """
    own = sa.select(_I.id).where(_I.customer_id == customer)
    merged = list((await connection.execute(sa.select(_B.id).where(_B.id.in_(own)))).scalars())
    deleted = await connection.execute(
        sa.delete(tables.events)
        .where(_E.identity_id.in_(own), sa.tuple_(_E.occurred_at, _E.rank, _E.event_id) <= _at(position))
        .returning(_E.identity_id)
    )
    gone = list(deleted.scalars())
    await _belongs(connection, customer, root, position, merged=merged, emptied={root, *gone})
    if anew or merged != [root]:
        await connection.execute(sa.delete(tables.baseline_moves).where(among(_BM.baseline, [root, *merged])))
    await connection.execute(sa.delete(tables.baseline_orders).where(among(_BO.baseline, [root, *merged])))
    await connection.execute(sa.delete(tables.baselines).where(among(_B.id, [id_ for id_ in merged if id_ != root])))
    await upsert(
        connection,
        tables.baselines,
        "laid",
        [_B.id, _B.at, _B.rank, _B.event_id, _B.state, _B.taken_apart],
        [(root, *position, encode_state(state), False)],
    )
    await _keep_moves(connection, customer, root, state.moves)
    await _keep_orders(connection, customer, root, position)
    await _begin_here(connection, customer, state, position)
    return len(gone)


async def _belongs(
    connection: AsyncConnection,
    customer: UUID,
    root: UUID,
    position: Position,
    *,
    merged: Collection[UUID],
    emptied: Collection[UUID],
) -> None:
    """Says of every identity where its past is. One that another customer's baseline stood for is not any more."""
    own = sa.select(_I.id).where(_I.customer_id == customer)
    held_elsewhere = sa.select(_N.baseline).where(among(_N.identity_id, emptied), ~_N.baseline.in_(own))
    await connection.execute(sa.update(tables.baselines).where(_B.id.in_(held_elsewhere)).values(taken_apart=True))
    inherited = await connection.execute(
        sa.update(tables.baseline_identities)
        .where(among(_N.baseline, [root, *merged]))
        .values(baseline=root)
        .returning(_N.identity_id)
    )
    still = sa.select(_I.id).where(_I.customer_id == customer, among(_I.id, [*inherited.scalars(), *emptied]))
    values = [(id_, root, *position) for id_ in sorted((await connection.execute(still)).scalars())]
    columns = [_N.identity_id, _N.baseline, _N.at, _N.rank, _N.event_id]
    await upsert(connection, tables.baseline_identities, "folded", columns, values)


async def _keep_moves(connection: AsyncConnection, customer: UUID, root: UUID, count: int) -> None:
    held = sa.select(sa.func.coalesce(sa.func.max(_BM.number), -1)).where(_BM.baseline == root).scalar_subquery()
    standing = sa.select(sa.literal(root, _T.customer_id.type), _T.number, _T.body).where(
        _T.customer_id == customer, ~_T.retracted, _T.number < count, _T.number > held
    )
    await connection.execute(insert(tables.baseline_moves).from_select(["baseline", "number", "body"], standing))


async def _keep_orders(connection: AsyncConnection, customer: UUID, root: UUID, position: Position) -> None:
    """Of each order its version as of then; what it was before that nothing can refer to any more."""
    then = sa.tuple_(*_VERSION) <= _at(position)
    names = [column.name for column in tables.baseline_orders.c if column.name != "baseline"]
    latest = (
        sa.select(sa.literal(root, _O.customer_id.type), *(_O[name] for name in names))
        .where(_O.customer_id == customer, then)
        .ext(distinct_on(_O.key))
        .order_by(_O.key, *(column.desc() for column in _VERSION))
    )
    await connection.execute(insert(tables.baseline_orders).from_select(["baseline", *names], latest))
    newer = sa.tuple_(*_VERSION) < sa.tuple_(_BO.changed_at, _BO.changed_rank, _BO.changed_id)
    await connection.execute(
        sa.delete(tables.orders).where(_O.customer_id == customer, _BO.baseline == root, _BO.key == _O.key, newer)
    )


async def _begin_here(connection: AsyncConnection, customer: UUID, state: State, position: Position) -> None:
    """A checkpoint where the history begins: a re-fold mostly needs no more of the baseline than its state."""
    point = sa.tuple_(_K.at, _K.rank, _K.event_id)
    await connection.execute(sa.delete(tables.checkpoints).where(_K.customer_id == customer, point <= _at(position)))
    values = [(customer, state.events, *position, encode_state(state))]
    await upsert(connection, tables.checkpoints, "begun", list(_K), values)


def _at(position: Position) -> sa.Tuple:
    """A position to compare with the columns of one."""
    return sa.tuple_(*position, types=[c.type for c in (_E.occurred_at, _E.rank, _E.event_id)])
