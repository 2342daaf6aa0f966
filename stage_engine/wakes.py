"""Wakes: customers for whom a time has come. The time is in their state; no table of timers is kept beside it."""

from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.postgres import UNAVAILABLE, among, transaction
from stage_engine import store, tables
from stage_engine.folding import Rules, fold_onward
from stage_engine.metrics import WAKES
from stage_engine.outcomes import write

log = structlog.get_logger()

AT_ONCE = 500


@dataclass(slots=True)
class Wakes:
    engine: AsyncEngine
    rules: Rules

    async def step(self) -> bool:
        """Folds those whose next wake the watermark has passed; True when there were any.

        It skips the customers that are locked just now and waits for none, so it can't be part of a deadlock.
        """
        c = tables.customers.c
        try:
            async with transaction(self.engine) as connection:
                until = await store.read_watermark(connection)
                if until is None:
                    return False
                due = await connection.execute(
                    sa.select(c.id)
                    .where(c.next_wake <= until, among(c.storefront, list(self.rules.storefronts)))
                    .order_by(c.next_wake)
                    .limit(AT_ONCE)
                    .with_for_update(skip_locked=True)
                )
                customers = await store.customers(connection, list(due.scalars()))
                outcomes = await fold_onward(connection, list(customers.values()), {}, self.rules, until)
                await write(connection, outcomes)
        except UNAVAILABLE as error:
            log.warning("the wakes were not stored; trying again", why=repr(error))
            return False
        WAKES.inc(len(customers))
        return bool(customers)
