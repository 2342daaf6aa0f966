"""What operators ask of one customer: who is meant, and why they stand where they do. Reads, and writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import Cause
from services.contracts.events import Event
from services.contracts.identity import Identity, IdentityKind, normalised
from services.errors import Gone, NotFound
from services.postgres import among
from stage_engine import baseline_store, event_store, store, tables
from stage_engine.facts import shown
from stage_engine.fold import Folded, fold
from stage_engine.folding import beginnings
from stage_engine.identity import identity_id
from stage_engine.pointers import Namespaces
from stage_engine.rules import Rules
from stage_engine.state import EMPTY
from stage_engine.store import Customer
from stage_engine.why import BEFORE_ALL, Why, why

_I = tables.identities.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`events` are those that `why` speaks of and that are still kept."""

    customer: Customer
    identities: tuple[Identity, ...]
    why: Why
    events: Mapping[Cause, Event]


async def current(connection: AsyncConnection, customer: UUID) -> UUID:
    """Where the root that this id was made of ends today: ids of former roots keep resolving. Raises NotFound."""
    c = tables.customers.c
    found = await connection.scalar(
        sa.select(_I.customer_id).join(tables.customers, c.root == _I.id).where(c.id == customer)
    )
    if found is None:
        raise NotFound(f"there is no customer {customer}")
    return UUID(str(found))


async def led_to(
    connection: AsyncConnection, namespaces: Namespaces, kind: IdentityKind, value: str, storefront: str | None
) -> list[UUID]:
    """The customers that an identity leads to: at most one a storefront."""
    identity = Identity(kind, normalised(kind, value))
    ids = [identity_id(name, identity) for name in namespaces if storefront in (None, name)]
    found = await connection.execute(sa.select(_I.customer_id).where(among(_I.id, ids)))
    return sorted(set(found.scalars()))


async def folded_at(connection: AsyncConnection, rules: Rules, customer: Customer, at: datetime) -> Folded:
    """What is known now about then. Raises Gone where the history does not reach back so far."""
    kept_from = (await baseline_store.kept_from(connection, [customer.id])).get(customer.id)
    if kept_from is not None and at < kept_from.occurred_at:
        kept = shown(kept_from.occurred_at)
        raise Gone(f"the history of {customer.id} is kept from {kept} on; ask for a time after that")
    history = (await event_store.histories(connection, {customer.id: None}, until=at)).get(customer.id, [])
    past = (await baseline_store.baselines_after(connection, {customer.id: None})).get(customer.id, [])
    start = (await beginnings(connection, [customer.id], {})).get(customer.id, EMPTY)
    storefront = rules.storefronts[customer.storefront]
    return fold(history, rules.model, at, storefront=storefront, start=start, baselines=past)


async def ask_why(
    connection: AsyncConnection, rules: Rules, customer_id: UUID, *, now: datetime, at: datetime | None = None
) -> Answer | None:
    """As stored; with `at`, folded from the history up to then with what is known now. None for an unknown customer."""
    row = (await store.customers(connection, [customer_id])).get(customer_id)
    if row is None or row.storefront not in rules.storefronts:
        return None
    storefront = rules.storefronts[row.storefront]
    standing = (await store.standing_transitions(connection, {customer_id: 0})).get(customer_id, {}).values()
    if at is None:
        transitions = [stood.transition for stood in standing]
        known_until = await store.read_watermark(connection) or BEFORE_ALL
    else:
        then = await folded_at(connection, rules, row, at)
        row = replace(row, state=then.state, next_wake=then.next_wake, waits_from=then.waits_from)
        begun = then.state.moves - len(then.moves)  # where old history was folded away, its moves are kept all the same
        transitions = [stood.transition for stood in standing if stood.number < begun]
        transitions += [move.transition for move in then.moves]
        known_until = at
    found = why(row.state, rules.model, transitions, at or now, known_until=known_until, storefront=storefront)
    named = await connection.execute(sa.select(_I.kind, _I.value).where(_I.customer_id == customer_id))
    return Answer(
        customer=row,
        identities=tuple(sorted(Identity(IdentityKind(kind), value) for kind, value in named)),
        why=found,
        events=await event_store.by_cause(connection, found.causes),
    )
