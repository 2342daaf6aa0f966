"""The background refolder: histories too long for a batch's transaction, folded in stretches that slow nobody.

It reads and folds without a lock, a stretch at a time, and only then locks the customer. What came meanwhile
(`arrived_from`) takes away the stretches behind it, and they are folded again; once what is left is short, it is
folded under the lock and all is written at once. Each round is shorter than the one before, so a bot that never rests
is caught up with all the same.
"""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.errors import NoShop
from services.postgres import among, reading, refuses
from stage_engine import baseline_store, book_store, event_store, store, tables
from stage_engine.changes import Effect, corrections
from stage_engine.crossings import standing_elsewhere, taking_part
from stage_engine.fold import Folded
from stage_engine.folding import beginnings, folded_by, orders_named
from stage_engine.history import THE_BEGINNING, Position
from stage_engine.in_force import Folding
from stage_engine.metrics import BROKEN, FOLDS
from stage_engine.orders import Order
from stage_engine.outcomes import Outcome, Settled, Stumbled, corrected, write
from stage_engine.rules import Rules
from stage_engine.state import EMPTY, State
from stage_engine.store import Customer

log = structlog.get_logger()

STRETCH = 1_000
"""Events folded at once: about 40 ms of the loop's time, less than a batch of the consumer takes."""

_C = tables.customers.c


@dataclass(slots=True)
class Progress:
    """How far a re-fold by these rules has come.

    The state that it began from, each stretch folded since, and the orders they made.
    """

    rules: Rules
    start: State
    stretches: list[Folded] = field(default_factory=list)
    book: dict[str, Order] = field(default_factory=dict)

    @property
    def state(self) -> State:
        return self.stretches[-1].state if self.stretches else self.start

    @property
    def waits(self) -> bool:
        return bool(self.stretches) and self.stretches[-1].waits_from is not None

    def add(self, folded: Folded) -> None:
        self.stretches.append(folded)
        self.book.update((order.key, order) for _, order in folded.orders)

    def take_back(self, since: Position) -> bool:
        """Forgets the stretches that a change at `since` touches; False when it lies before where this began."""
        while self.stretches and (position := self.state.position) is not None and position >= since:
            self.stretches.pop()
        self.book = {order.key: order for part in self.stretches for _, order in part.orders}
        return self.state.position is None or self.state.position < since

    def whole(self) -> Folded:
        """All stretches as one fold from `start`."""
        last = self.stretches[-1]
        return Folded(
            state=last.state,
            moves=tuple(move for part in self.stretches for move in part.moves),
            orders=tuple(version for part in self.stretches for version in part.orders),
            checkpoints=tuple(state for part in self.stretches for state in part.checkpoints),
            next_wake=last.next_wake,
            waits_from=last.waits_from,
        )


