"""Where identities point, in Postgres: what each wants by its links, and who of those that want one thing have it.

An identity whose deciding link is another now is locked with all that lead to it, and so are what it wanted and what it
wants, in one sorted statement: two transactions can't both let in the last that there is room for. Of those that want
one thing only the boundary is worked out, so that one more login into an account of a hundred thousand devices costs
what it costs into one of a thousand. Who is let in or turned out by that was named by nobody: it is locked by beginning
again (`NotLocked`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.identity import Identity, IdentityKind
from services.postgres import among, columns_of, rows
from stage_engine import tables
from stage_engine.history import THE_END
from stage_engine.identity import MOST_POINTING, TILL, Link, pointer

_I = tables.identities.c
_L = tables.links.c
NODE = (_I.id, _I.storefront, _I.kind, _I.value, _I.wants, _I.wants_since, _I.points_to, _I.customer_id)
_PLACE = (_I.wants_since, _I.kind, _I.value)
"""The order of those that want one thing; `identity.pointers` has the same."""
_BEHIND_ALL = (THE_END.occurred_at, int(max(IdentityKind)), "")

Pair = tuple[UUID, UUID]
"""(weak, strong)"""


@dataclass(frozen=True, slots=True)
class Node:
    """An identity's row; `customer` is where its pointers were last seen to end."""

    id: UUID
    storefront: str
    identity: Identity
    wants: UUID | None
    wants_since: datetime | None
    points_to: UUID | None
    customer: UUID

    @property
    def pointer(self) -> tuple[UUID, datetime | None] | None:
        return None if self.points_to is None else (self.points_to, self.wants_since)

    def wishing(self, target: UUID | None, since: datetime | None) -> "Node":
        """With another wish. What it points to it keeps until its place among those who want the same is known."""
        points_to = self.points_to if target == self.wants else None
        return replace(self, wants=target, wants_since=since, points_to=points_to)


@dataclass(frozen=True, slots=True)
class NotLocked:
    """It takes these, too. What was written is to be taken back."""

    identities: frozenset[UUID]


async def turn(
    connection: AsyncConnection, said: Collection[Pair], also_lock: Collection[UUID]
) -> frozenset[UUID] | NotLocked:
    """Lets everyone point where the links now say; returns those whose pointer changed.

    `said` are the links that are new or became earlier; `also_lock` what an earlier attempt found that it needs.
    """
    weak = {pair[0] for pair in said}
    if not weak:
        return frozenset()
    free = weak | set(also_lock)
    nodes = await _lock(connection, free, {pair[1] for pair in said})
    wishing = await _wishing(connection, [nodes[id_] for id_ in weak])
    wanted = {end for n in wishing.values() for end in (n.wants, nodes[n.id].wants) if end is not None}
    if not wanted <= nodes.keys():
        return NotLocked(frozenset(wanted - nodes.keys()))
    await _write(connection, wishing)
    places = await _misplaced(connection, wanted)
    if not places.keys() <= free:
        return NotLocked(frozenset(places.keys() - free))
    placed = {id_: replace(wishing.get(id_, nodes[id_]), points_to=target) for id_, target in places.items()}
    await _write(connection, placed)
    return frozenset(id_ for id_, now in (wishing | placed).items() if now.pointer != nodes[id_].pointer)


async def _lock(connection: AsyncConnection, free: Collection[UUID], ends: Collection[UUID]) -> dict[UUID, Node]:
    """Locks what may turn with all that leads to it, and of what it wants or may want the rows alone.

    Whoever turns one writes the customer of all that lead to it, too.
    """
    leading, wants = leading_to(free), sa.select(_I.wants).where(among(_I.id, free))
    needed = sa.union(sa.select(leading.c.id), wants, sa.select(_I.id).where(among(_I.id, ends))).subquery()
    locked = await connection.execute(
        sa.select(*NODE)
        .where(_I.id == sa.any_(sa.func.array(sa.select(needed.c.id).scalar_subquery())))
        .order_by(_I.id)
        .with_for_update()
    )
    return {row.id: node_of(row) for row in locked}


async def _wishing(connection: AsyncConnection, weak: Collection[Node]) -> dict[UUID, Node]:
    """Those of them that want something else than before, or since another time."""
    found: dict[UUID, Node] = {}
    links = await _strongest_links(connection, {n.id: n.identity for n in weak})
    for before in weak:
        held = pointer(links[before.id])
        wish = (links[before.id][held], held.at) if held else (None, None)
        if wish != (before.wants, before.wants_since):
            found[before.id] = before.wishing(*wish)
    return found


