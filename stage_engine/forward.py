"""Customers who were folded by other rules than those in force, brought forward to these.

They are folded again from their first event. What that corrects of the past is announced as a replay: it starts
nothing, and does cancel. A history too long for a transaction is left to the background refolder.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.errors import NoShop
from services.postgres import UNAVAILABLE, among
from stage_engine import event_store, store, tables
from stage_engine.folding import fold_again
from stage_engine.history import THE_BEGINNING
from stage_engine.in_force import Folding
from stage_engine.metrics import FORWARD
from stage_engine.outcomes import Outcome, Postponed, write
from stage_engine.rules import Rules
from stage_engine.store import Customer

log = structlog.get_logger()

LARGE = 2_000
"""Events of one customer that are folded in a transaction with others at the most."""
AT_ONCE = 200
"""Customers of one transaction, and with them"""
EVENTS_AT_ONCE = 10_000
"""so many events: about a second, for which they are locked."""

_C = tables.customers.c


class Behind(Exception):
    """The transaction must begin again once these customers were brought forward."""

    def __init__(self, customers: Collection[UUID]) -> None:
        super().__init__(f"{len(customers)} customers to be brought to another revision")
        self.customers = frozenset(customers)


def check_none_is_behind(customers: Iterable[Customer], rules: Rules) -> None:
    """Raises Behind. Who waits for the background refolder, or stumbled, is folded from the beginning anyway."""
    behind = {c.id for c in customers if rules.is_behind(c) and c.refold_from is None and c.broken is None}
    if behind:
        raise Behind(behind)


@dataclass(slots=True)
class Forward:
    """One step takes those who have something to do first, then others; several processes share the work."""

    in_force: Folding

    async def step(self) -> bool:
        """True when there were any. It passes over those that are locked just now, and waits for none."""
        try:
            async with self.in_force.transaction() as (connection, rules):
                return await self._some(connection, rules)
        except NoShop:
            return False
        except UNAVAILABLE as error:
            log.warning("customers were not brought forward; trying again", why=repr(error))
            return False

    async def these(self, ids: Collection[UUID]) -> None:
        """Waits for their locks."""
        async with self.in_force.transaction() as (connection, rules):
            wanted = sa.select(_C.id).where(among(_C.id, ids), rules.behind, _C.refold_at.is_(None))
            locked = await connection.execute(wanted.order_by(_C.id).with_for_update())
            await bring(connection, list(locked.scalars()), rules)

    async def _some(self, connection: AsyncConnection, rules: Rules) -> bool:
        until = await store.read_watermark(connection)
        behind = sa.select(_C.id).where(rules.behind, _C.refold_at.is_(None)).limit(AT_ONCE)
        behind = behind.with_for_update(skip_locked=True)
        overdue = behind.where(_C.next_wake <= until).order_by(_C.next_wake) if until else behind
        ids = list((await connection.execute(overdue)).scalars())
        ids = ids or list((await connection.execute(behind)).scalars())
        return await bring(connection, ids, rules, at_most=EVENTS_AT_ONCE) > 0


async def bring(connection: AsyncConnection, ids: Collection[UUID], rules: Rules, *, at_most: int | None = None) -> int:
    """Folds them again by these rules; the caller has locked them. Leaves out the last beyond `at_most` events.

    Returns how many are done, or left to the background refolder.
    """
    if not ids:
        return 0
    counts = await event_store.counts(connection, dict.fromkeys(ids))
    small: list[UUID] = []
    total = 0
    for id_ in sorted(ids, key=lambda id_: (counts.get(id_, 0), id_)):
        total += counts.get(id_, 0)
        if counts.get(id_, 0) > LARGE or (small and at_most is not None and total > at_most):
            break
        small.append(id_)
    large = [id_ for id_ in ids if counts.get(id_, 0) > LARGE]
    customers = await store.customers(connection, {*small, *large})
    until = await store.read_watermark(connection) or datetime.fromtimestamp(0, UTC)
    outcomes: list[Outcome] = [Postponed(customer=customers[id_], since=THE_BEGINNING) for id_ in large]
    outcomes += await fold_again(connection, [customers[id_] for id_ in sorted(small)], {}, rules, until)
    await write(connection, outcomes, rules)
    nameless = customers.keys() - {outcome.customer.id for outcome in outcomes}  # they have no history
    await store.write_customers(
        connection, [replace(c, revision=rules.number(c.storefront)) for c in customers.values() if c.id in nameless]
    )
    FORWARD.inc(len(customers))
    return len(customers)


async def count_behind(connection: AsyncConnection, rules: Rules) -> int:
    return int(
        await connection.scalar(sa.select(sa.func.count()).select_from(tables.customers).where(rules.behind)) or 0
    )
