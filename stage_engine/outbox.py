"""The outbox: changes are written in the transaction that made them, published after it, marked after the ack.

One publisher at a time for each slice of customers, held by an advisory lock of its connection. It reads what is not
yet published, never "after the last id": sequences commit out of order. A repeat is the same bytes, since the bytes
are what is stored.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.changes import ChangeType, KnownUntil, cloudevent_headers, encode_change
from services.contracts.topics import STAGE_CHANGES
from services.kafka import Record, Sender, SendFailed, SendUnknown
from services.postgres import among, columns_of, rows, selected, transaction
from stage_engine import tables
from stage_engine.changes import Announcement
from stage_engine.metrics import PUBLISHED
from stage_engine.store import read_watermark

log = structlog.get_logger()

SLICES = 8
"""How many engines can publish at once at the most; a customer is always in the same slice."""
LOCK_SPACE = 7_265
"""First half of the advisory locks' keys; the second is the slice."""
AT_ONCE = 500
DEADLINE = timedelta(seconds=20)

_O = tables.outbox.c


def slice_of(customer: UUID) -> int:
    return customer.bytes[0] % SLICES


async def post(connection: AsyncConnection, announced: Sequence[Announcement]) -> None:
    """Writes changes into the outbox, in their order, inside the caller's transaction."""
    if not announced:
        return
    columns = (_O.slice, _O.customer_id, _O.sequence, _O.storefront, _O.type, _O.value, _O.made_at)
    given = rows("posted", columns)
    now = datetime.now(UTC)
    values = [
        (slice_of(c.customer_id), c.customer_id, c.sequence, c.storefront, str(kind), encode_change(c), now)
        for kind, c in announced
    ]
    await connection.execute(
        insert(tables.outbox).from_select([c.name for c in columns], sa.select(*selected(given, columns))),
        columns_of("posted", columns, values),
    )


class Publisher:
    """Publishes the slices that it can lock. One step: lock what is free, publish what waits, mark what was acked."""

    def __init__(self, engine: AsyncEngine, sender: Sender) -> None:
        self._engine = engine
        self._sender = sender
        self._locks: AsyncConnection | None = None
        self._held: set[int] = set()

    async def close(self) -> None:
        """Lets the slices go, so that another engine takes them over at once."""
        locks, self._locks, self._held = self._locks, None, set()
        if locks is not None:
            await locks.close()

    async def step(self) -> bool:
        """True when there was something to publish."""
        try:
            await self._take_free_slices()
            waiting = await self._waiting()
            if not waiting:
                return False
            await self._sender.send([_record(row) for row in waiting], deadline=DEADLINE)
            async with transaction(self._engine) as connection:
                await connection.execute(
                    sa.update(tables.outbox).where(among(_O.id, [row.id for row in waiting])).values(published=True)
                )
        except (SendFailed, SendUnknown) as error:
            log.warning("the outbox could not be published; trying again", why=str(error))
            return False
        for row in waiting:
            PUBLISHED.labels(row.type).inc()
        return True

    async def _take_free_slices(self) -> None:
        """The locks live as long as their connection: when that is lost they are free for others, and so are we."""
        try:
            if self._locks is None:
                self._held = set()
                self._locks = await self._engine.connect()
                await self._locks.execution_options(isolation_level="AUTOCOMMIT")
            for slice_ in range(SLICES):
                if slice_ not in self._held and await self._locks.scalar(
                    sa.select(sa.func.pg_try_advisory_lock(LOCK_SPACE, slice_))
                ):
                    self._held.add(slice_)
            await self._locks.execute(sa.text("SELECT 1"))
        except BaseException:
            await self.close()
            raise

    async def _waiting(self) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            found = await connection.execute(
                sa.select(_O.id, _O.customer_id, _O.sequence, _O.storefront, _O.type, _O.value, _O.made_at)
                .where(~_O.published, among(_O.slice, sorted(self._held)))
                .order_by(_O.id)
                .limit(AT_ONCE)
            )
            return found.all()


def _record(row: Any) -> Record:  # noqa: ANN401  SQLAlchemy's row
    return Record(
        topic=STAGE_CHANGES,
        key=row.customer_id.bytes,
        value=row.value,
        headers=cloudevent_headers(
            ChangeType(row.type),
            event_id=f"{row.customer_id}/{row.sequence}",
            storefront=row.storefront,
            subject=str(row.customer_id),
            time=row.made_at,
        ),
    )


async def announce_known_until(engine: AsyncEngine, sender: Sender, storefronts: Collection[str]) -> datetime | None:
    """Tells every partition the time before which no wake is overdue and no change unpublished; None before any is.

    The order matters: the watermark is read first, so whatever is found undone afterwards is counted against it.
    """
    async with engine.connect() as connection:
        known = await read_watermark(connection)
        if known is None:
            return None
        c = tables.customers.c
        overdue: datetime | None = await connection.scalar(
            sa.select(sa.func.min(c.next_wake)).where(c.next_wake <= known, among(c.storefront, storefronts))
        )
        unpublished: datetime | None = await connection.scalar(sa.select(sa.func.min(_O.made_at)).where(~_O.published))
    until = min(time for time in (known, overdue, unpublished) if time is not None)
    value = encode_change(KnownUntil(known_until=until))
    headers = cloudevent_headers(
        ChangeType.KNOWN_UNTIL, event_id=until.isoformat(), storefront="", subject=None, time=until
    )
    partitions = await sender.partitions_of(STAGE_CHANGES)
    records = [
        Record(topic=STAGE_CHANGES, key=None, value=value, headers=headers, partition=number) for number in partitions
    ]
    await sender.send(records, deadline=DEADLINE)
    return until