async def _strongest_links(connection: AsyncConnection, weak: Mapping[UUID, Identity]) -> dict[UUID, dict[Link, UUID]]:
    """As many links of each as decide where it points: the first by kind, time and bytes. A till has thousands."""
    given = rows("weak", (_I.id,))
    strong = tables.identities.alias("strong")
    first = (
        sa.select(_L.at, strong.c.id, strong.c.kind, strong.c.value)
        .join(strong, strong.c.id == _L.strong)
        .where(_L.weak == given.c.id)
        .order_by(_L.strong_kind, _L.at, strong.c.value)
        .limit(TILL + 1)
        .lateral("first")
    )
    found = await connection.execute(
        sa.select(given.c.id.label("weak"), *first.c).join_from(given, first, sa.true()),
        columns_of("weak", (_I.id,), [(id_,) for id_ in weak]),
    )
    links: dict[UUID, dict[Link, UUID]] = {id_: {} for id_ in weak}
    for row in found:
        links[row.weak][Link(weak[row.weak], Identity(IdentityKind(row.kind), row.value), row.at)] = row.id
    return links


async def _misplaced(connection: AsyncConnection, wanted: Collection[UUID]) -> dict[UUID, UUID | None]:
    """Of those that want one of these, who is to point there or to point there no more: by identity, its target now.

    The last for whom there is room is found by the index, and then who stands on the wrong side of it.
    """
    if not wanted:
        return {}
    asked = rows("wanted", (_I.wants,))
    last = (
        sa.select(*_PLACE)
        .where(_I.wants == asked.c.wants)
        .order_by(*_PLACE)
        .offset(MOST_POINTING - 1)
        .limit(1)
        .lateral("last")
    )
    full = await connection.execute(
        sa.select(asked.c.wants, *last.c).join_from(asked, last, sa.true()),
        columns_of("wanted", (_I.wants,), [(id_,) for id_ in sorted(wanted)]),
    )
    lasts = dict.fromkeys(wanted, _BEHIND_ALL) | {row.wants: tuple(row)[1:] for row in full}

    columns = (_I.wants, *_PLACE)
    given = rows("last", columns)
    here, last_place = sa.tuple_(*_PLACE), sa.tuple_(given.c.wants_since, given.c.kind, given.c.value.collate("C"))
    let_in = sa.select(_I.id).where(_I.wants == given.c.wants, _I.points_to.is_(None), here <= last_place)
    turned_out = sa.select(_I.id).where(_I.points_to == given.c.wants, here > last_place)
    misplaced: dict[UUID, UUID | None] = {}
    for who, points in ((let_in, True), (turned_out, False)):
        side = who.offset(0).lateral("side")  # taken apart by the planner, it would not enter the index at the place
        found = await connection.execute(
            sa.select(side.c.id, given.c.wants).join_from(given, side, sa.true()),
            columns_of("last", columns, [(id_, *place) for id_, place in sorted(lasts.items())]),
        )
        misplaced |= {row.id: row.wants if points else None for row in found}
    return misplaced


async def _write(connection: AsyncConnection, nodes: Mapping[UUID, Node]) -> None:
    if not nodes:
        return
    columns = (_I.id, _I.wants, _I.wants_since, _I.points_to)
    given = rows("turned", columns)
    await connection.execute(
        sa.update(tables.identities)
        .where(_I.id == given.c.id)
        .values(wants=given.c.wants, wants_since=given.c.wants_since, points_to=given.c.points_to),
        columns_of("turned", columns, [(n.id, n.wants, n.wants_since, n.points_to) for _, n in sorted(nodes.items())]),
    )


def leading_to(ids: Collection[UUID]) -> sa.CTE:
    """The identities and all whose pointers lead to one of them."""
    back = sa.select(_I.id).where(among(_I.id, ids)).cte("back", recursive=True)
    return back.union(sa.select(_I.id).join(back, _I.points_to == back.c.id))


def node_of(row: Any) -> Node:  # noqa: ANN401  SQLAlchemy's row
    return Node(
        row.id,
        row.storefront,
        Identity(IdentityKind(row.kind), row.value),
        row.wants,
        row.wants_since,
        row.points_to,
        row.customer_id,
    )