@dataclass(slots=True)
class Refolder:
    """One step takes one customer, whoever has waited longest in event time, to the end."""

    engine: AsyncEngine
    in_force: Folding

    async def step(self) -> bool:
        """True when there was one. Two engines may meet on one: the first to finish wins, the other finds it done."""
        try:
            async with self.in_force.transaction() as (connection, rules):
                customer = await connection.scalar(
                    sa.select(_C.id)
                    .where(_C.refold_at.is_not(None), among(_C.storefront, list(rules.storefronts)))
                    .order_by(_C.refold_at)
                    .limit(1)
                )
            if customer is None:
                return False
            await self.refold(customer)
        except NoShop:
            return False
        except (DBAPIError, OSError) as error:
            log.warning("a re-fold was not stored; trying again", why=repr(error))
            return False
        return True

    async def refold(self, customer_id: UUID) -> None:
        """Until it is done, or found done by somebody else."""
        progress: Progress | None = None
        while True:
            progress = await self._begin(customer_id, progress)
            if progress is None:
                return
            stumbled = not await self._fold_to_the_end(customer_id, progress)
            async with self.in_force.transaction() as (connection, rules):
                if rules is not progress.rules:
                    continue
                if stumbled:
                    await write(connection, [Stumbled(customer=await self._locked(connection, customer_id))], rules)
                    return
                if await self._finish(connection, customer_id, progress):
                    FOLDS.labels("background").inc()
                    return

    async def _locked(self, connection: AsyncConnection, customer_id: UUID) -> Customer:
        await connection.execute(sa.select(_C.id).where(_C.id == customer_id).with_for_update())
        return (await store.customers(connection, [customer_id]))[customer_id]

    async def _begin(self, customer_id: UUID, progress: Progress | None) -> Progress | None:
        """Takes what arrived into `refold_from`, and back to before it; None when nothing is left to do."""
        async with self.in_force.transaction() as (connection, rules):
            customer = await self._locked(connection, customer_id)
            if customer.refold_from is None or customer.storefront not in rules.storefronts:
                return None
            since = min(customer.refold_from, customer.arrived_from or customer.refold_from)
            if rules.is_behind(customer):  # its checkpoints are of other rules
                since = THE_BEGINNING
            await store.write_customers(connection, [replace(customer, refold_from=since, arrived_from=None)])
            if progress is not None and progress.rules is rules and progress.take_back(customer.arrived_from or since):
                return progress
            starts = await book_store.checkpoints_before(connection, {customer_id: since})
            begun = await beginnings(connection, [customer_id], starts)
            return Progress(rules, begun.get(customer_id, EMPTY))

    async def _fold_to_the_end(self, customer_id: UUID, progress: Progress) -> bool:
        """Stretch by stretch, letting others have their turn between two; False when the fold stumbles."""
        while not progress.waits:
            async with reading(self.engine) as connection:
                more = await self._fold_next(connection, customer_id, progress)
            if more is not True:
                return more is not None
            await asyncio.sleep(0)
        return True

    async def _fold_next(self, connection: AsyncConnection, customer_id: UUID, progress: Progress) -> bool | None:
        """True when there may be more, False at the end, None when the fold stumbles."""
        read = await event_store.stretch(connection, customer_id, progress.state.position, STRETCH)
        until = await store.read_watermark(connection) or datetime.fromtimestamp(0, UTC)
        pasts = await baseline_store.baselines_after(connection, {customer_id: progress.state.position})
        if read.more:  # further events may lie between the last of these and a due time after it
            last = read.entries[-1].position
            until = min(until, last.occurred_at)
            pasts = {id_: [past for past in found if past.position < last] for id_, found in pasts.items()}
        customer = (await store.customers(connection, [customer_id]))[customer_id]
        as_of = {customer_id: progress.start.position}
        stored = await orders_named(connection, {customer_id: read.entries}, as_of, pasts)
        orders = {**stored.get(customer_id, {}), **progress.book}
        past = pasts.get(customer_id, ())
        folded = folded_by(customer, progress.state, read.entries, progress.rules, until, orders, past)
        if folded is None:
            return None
        progress.add(folded)
        return read.more and not progress.waits

    async def _finish(self, connection: AsyncConnection, customer_id: UUID, progress: Progress) -> bool:
        """Under the lock: folds the short rest and writes all; False when what came meanwhile is not short."""
        customer = await self._locked(connection, customer_id)
        if customer.refold_from is None:
            return True
        if customer.arrived_from is not None and not progress.take_back(customer.arrived_from):
            return False
        if progress.waits:  # the watermark may have risen since
            progress.take_back(progress.state.position or THE_BEGINNING)
        more = await self._fold_next(connection, customer_id, progress)
        if more:
            return False
        try:
            async with connection.begin_nested():
                stumbled = Stumbled(customer=customer)
                outcome = stumbled if more is None else await self._outcome(connection, customer, progress)
                await write(connection, [outcome], progress.rules)
        except DBAPIError as error:
            if not refuses(error):
                raise
            log.exception("the re-fold can't be stored; the customer is on hold", customer_id=str(customer_id))
            BROKEN.inc()
            await write(connection, [stumbled], progress.rules)  # else it would be the first in turn for ever
        return True

    async def _outcome(self, connection: AsyncConnection, customer: Customer, progress: Progress) -> Outcome:
        start, folded = progress.start, progress.whole()
        needed = 0 if customer.joined else start.moves
        stood = (await store.standing_transitions(connection, {customer.id: needed})).get(customer.id, {})
        since = {id_: s.transition for id_, s in stood.items() if s.number >= start.moves}
        await book_store.forget_after(connection, {customer.id: start.position})
        still = [move.transition for move in folded.moves] + await standing_elsewhere(connection, [customer], ())
        new, gone = corrections(folded.moves, since, known=since.values(), still=still)
        return Settled(
            customer=customer,
            folded=folded,
            effect=Effect(
                before=customer.state.profile,
                after=folded.state,
                new=new,
                gone=gone,
                moved=taking_part(customer, (), 0, has_events=True),
                earlier=[s.transition for s in stood.values() if s.number < start.moves],
                moves=folded.moves,
                hold_changed=True,
                past=progress.rules.past(customer),
            ),
            numbered_from=start.moves,
            away=corrected(folded.moves, since),
        )
