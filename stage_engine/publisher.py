"""Publishes the outbox: one publisher at a time for each slice of customers, held by an advisory lock.

It reads what is not yet published, never "after the last id": sequences commit out of order. Before the changes it
writes where their customers stand to `customer.stages`, so that who reads that topic to its end misses no change that
was published before. Should two ever publish one slice (a lock is lost with its connection, unnoticed until the next
step), each sends all that it finds from the first on: what comes twice is the same, and first appearances are in order.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.changes import ChangeType, CustomerStanding, KnownUntil, cloudevent_headers, encode_change
from services.contracts.topics import STAGE_CHANGES
from services.kafka import Record, Sender, SendFailed, SendUnknown
from services.postgres import among, columns_of, reading, rows, selected, transaction
from stage_engine import snapshots, tables
from stage_engine.metrics import PUBLISHED
from stage_engine.outbox import PUBLISHED_AS, SLICES, current_epoch, lock_slices, record_of
from stage_engine.store import read_watermark

log = structlog.get_logger()

LOCK_SPACE = 7_265
"""First half of the advisory locks' keys; the second is the slice."""
AT_ONCE = 500
DEADLINE = timedelta(seconds=20)
FREED_AFTER = timedelta(seconds=45)
"""A process that was stopped keeps its connections: the server frees its slices when it has been silent so long. It
is more than the two sends of a step take at the most."""

