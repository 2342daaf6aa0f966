"""After Postgres was restored to an earlier time: a new epoch of the stream, and no mail a second time.

What the restored database says again has numbers that were given out before. So the stream's epoch rises: subscribers
forget their numbers and begin anew, the notifier takes in nothing of the epoch before, and what it may have missed of
that is published again under the new one. Messages that were due before now stay unsent: for all we know they went out.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import typer
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrations.migrate import MigrateSettings
from notifier import tables as notifier
from notifier.status import DUE, Status
from services.contracts.changes import FIRST_EPOCH
from services.contracts.reasons import Reason
from services.errors import StillRunning, Unreachable
from services.kafka import Sender, SendFailed, SendUnknown, check_topics
from services.postgres import check_migrated, create_engine, reading, transaction
from stage_engine import snapshots
from stage_engine import tables as engine_tables

AT_ONCE: Final = 500
DEADLINE: Final = timedelta(seconds=20)
MUST_STAND_STILL: Final = ("stagepost-stage-engine", "stagepost-notifier")
"""As they call themselves when they connect."""

_M = notifier.messages.c
_O = engine_tables.outbox.c


@dataclass(frozen=True, slots=True)
class Begun:
    epoch: int
    withheld: int
    unknown: int
    again: int


async def restored(settings: MigrateSettings) -> None:
    engine = create_engine(settings.postgres, application="restored")
    sender = Sender(settings.kafka, client_id="stagepost-restored")
    now = datetime.now(UTC)
    try:
        await check_migrated(engine)
        await check_topics(settings.kafka)
        await _check_stands_still(engine)
        begun = await begin_epoch(engine, now)
        typer.echo(
            f"postgres: epoch {begun.epoch}; {begun.withheld} messages withheld, {begun.unknown} unknown; "
            f"{begun.again} changes to be published again"
        )
        written = await write_standings(engine, sender, begun.epoch, now)
        typer.echo(f"kafka: customer.stages has {written} customers as they stand now")
    finally:
        await sender.stop()
        await engine.dispose()


async def _check_stands_still(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.scalars(
            sa.text(
                "SELECT DISTINCT application_name FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = ANY(:names) ORDER BY 1"
            ),
            {"names": list(MUST_STAND_STILL)},
        )
        running = [name.removeprefix("stagepost-") for name in found]
    if running:
        raise StillRunning(f"{' and '.join(running)} must not run meanwhile; stop it and say this again")


async def begin_epoch(engine: AsyncEngine, now: datetime) -> Begun:
    """One transaction: all of it, or the old epoch goes on."""
    async with transaction(engine) as connection:
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL transaction_timeout = 0"))
        before = await connection.scalar(sa.select(engine_tables.stream.c.epoch))
        epoch = (before or FIRST_EPOCH) + 1
        for table in (engine_tables.stream, notifier.stream):
            values = {"row": 1, "epoch": epoch, "restored_at": now}
            statement = insert(table).values(**values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["row"], set_=values))
        return Begun(
            epoch=epoch,
            withheld=await _withhold(connection, now),
            unknown=await _give_up(connection, now),
            again=await _say_again(connection, epoch),
        )


async def _withhold(connection: AsyncConnection, now: datetime) -> int:
    """What was due, and what a change might bring back: either may have been sent in the time that was taken back."""
    return await _change_messages(
        connection,
        _M.status.in_([*DUE, Status.CLAIMED, Status.WITHHELD]) & (_M.due_at <= now),
        status=Status.WITHHELD,
        reason=Reason.RESTORED,
        changed_at=now,
    )


async def _give_up(connection: AsyncConnection, now: datetime) -> int:
    """What was being sent at the time of the backup: sent by now, or tried again; we don't know."""
    return await _change_messages(
        connection,
        _M.status == Status.SENDING,
        status=Status.UNKNOWN,
        reason=Reason.RESTORED,
        unknowns=_M.unknowns + 1,
        lease_until=None,
        changed_at=now,
    )


async def _change_messages(connection: AsyncConnection, which: sa.ColumnElement[bool], **values: Any) -> int:  # noqa: ANN401  columns' values
    changed = await connection.execute(sa.update(notifier.messages).where(which).values(**values))
    return changed.rowcount


async def _say_again(connection: AsyncConnection, epoch: int) -> int:
    """The changes that the notifier had not taken in yet; it drops those of the old epoch."""
    held = notifier.customers.c
    taken_in = sa.select(held.sequence).where(held.id == _O.customer_id).scalar_subquery()
    changed = await connection.execute(
        sa.update(engine_tables.outbox)
        .where(sa.or_(~_O.published, _O.sequence > sa.func.coalesce(taken_in, 0)))
        .values(epoch=epoch, published=False)
    )
    return changed.rowcount


async def write_standings(engine: AsyncEngine, sender: Sender, epoch: int, now: datetime) -> int:
    """Everyone, under the new epoch, before any engine says the first change of it. Returns how many."""
    written = 0
    after: UUID | None = None
    while True:
        async with reading(engine) as connection:
            page = await snapshots.everyone(connection, after=after, limit=AT_ONCE)
        if not page:
            return written
        try:
            await sender.send([snapshots.record_of(s, epoch=epoch, now=now) for s in page], deadline=DEADLINE)
        except (SendFailed, SendUnknown) as error:
            raise Unreachable(f"Kafka did not take where everyone stands ({error}); say this again") from error
        written += len(page)
        after = page[-1].customer_id
