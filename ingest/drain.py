"""From the spool to Kafka, in the order of storing; away from the disk only after the broker's acknowledgement.

A process that is killed in between sends it again: events are dropped by their ids, a dead letter may be there twice.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from ingest import measures
from ingest.breaker import LITTLE, Closed, Open, answered, drain_due, drained, probe_failed
from ingest.spool import Spool
from ingest.switch import Switch
from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter, encode_dead_letter
from services.contracts.topics import DEAD_LETTERS
from services.kafka import Record, RecordTooLarge, Sender, SendFailed, SendUnknown

log = structlog.get_logger()

DEADLINE = timedelta(seconds=5)
"""For a batch's acknowledgement: calls may be waiting for its end."""


async def pass_on(
    spool: Spool,
    sender: Sender,
    received_at: datetime,
    *,
    most: int = LITTLE,
    ended: Callable[[], None] | None = None,
) -> int:
    """One batch. How many records it had. Raises SendFailed, SendUnknown; `ended` as `Sender.send` has it."""
    batch = await spool.first(most)
    if batch.records:
        await _send(sender, batch.records, received_at, ended)
        await spool.remove(batch)
        measures.drained.inc(len(batch.records))
    return len(batch.records)


async def _send(
    sender: Sender, records: Sequence[Record], received_at: datetime, ended: Callable[[], None] | None
) -> None:
    """All of them, in order.

    One that the topic won't take any more, since its limit was lowered, becomes a dead letter: it would hold up all
    that lies behind it for ever.
    """
    try:
        await sender.send(records, deadline=DEADLINE, ended=ended)
    except RecordTooLarge as error:
        if len(records) > 1:
            for record in records:
                await _send(sender, [record], received_at, None)
            return
        log.warning("a spooled record is too large for its topic; it becomes a dead letter", error=str(error))
        letter = DeadLetter(
            storefront=None,
            code="too_large",
            reason=f"accepted into the spool, then refused by the topic: {error}",
            source="spool",
            received_at=received_at,
            raw=(records[0].value or b"")[:MAX_RAW_BYTES],
        )
        await sender.send([Record(topic=DEAD_LETTERS, key=None, value=encode_dead_letter(letter))], deadline=DEADLINE)


class Drainer:
    """Drains the process's own spool, and thereby finds out whether Kafka is back."""

    def __init__(self, spool: Spool, sender: Sender, switch: Switch, clock: Callable[[], datetime]) -> None:
        self._spool = spool
        self._sender = sender
        self._switch = switch
        self._clock = clock

    async def step(self) -> bool:
        """One batch, or a probe of one record. True when more may follow at once."""
        now, breaker = self._clock(), self._switch.breaker
        if isinstance(breaker, Closed):
            await self._spool.remove_sent()
        if not drain_due(breaker, now):
            return False
        ended = asyncio.Event()
        try:
            await pass_on(
                self._spool,
                self._sender,
                now,
                most=1 if isinstance(breaker, Open) else LITTLE,
                ended=lambda: self._ended(ended),
            )
        except (SendFailed, SendUnknown, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error):
                log.error("the spool can't be read", path=str(self._spool.path), error=str(error))  # noqa: TRY400  SQLite's sentence says it
            after = probe_failed(self._switch.breaker, self._clock(), certain=ended.is_set())
            self._switch.move(after)
            return False
        self._switch.move(drained(self._spool.left))
        return True

    def _ended(self, ended: asyncio.Event) -> None:
        ended.set()
        self._switch.move(answered(self._switch.breaker, self._clock()))

    async def empty(self, within: timedelta) -> bool:
        """When told to stop. Whether all of it is on Kafka now."""
        with contextlib.suppress(TimeoutError, SendFailed, SendUnknown, sqlite3.Error):
            async with asyncio.timeout(within.total_seconds()):
                while self._spool.left:
                    await pass_on(self._spool, self._sender, self._clock())
        return self._spool.left == 0
