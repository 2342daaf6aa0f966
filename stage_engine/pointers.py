"""Who is whom, in Postgres: identities, what links them, and the customers they come to, under locks.

The order of locks is new identities, new links, the identities that these may turn (`turning.py`), customers; each
sorted. A batch that says nothing new of who is whom locks customers only. Whoever changes where an identity ends
holds the customers that it leaves and that it comes to. What was resolved before the locks is resolved again after them
in a new statement; when that leads to rows that are not locked, the transaction begins again with the larger set
(`Grew`). Two that turn pointers of one tree at once may still deadlock: Postgres ends one of them, which begins again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.identity import Identity
from services.postgres import among, columns_of, rows, selected
from stage_engine import tables
from stage_engine.arrivals import Arrival
from stage_engine.identity import customer_id, identity_id, root_of
from stage_engine.turning import NODE, Node, NotLocked, Pair, leading_to, node_of, turn

Namespaces = Mapping[str, UUID]
"""The secret of each storefront that its customers' ids are made with."""

_I = tables.identities.c
_L = tables.links.c


class Grew(Exception):
    """The transaction must begin again and lock these identities and customers too."""

    def __init__(self, rows: Collection[UUID]) -> None:
        super().__init__(f"{len(rows)} rows to lock")
        self.rows = frozenset(rows)


@dataclass(frozen=True, slots=True)
class Crossing:
    """An identity that from now on ends at another customer."""

    identity: UUID
    before: UUID
    after: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`customer_of` has every identity that an event of the batch belongs to.

    `nodes` are the identities that were seen on the way.
    """

    customer_of: Mapping[UUID, UUID]
    crossings: tuple[Crossing, ...]
    nodes: Mapping[UUID, Node]

    @property
    def crossed(self) -> frozenset[UUID]:
        """The customers that an identity left or came to."""
        return frozenset({*(c.before for c in self.crossings), *(c.after for c in self.crossings)})

    @property
    def customers(self) -> frozenset[UUID]:
        return frozenset(self.customer_of.values()) | self.crossed


async def settle(
    connection: AsyncConnection, arrivals: Collection[Arrival], namespaces: Namespaces, also_lock: Collection[UUID]
) -> Settled:
    """Stores the batch's identities and links, moves the pointers that change, locks every customer that it touches."""
    named = {
        identity_id(a.entry.event.storefront, identity): (a.entry.event.storefront, identity)
        for a in arrivals
        for identity in (*a.named, *(end for link in a.links for end in (link.weak, link.strong)))
    }
    own = {a.entry.identity for a in arrivals}
    fresh = await _insert(connection, named, namespaces)
    turned = await turn(connection, await _link(connection, arrivals), also_lock)
    if isinstance(turned, NotLocked):
        raise Grew(turned.identities)

    settled = await _resolve(connection, own, turned, fresh, namespaces)
    locked = await _lock_customers(connection, settled.customers | frozenset(also_lock), settled.nodes, namespaces)
    settled = await _resolve(connection, own, turned, fresh, namespaces)
    if not settled.customers <= locked:
        raise Grew(settled.customers | locked)
    await _cross(connection, settled.crossings)
    return settled


async def _insert(
    connection: AsyncConnection, named: Mapping[UUID, tuple[str, Identity]], namespaces: Namespaces
) -> frozenset[UUID]:
    """The identities that were not known before. Each begins as a root of its own."""
    known = await connection.execute(sa.select(_I.id).where(among(_I.id, named)))
    missing = named.keys() - set(known.scalars())
    if not missing:
        return frozenset()
    columns = (_I.id, _I.storefront, _I.kind, _I.value, _I.customer_id)
    values = [
        (id_, storefront, int(identity.kind), identity.value, customer_id(namespaces[storefront], identity))
        for id_, (storefront, identity) in sorted((id_, named[id_]) for id_ in missing)
    ]
    given = rows("named", columns)
    statement = insert(tables.identities).from_select([c.name for c in columns], sa.select(*selected(given, columns)))
    found = await connection.execute(
        statement.on_conflict_do_nothing().returning(_I.id), columns_of("named", columns, values)
    )
    return frozenset(found.scalars())


async def _link(connection: AsyncConnection, arrivals: Collection[Arrival]) -> frozenset[Pair]:
    """Keeps the earliest time of every link; returns those that are new or became earlier.

    Most were said before. They are only read: a lock on them would make those wait who say the same again.
    """
    earliest: dict[Pair, tuple[int, datetime]] = {}
    for a in arrivals:
        storefront = a.entry.event.storefront
        for link in a.links:
            pair = identity_id(storefront, link.weak), identity_id(storefront, link.strong)
            _, at = earliest.get(pair, (0, link.at))
            earliest[pair] = int(link.strong.kind), min(link.at, at)
    if not earliest:
        return frozenset()
    pairs = (_L.weak, _L.strong)
    asked = rows("asked", pairs)
    known = await connection.execute(
        sa.select(*pairs, _L.at).join(asked, sa.and_(_L.weak == asked.c.weak, _L.strong == asked.c.strong)),
        columns_of("asked", pairs, list(earliest)),
    )
    for row in known:
        if row.at <= earliest[row.weak, row.strong][1]:
            del earliest[row.weak, row.strong]
    if not earliest:
        return frozenset()
    columns = (_L.weak, _L.strong, _L.strong_kind, _L.at)
    given = rows("said", columns)
    statement = insert(tables.links).from_select([c.name for c in columns], sa.select(*selected(given, columns)))
    kept = statement.on_conflict_do_update(
        index_elements=[_L.weak, _L.strong],
        set_={"at": statement.excluded.at},
        where=statement.excluded.at < _L.at,
    ).returning(*pairs)
    values = [(*pair, *said) for pair, said in sorted(earliest.items())]
    found = await connection.execute(kept, columns_of("said", columns, values))
    return frozenset((row.weak, row.strong) for row in found)


