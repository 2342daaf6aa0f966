"""Wakes: customers for whom a time has come. The time is in their state; no table of timers is kept beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import NoShop
from services.postgres import UNAVAILABLE, refuses
from stage_engine import store, tables
from stage_engine.folding import fold_onward
from stage_engine.in_force import Folding
from stage_engine.metrics import BROKEN, WAKES
from stage_engine.outcomes import Stumbled, write
from stage_engine.rules import Rules
from stage_engine.store import Customer

log = structlog.get_logger()

AT_ONCE = 500


@dataclass(slots=True)
class Wakes:
    in_force: Folding

    async def step(self) -> bool:
        """Folds those whose next wake the watermark has passed; True when there were any.

        It skips the customers that are locked just now and waits for none, so it can't be part of a deadlock; and those
        that were folded by other rules, who are brought forward first.
        """
        c = tables.customers.c
        try:
            async with self.in_force.transaction() as (connection, rules):
                until = await store.read_watermark(connection)
                if until is None:
                    return False
                due = await connection.execute(
                    sa.select(c.id)
                    .where(c.next_wake <= until, rules.current)
                    .order_by(c.next_wake)
                    .limit(AT_ONCE)
                    .with_for_update(skip_locked=True)
                )
                ids = list(due.scalars())
                if not ids:
                    return False
                customers = await store.customers(connection, ids)
                await _wake(connection, list(customers.values()), rules, until)
        except NoShop:
            return False
        except UNAVAILABLE as error:
            log.warning("the wakes were not stored; trying again", why=repr(error))
            return False
        WAKES.inc(len(customers))
        return True


async def _wake(connection: AsyncConnection, customers: Sequence[Customer], rules: Rules, until: datetime) -> None:
    """One whose wake Postgres can't keep is broken like one whose fold stumbles: it must not hold up all others.

    It is looked for by halves.
    """
    try:
        async with connection.begin_nested():
            await write(connection, await fold_onward(connection, customers, {}, rules, until), rules)
    except DBAPIError as error:
        if not refuses(error):
            raise
        if len(customers) == 1:
            log.exception("the wake can't be stored; the customer is on hold", customer_id=str(customers[0].id))
            BROKEN.inc()
            await write(connection, [Stumbled(customer=customers[0])], rules)
            return
        middle = len(customers) // 2
        await _wake(connection, customers[:middle], rules, until)
        await _wake(connection, customers[middle:], rules, until)
