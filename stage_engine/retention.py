"""Retention: events that were received long ago are folded away, customer by customer.

A baseline is put in place of the longest beginning of a customer's history in which every event was received before
then. So what sorts after a late one stays a little longer. Customers are gone through in the order of their ids, once
a round; who is locked just now, waits for a re-fold or is on hold has their turn in the next. What one transaction
takes is bounded (`AT_ONCE`), so that a bot's history is no long lock either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import NoShop
from services.postgres import UNAVAILABLE, among
from stage_engine import baseline_store, book_store, event_store, store, tables
from stage_engine.baselines import Stored, cut_at
from stage_engine.folding import beginnings, folded_by, orders_named
from stage_engine.history import Position
from stage_engine.in_force import Folding
from stage_engine.metrics import FOLDED_AWAY
from stage_engine.rules import Rules
from stage_engine.state import EMPTY, State
from stage_engine.store import Customer

log = structlog.get_logger()

AT_ONCE = 500
"""Events folded away in one transaction. 1,000 took 0.3 to 0.5 s of the lock on a machine four times busy."""
PAGE = 500
"""Customers looked at in one statement; most have nothing that is old."""
LONGEST_ROUND, SHARE = timedelta(days=1), 30
"""A round begins a day after the one before, sooner where history is kept for less than so many days."""

_C = tables.customers.c
_E = tables.events.c
_I = tables.identities.c


@dataclass(slots=True)
class Retention:
    """One step looks at one page of customers, or folds away once for one of them; a round begins with the process."""

    in_force: Folding
    kept: timedelta | None
    _after: UUID | None = None
    _found: list[UUID] = field(default_factory=list)
    _rests_until: datetime | None = None

    async def step(self, now: datetime) -> bool:
        """True when there is more to do in this round."""
        if self.kept is None or (self._rests_until is not None and now < self._rests_until):
            return False
        try:
            if self._found:
                if not await self.cut(self._found[-1], now - self.kept):
                    self._found.pop()
                return True
            async with self.in_force.transaction() as (connection, rules):
                page = await self._page(connection, rules)
                self._found = await _with_old(connection, page, now - self.kept)
        except NoShop:
            return False
        except UNAVAILABLE as error:
            log.warning("old events could not be folded away; trying again", why=repr(error))
            return False
        self._after = page[-1] if page else None
        self._rests_until = None if page else now + min(LONGEST_ROUND, self.kept / SHARE)
        return bool(page)

    async def _page(self, connection: AsyncConnection, rules: Rules) -> Sequence[UUID]:
        wanted = sa.select(_C.id).where(among(_C.storefront, list(rules.storefronts))).order_by(_C.id).limit(PAGE)
        return (await connection.scalars(wanted if self._after is None else wanted.where(_C.id > self._after))).all()

    async def cut(self, customer_id: UUID, received_before: datetime) -> bool:
        """Folds away what may be of one customer's events; True when there may be more."""
        async with self.in_force.transaction() as (connection, rules):
            customer = await _locked(connection, customer_id, rules)
            watermark = await store.read_watermark(connection)
            if customer is None or watermark is None or customer.state.position is None:
                return False
            past = (await baseline_store.kept_from(connection, [customer.id])).get(customer.id)
            rows, more = await _first(connection, customer.id, past)
            end = cut_at(
                rows,
                received_before=min(received_before, watermark),
                waits_from=customer.waits_from,
                past=past,
                more=more,
            )
            if end is None:
                return False
            state = await _state_at(connection, customer, rules, end, len(rows), watermark)
            if state is None:
                return False
            gone = await baseline_store.fold_away(
                connection, customer.id, customer.root, state, end, anew=past is not None and rows[0].position <= past
            )
        FOLDED_AWAY.inc(gone)
        return more


async def _state_at(
    connection: AsyncConnection, customer: Customer, rules: Rules, end: Position, count: int, watermark: datetime
) -> State | None:
    """After the event at `end`, which is among the first `count`; None when the fold stumbles."""
    starts = await book_store.checkpoints_before(connection, {customer.id: end})
    start = (await beginnings(connection, [customer.id], starts)).get(customer.id, EMPTY)
    after = {customer.id: start.position}
    pasts = await baseline_store.baselines_after(connection, after)
    read = await event_store.stretch(connection, customer.id, start.position, count)
    entries = [entry for entry in read.entries if entry.position <= end]
    orders = await orders_named(connection, {customer.id: entries}, after, pasts)
    until = min(watermark, end.occurred_at)
    folded = folded_by(customer, start, entries, rules, until, orders.get(customer.id, {}), pasts.get(customer.id, ()))
    # What was folded last may lie before it, with copies of earlier events behind.
    return None if folded is None else replace(folded.state, position=end)


async def _with_old(connection: AsyncConnection, customers: Sequence[UUID], before: datetime) -> list[UUID]:
    """Those with an event that happened before a time: none was received before it happened."""
    old = sa.exists().where(_E.identity_id == _I.id, _E.occurred_at < before)
    found = await connection.scalars(sa.select(_I.customer_id).where(among(_I.customer_id, customers), old))
    return sorted(set(found))


async def _locked(connection: AsyncConnection, customer: UUID, rules: Rules) -> Customer | None:
    """None when somebody else has it, or when its state is not that of its events by the rules in force."""
    whole = sa.and_(_C.refold_at.is_(None), _C.broken.is_(None), rules.current)
    locked = await connection.scalar(sa.select(_C.id).where(_C.id == customer, whole).with_for_update(skip_locked=True))
    return None if locked is None else (await store.customers(connection, [customer]))[customer]


async def _first(connection: AsyncConnection, customer: UUID, past: Position | None) -> tuple[list[Stored], bool]:
    """The first events, in their order, and whether there are more: all that a join put before a past, else a few."""
    own = list((await connection.scalars(sa.select(_I.id).where(_I.customer_id == customer))).all())
    position = (_E.occurred_at, _E.rank, _E.event_id)
    wanted = sa.select(*position, _E.received_at, _E.event_key).where(among(_E.identity_id, own)).order_by(*position)
    found = (await connection.execute(wanted.limit(AT_ONCE))).all()
    more = len(found) == AT_ONCE
    if more and past is not None and Position(*found[-1][:3]) <= past:
        found, more = (await connection.execute(wanted)).all(), False
    last: dict[UUID, Position] = {}
    if len(own) > 1:  # only then can two copies be stored
        keys = list({row.event_key for row in found})
        copies = sa.select(*position, _E.event_key).where(among(_E.identity_id, own), among(_E.event_key, keys))
        for row in await connection.execute(copies):
            copy = Position(*row[:3])
            last[row.event_key] = max(copy, last.get(row.event_key, copy))
    return [Stored(at := Position(*row[:3]), row.received_at, last.get(row.event_key, at)) for row in found], more