async def _resolve(
    connection: AsyncConnection,
    own: Collection[UUID],
    turned: Collection[UUID],
    fresh: Collection[UUID],
    namespaces: Namespaces,
) -> Settled:
    """Where everything ends now. A fresh identity crosses from nowhere, so that is no crossing; it is just written."""
    nodes = await _nodes(connection, own)
    if turned:
        nodes |= await _around(connection, turned)
    turned_tree = _pointing_to(nodes, turned)

    def follow(id_: UUID) -> tuple[UUID, datetime] | None:
        node = nodes.get(id_)
        if node is None or node.points_to is None or node.wants_since is None:
            return None
        return node.points_to, node.wants_since

    ends: dict[UUID, UUID] = {}
    for id_ in turned_tree:
        root = nodes[root_of(id_, follow)]
        ends[id_] = customer_id(namespaces[root.storefront], root.identity)
    crossed = [Crossing(id_, nodes[id_].customer, end) for id_, end in ends.items() if end != nodes[id_].customer]
    await _cross(connection, [c for c in crossed if c.identity in fresh])
    return Settled(
        customer_of={id_: ends.get(id_, nodes[id_].customer) for id_ in own},
        crossings=tuple(sorted((c for c in crossed if c.identity not in fresh), key=lambda c: c.identity)),
        nodes=nodes,
    )


async def _nodes(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Node]:
    found = await connection.execute(sa.select(*NODE).where(among(_I.id, ids)))
    return {row.id: node_of(row) for row in found}


async def _around(connection: AsyncConnection, turned: Collection[UUID]) -> dict[UUID, Node]:
    """The rows of all that leads to `turned`, and of all that `turned` leads to."""
    back = leading_to(turned)
    forth = sa.select(_I.id, _I.points_to).where(among(_I.id, turned)).cte("forth", recursive=True)
    forth = forth.union(sa.select(_I.id, _I.points_to).join(forth, _I.id == forth.c.points_to))
    around = sa.union(sa.select(back.c.id), sa.select(forth.c.id)).subquery()
    # By an array, so that the planner can't take the few for a part of the table that is worth a scan of all of it.
    few = sa.select(*NODE).where(_I.id == sa.any_(sa.func.array(sa.select(around.c.id).scalar_subquery())))
    found = await connection.execute(few)
    return {row.id: node_of(row) for row in found}


def _pointing_to(nodes: Mapping[UUID, Node], targets: Collection[UUID]) -> set[UUID]:
    """The targets and every node among `nodes` whose pointers lead to one of them."""
    sources: dict[UUID, list[UUID]] = {}
    for id_, node in nodes.items():
        if node.points_to is not None:
            sources.setdefault(node.points_to, []).append(id_)
    reached: set[UUID] = set()
    ahead = [id_ for id_ in targets if id_ in nodes]
    while ahead:
        id_ = ahead.pop()
        if id_ not in reached:
            reached.add(id_)
            ahead += sources.get(id_, ())
    return reached


async def _cross(connection: AsyncConnection, crossings: Collection[Crossing]) -> None:
    if not crossings:
        return
    columns = (_I.id, _I.customer_id)
    given = rows("crossed", columns)
    await connection.execute(
        sa.update(tables.identities).where(_I.id == given.c.id).values(customer_id=given.c.customer_id),
        columns_of("crossed", columns, sorted((c.identity, c.after) for c in crossings)),
    )


async def _lock_customers(
    connection: AsyncConnection, customers: Collection[UUID], nodes: Mapping[UUID, Node], namespaces: Namespaces
) -> frozenset[UUID]:
    """Makes the rows that are missing and locks all, in sorted order; returns those that it has.

    One is missing whose root nobody named alone before; that is among `nodes`.
    """
    c = tables.customers.c
    known = await connection.execute(sa.select(c.id).where(among(c.id, customers)))
    if missing := frozenset(customers) - set(known.scalars()):
        roots = {customer_id(namespaces[node.storefront], node.identity): node for node in nodes.values()}
        columns = (c.id, c.storefront, c.root)
        values = [(id_, roots[id_].storefront, roots[id_].id) for id_ in sorted(missing & roots.keys())]
        given = rows("rooted", columns)
        made = insert(tables.customers).from_select([k.name for k in columns], sa.select(*selected(given, columns)))
        await connection.execute(made.on_conflict_do_nothing(), columns_of("rooted", columns, values))
    locked = await connection.execute(sa.select(c.id).where(among(c.id, customers)).order_by(c.id).with_for_update())
    return frozenset(locked.scalars())