_O = tables.outbox.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is to be published, and where those of its customers stand whose snapshot is not as new."""

    rows: Sequence[Any]
    standings: Sequence[CustomerStanding]
    epoch: int


class Publisher:
    """One step: lock what is free, publish what waits in the slices that are held, mark what was acked."""

    def __init__(self, engine: AsyncEngine, sender: Sender) -> None:
        self._engine = engine
        self._sender = sender
        self._locks: AsyncConnection | None = None
        self._held: set[int] = set()
        self._ahead: dict[UUID, int] = {}
        """Customers whose snapshot is ahead of what is published of them: up to which sequence."""

    @property
    def held(self) -> frozenset[int]:
        return frozenset(self._held)

    async def close(self) -> None:
        """Lets the slices go, so that another engine takes them over at once: the locks end with their connection."""
        locks, self._locks, self._held, self._ahead = self._locks, None, set(), {}
        if locks is not None:
            await locks.invalidate()  # back in the pool, its session would hold them on
            await locks.close()

    async def step(self) -> bool:
        """True when there was something to publish."""
        try:
            await self._take_free_slices()
            waiting = await self._waiting()
            if not waiting.rows:
                return False
            now = datetime.now(UTC)
            standing = [snapshots.record_of(s, epoch=waiting.epoch, now=now) for s in waiting.standings]
            await self._sender.send(standing, deadline=DEADLINE)
            await self._sender.send([record_of(row) for row in waiting.rows], deadline=DEADLINE)
            await self._mark(waiting.rows)
        except (SendFailed, SendUnknown) as error:
            log.warning("the outbox could not be published; trying again", why=str(error))
            return False
        self._remember(waiting)
        for row in waiting.rows:
            PUBLISHED.labels(row.type).inc()
        return True

    async def _take_free_slices(self) -> None:
        """The locks live as long as their connection: when that is lost they are free for others, and so are we."""
        try:
            if self._locks is None:
                self._held, self._ahead = set(), {}
                self._locks = await self._engine.connect()
                await self._locks.execution_options(isolation_level="AUTOCOMMIT")
                milliseconds = int(FREED_AFTER.total_seconds() * 1000)
                await self._locks.execute(sa.text(f"SET idle_session_timeout = {milliseconds}"))
            wanted = [number for number in range(SLICES) if number not in self._held]
            free = sa.func.unnest(sa.literal(wanted, sa.ARRAY(sa.Integer))).column_valued("slice")
            found = await self._locks.scalars(
                sa.select(free).where(sa.func.pg_try_advisory_lock(LOCK_SPACE, free))
            )  # also when none is wanted: this is how a lost connection is noticed
            self._held.update(found)
        except BaseException:
            await self.close()
            raise

    async def _waiting(self) -> Waiting:
        """As of one moment, so that a snapshot is at least as new as the changes that follow it."""
        async with reading(self._engine) as connection:
            found = await connection.execute(
                sa.select(*PUBLISHED_AS)
                .where(~_O.published, among(_O.slice, sorted(self._held)))
                .order_by(_O.id)
                .limit(AT_ONCE)
            )
            waiting = found.all()
            if not waiting:
                return Waiting((), (), 0)
            behind = {row.customer_id for row in waiting if row.sequence > self._ahead.get(row.customer_id, 0)}
            standings = await snapshots.standings(connection, behind)
            epoch = await connection.scalar(sa.select(current_epoch()))
        return Waiting(waiting, list(standings.values()), int(epoch or 0))

    async def _mark(self, sent: Sequence[Any]) -> None:
        """Published, each with its position in the slice, under a lock that lets positions be read in their order.

        Where another has marked some of them meanwhile, our snapshots may have come after theirs and be older: then the
        last change of each customer is to be published again, and a new snapshot with it.
        """
        async with transaction(self._engine) as connection:
            positions = await lock_slices(connection, sorted({row.slice for row in sent}))
            found = await connection.execute(
                sa.select(_O.id, _O.slice, _O.position)
                .where(among(_O.id, [row.id for row in sent]), ~_O.published)
                .order_by(_O.id)
            )
            unmarked = found.all()
            values = []
            for row in unmarked:
                if row.position is None:
                    positions[row.slice] += 1
                values.append((row.id, positions[row.slice] if row.position is None else row.position))
            await _update(connection, tables.outbox, (_O.id, _O.position), values, published=True)
            taken = list(positions.items())
            await _update(connection, tables.slices, (tables.slices.c.slice, tables.slices.c.position), taken)
            ours = {row.id for row in unmarked}
            if overtaken := {row.customer_id for row in sent if row.id not in ours}:
                log.warning("another engine published the same slice; what it said last is said again")
                last = {row.customer_id: row.id for row in sent if row.customer_id in overtaken}
                await connection.execute(
                    sa.update(tables.outbox).where(among(_O.id, list(last.values()))).values(published=False)
                )

    def _remember(self, waiting: Waiting) -> None:
        published = {row.customer_id: row.sequence for row in waiting.rows}
        self._ahead.update({s.customer_id: s.sequence for s in waiting.standings})
        for customer, sequence in published.items():
            if self._ahead.get(customer, 0) <= sequence:
                self._ahead.pop(customer, None)


async def _update(
    connection: AsyncConnection,
    table: sa.Table,
    columns: tuple[sa.Column[Any], sa.Column[Any]],
    values: Iterable[tuple[int, int]],
    **also: bool,
) -> None:
    """Sets the second column where the first is the key."""
    key, column = columns
    given = rows("marked", columns)
    sought, set_ = selected(given, columns)
    await connection.execute(
        sa.update(table).where(key == sought).values({column.name: set_, **also}),
        columns_of("marked", columns, list(values)),
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
        epoch: int | None = await connection.scalar(sa.select(current_epoch()))
    until = min(time for time in (known, overdue, unpublished) if time is not None)
    value = encode_change(KnownUntil(known_until=until))
    headers = cloudevent_headers(
        ChangeType.KNOWN_UNTIL,
        event_id=until.isoformat(),
        storefront="",
        subject=None,
        time=until,
        epoch=int(epoch or 0),
    )
    partitions = await sender.partitions_of(STAGE_CHANGES)
    records = [
        Record(topic=STAGE_CHANGES, key=None, value=value, headers=headers, partition=number) for number in partitions
    ]
    await sender.send(records, deadline=DEADLINE)
    return until
