"""The history in Postgres: events under their identities, and a customer's events from a position on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import Cause
from services.contracts.events import Event, SaidBy, rank_of
from services.contracts.identity import Identity, IdentityKind, Who
from services.postgres import among, columns_of, rows, upsert
from stage_engine import tables
from stage_engine.history import THE_BEGINNING, Entry, Position, Precedence, event_key, precedence_of

_E = tables.events.c
_I = tables.identities.c
_json = msgspec.json.Encoder(decimal_format="string")

Place = tuple[UUID, UUID]
"""(identity, event key): where an event is stored."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a history, and whether more may follow."""

    entries: tuple[Entry, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What storing changed: new events, and copies that turned out to have come first; a repeat is in neither.

    `since` is, for such a copy, when it or the copy that it replaces occurred, whichever is earlier. `other_bodies`
    counts what said something else under a known id.
    """

    new: dict[Place, Entry]
    earlier: dict[Place, Entry]
    since: dict[Place, datetime]
    other_bodies: int


async def keep_events(connection: AsyncConnection, entries: Iterable[Entry]) -> Kept:
    """Stores events under their identities, whose rows are locked; of copies the one received first stays."""
    first: dict[tuple[UUID, UUID], Entry] = {}
    for entry in entries:
        place = entry.identity, entry.key
        if place not in first or entry.precedence < first[place].precedence:
            first[place] = entry
    known = await _known(connection, list(first))
    earlier = {p: entry for p, entry in first.items() if p in known and entry.precedence < known[p].precedence}
    kept = Kept(
        new={place: entry for place, entry in first.items() if place not in known},
        earlier=earlier,
        since={place: min(entry.event.occurred_at, known[place].occurred_at) for place, entry in earlier.items()},
        other_bodies=sum(place in known and entry.body != known[place].body for place, entry in first.items()),
    )
    stored = [_event_row(entry) for _, entry in sorted((kept.new | kept.earlier).items())]
    await upsert(connection, tables.events, "kept", list(_E), stored)
    return kept


class _Known(NamedTuple):
    """A copy that is stored already."""

    received_at: datetime
    body: bytes
    occurred_at: datetime
    imported_at: datetime | None
    network: str | None

    @property
    def precedence(self) -> Precedence:
        return precedence_of(self.received_at, self.body, self.imported_at, self.network)


async def _known(connection: AsyncConnection, places: Sequence[Place]) -> dict[Place, _Known]:
    columns = (_E.identity_id, _E.event_key)
    given = rows("given", columns)
    found = await connection.execute(
        sa.select(
            *(_E.identity_id, _E.event_key),
            *(_E.received_at, _E.body, _E.occurred_at, _E.imported_at, _E.network),
        ).join(given, sa.and_(_E.identity_id == given.c.identity_id, _E.event_key == given.c.event_key)),
        columns_of("given", columns, places),
    )
    return {(identity, key): _Known(*rest) for identity, key, *rest in found}


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
        event.imported_at,
        event.network,
    )


async def histories(
    connection: AsyncConnection, after: Mapping[UUID, Position | None], *, until: datetime | None = None
) -> dict[UUID, list[Entry]]:
    """The events of these customers that sort after a position, without copies of what came first, in no order.

    From None on it is all of them, copies included: then the fold sees which came first. Up to a time it can't: the
    one that came first may have occurred after it.
    """
    given, asked = _asked(after)
    later, source = _later(given, *_E)
    statement = sa.select(*later.c, given.c.customer_id, _I.kind, _I.value).select_from(source)
    if until is not None:
        statement = statement.where(later.c.occurred_at <= until)
    found: dict[UUID, list[Entry]] = defaultdict(list)
    for row in await connection.execute(statement, asked):
        found[row.customer_id].append(_entry(row))
    return await _without_later_copies(connection, found, {id_ for id_, position in after.items() if position or until})


async def counts(connection: AsyncConnection, after: Mapping[UUID, Position | None]) -> dict[UUID, int]:
    """How many events sort after a position, copies included."""
    if not after:
        return {}
    given, asked = _asked(after)
    later, source = _later(given, _E.event_key)
    statement = (
        sa.select(given.c.customer_id, sa.func.count(later.c.event_key))
        .select_from(source)
        .group_by(given.c.customer_id)
    )
    return {customer: count for customer, count in await connection.execute(statement, asked)}  # noqa: C416  rows are no pairs to mypy


async def stretch(connection: AsyncConnection, customer: UUID, after: Position | None, limit: int) -> Stretch:
    """A customer's next events after a position, later copies left out; reads `limit` at a time until one is left."""
    own = list((await connection.execute(sa.select(_I.id).where(_I.customer_id == customer))).scalars())
    position = (_E.occurred_at, _E.rank, _E.event_id)
    wanted = (
        sa.select(*_E, _I.kind, _I.value)
        .join(tables.identities, _E.identity_id == _I.id)
        .where(among(_E.identity_id, own))
        .order_by(*position)
        .limit(limit)
    )
    while True:
        further = wanted
        if after is not None:
            further = wanted.where(sa.tuple_(*position) > sa.tuple_(*after, types=[c.type for c in position]))
        read = [_entry(row) for row in await connection.execute(further)]
        kept = (await _without_later_copies(connection, {customer: read}, {customer}))[customer]
        if kept or len(read) < limit:
            return Stretch(tuple(kept), more=len(read) == limit)
        after = read[-1].position


async def _without_later_copies(
    connection: AsyncConnection, found: Mapping[UUID, list[Entry]], asked: set[UUID]
) -> dict[UUID, list[Entry]]:
    """Of the customers asked for, only what is folded. Only who has several identities can hold two copies."""
    several = await connection.execute(
        sa.select(_I.customer_id)
        .where(among(_I.customer_id, asked & found.keys()))
        .group_by(_I.customer_id)
        .having(sa.func.count() > 1)
    )
    looked_at = set(several.scalars())
    if not looked_at:
        return dict(found)
    given, asked_for = _held({id_: [entry.key for entry in found[id_]] for id_ in looked_at})
    stored = await connection.execute(
        sa.select(given.c.customer_id, _E.event_key, _E.received_at, _E.body, _E.imported_at, _E.network).select_from(
            _copies_of(given)
        ),
        asked_for,
    )
    first: dict[Place, Precedence] = {}
    for customer, key, *how in stored:
        precedence = precedence_of(*how)
        first[customer, key] = min(precedence, first.get((customer, key), precedence))
    return {
        customer: [entry for entry in entries if entry.precedence <= first.get((customer, entry.key), entry.precedence)]
        for customer, entries in found.items()
    }


async def copies(connection: AsyncConnection, came: Mapping[UUID, Iterable[Entry]]) -> dict[UUID, datetime]:
    """Customers that hold one of these events under more than one identity: since when, in event time."""
    given, asked = _held({customer: {entry.key for entry in entries} for customer, entries in came.items()})
    found = await connection.execute(
        sa.select(given.c.customer_id, sa.func.min(_E.occurred_at))
        .select_from(_copies_of(given))
        .group_by(given.c.customer_id, given.c.event_key)
        .having(sa.func.count() > 1),
        asked,
    )
    earliest: dict[UUID, datetime] = {}
    for customer, at in found:
        earliest[customer] = min(at, earliest.get(customer, at))
    return earliest


async def by_cause(connection: AsyncConnection, causes: Collection[Cause]) -> dict[Cause, Event]:
    """The events that these causes name, as far as they are kept."""
    columns = (_E.identity_id, _E.event_key)
    given = rows("given", columns)
    found = await connection.execute(
        sa.select(*_E, _I.kind, _I.value)
        .join(given, sa.and_(_E.identity_id == given.c.identity_id, _E.event_key == given.c.event_key))
        .join(tables.identities, _E.identity_id == _I.id),
        columns_of("given", columns, [(cause.identity, event_key(cause.event_id)) for cause in causes]),
    )
    return {entry.cause: entry.event for entry in map(_entry, found)}


async def beginnings(connection: AsyncConnection, identities: Collection[UUID]) -> dict[UUID, datetime]:
    """When each identity's history begins; one without events is absent."""
    if not identities:
        return {}
    found = await connection.execute(
        sa.select(_E.identity_id, sa.func.min(_E.occurred_at))
        .where(among(_E.identity_id, identities))
        .group_by(_E.identity_id)
    )
    return {identity: at for identity, at in found}  # noqa: C416  as above


def _asked(after: Mapping[UUID, Position | None]) -> tuple[sa.TableValuedAlias, dict[str, Any]]:
    """The customers with their positions as a relation, and its parameters."""
    columns = (_I.customer_id, _E.occurred_at, _E.rank, _E.event_id)
    values = [(customer, *(position or THE_BEGINNING)) for customer, position in after.items()]
    return rows("asked", columns), columns_of("asked", columns, values)


def _held(keys: Mapping[UUID, Collection[UUID]]) -> tuple[sa.TableValuedAlias, dict[str, Any]]:
    """Customers with keys of events as a relation, and its parameters."""
    columns = (_I.customer_id, _E.event_key)
    values = [(customer, key) for customer, of_customer in keys.items() for key in of_customer]
    return rows("held", columns), columns_of("held", columns, values)


def _copies_of(given: sa.TableValuedAlias) -> sa.Join:
    """Every copy, found by its primary key under each of the customer's identities."""
    identities = sa.join(given, tables.identities, _I.customer_id == given.c.customer_id)
    here = sa.and_(_E.identity_id == _I.id, _E.event_key == given.c.event_key)
    return sa.join(identities, tables.events, here)


def _later(given: sa.TableValuedAlias, *columns: sa.ColumnElement[Any]) -> tuple[sa.FromClause, sa.Join]:
    """Columns of the events after the position, for each of the customers' identities, and what to select them from.

    `OFFSET 0` keeps the planner from taking it apart: it then enters the index in order at the position, where else it
    reads all of the identity's events and compares each.
    """
    position = sa.tuple_(given.c.occurred_at, given.c.rank, given.c.event_id.collate("C"))
    later = (
        sa.select(*columns)
        .where(_E.identity_id == _I.id, sa.tuple_(_E.occurred_at, _E.rank, _E.event_id) > position)
        .offset(0)
        .lateral("later")
    )
    identities = sa.join(given, tables.identities, _I.customer_id == given.c.customer_id)
    return later, sa.join(identities, later, sa.true())


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
            imported_at=row.imported_at,
            network=row.network,
        ),
        body=row.body,
    )
