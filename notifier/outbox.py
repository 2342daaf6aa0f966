"""Events back into Kafka: written in the transaction of what they tell of, published after it, marked after the ack.

Several notifiers publish beside each other: a row is taken for a time, and no transaction is open while it is sent.
What is sent twice has the same id both times, and the engine drops the second.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier import choices
from notifier.metrics import EVENTS_SAID
from notifier.store import UNAVAILABLE, reconsider
from notifier.tables import outbox
from services.contracts.events import Event, encode_event, record_key
from services.contracts.topics import EVENTS
from services.kafka import Record, Sender, SendFailed, SendUnknown
from services.postgres import among, transaction

log = structlog.get_logger()

AT_ONCE: Final = 500
DEADLINE: Final = timedelta(seconds=10)
LEASE: Final = timedelta(seconds=30)
"""More than a step takes at the most; what a process held that died waits so long."""
KEPT: Final = timedelta(days=7)
"""After they were published, for whoever looks what was said."""
FORGET_EVERY: Final = timedelta(hours=1)

_O = outbox.c


async def say(connection: AsyncConnection, events: Iterable[Event | None], now: datetime) -> None:
    """Inside the caller's transaction. What was said before, by its id, is not said again."""
    rows = [
        {
            "storefront": event.storefront,
            "event_id": event.id,
            "name": event.name,
            "record_key": record_key(event),
            "value": encode_event(event),
            "made_at": now,
        }
        for event in events
        if event is not None
    ]
    if rows:
        await connection.execute(insert(outbox).on_conflict_do_nothing(), rows)


class Outbox:
    """One step publishes what waits."""

    def __init__(self, engine: AsyncEngine, sender: Sender, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._sender = sender
        self._clock = clock
        self._forgot_at: datetime | None = None

    async def step(self) -> bool:
        """True when something was published."""
        try:
            await self._forget()
            taken = await self._take()
            if not taken:
                return False
            records = [Record(topic=EVENTS, key=row.record_key, value=row.value) for row in taken]
            await self._sender.send(records, deadline=DEADLINE)
            await self._mark(taken)
        except (SendFailed, SendUnknown) as error:
            log.warning("what mail met with could not be published; trying again", why=str(error))
            await self._let_go(taken)
            return False
        except sa.exc.ProgrammingError:
            raise
        except UNAVAILABLE as error:
            log.warning("the outbox will try again", error=repr(error))
            return False
        for row in taken:
            EVENTS_SAID.labels(row.name).inc()
        return True

    async def _take(self) -> list[Any]:
        now = self._clock()
        free = (
            sa.select(_O.id)
            .where(_O.published_at.is_(None), sa.or_(_O.leased_until.is_(None), _O.leased_until < now))
            .order_by(_O.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                sa.update(outbox)
                .where(_O.id.in_(free))
                .values(leased_until=now + LEASE)
                .returning(_O.id, _O.name, _O.record_key, _O.value)
            )
            return sorted(found, key=lambda row: row.id)

    async def _mark(self, taken: list[Any]) -> None:
        await self._write(taken, published_at=self._clock(), leased_until=None)

    async def _let_go(self, taken: list[Any]) -> None:
        try:
            await self._write(taken, leased_until=None)
        except UNAVAILABLE:
            log.warning("what was taken from the outbox is free again when its lease is over")

    async def _write(self, taken: list[Any], **values: datetime | None) -> None:
        async with transaction(self._engine) as connection:
            await connection.execute(sa.update(outbox).where(among(_O.id, [row.id for row in taken])).values(values))

    async def _forget(self) -> None:
        now = self._clock()
        if self._forgot_at is not None and now - self._forgot_at < FORGET_EVERY:
            return
        async with transaction(self._engine) as connection:
            await connection.execute(sa.delete(outbox).where(_O.published_at < now - KEPT))
            await reconsider(connection, await choices.forget(connection, now), now)
        self._forgot_at = now
