"""What ingest says of its progress: up to when all that it received is on the topic, or refused for good."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import structlog

from services.contracts.progress import IngestId, Settled, encode_settled, key_of
from services.contracts.topics import PROGRESS
from services.kafka import Record, Sender, SendFailed, SendUnknown

log = structlog.get_logger()

REPORT_DEADLINE = timedelta(seconds=5)
"""For the acknowledgement of one report; the next one says all that this one did."""


class InFlight:
    """What was received and may yet come to be on the topic. Each is open from its receipt until its end is certain.

    `spooled` is the earliest receipt of what lies in the spool.
    """

    def __init__(self, spooled: Callable[[], datetime | None] = lambda: None) -> None:
        self._spooled = spooled
        self._open: dict[int, datetime] = {}
        self._numbers = count()
        self._none_left = asyncio.Event()
        self._none_left.set()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, received_at: datetime) -> Callable[[], None]:
        """Returns what ends it, however often that is called."""
        number = next(self._numbers)
        self._open[number] = received_at
        self._none_left.clear()

        def end() -> None:
            self._open.pop(number, None)
            if not self._open:
                self._none_left.set()

        return end

    def settled(self, now: datetime) -> datetime:
        """Everything received before this has ended: the earliest receipt that is open or in the spool, else now."""
        spooled = self._spooled()
        return min(min(self._open.values(), default=now), now if spooled is None else spooled)

    @property
    def owes(self) -> bool:
        return bool(self._open) or self._spooled() is not None

    async def none_left(self) -> None:
        await self._none_left.wait()


class Reporter:
    """Reports under one id. It has a sender of its own, so that its failures and the events' don't meet."""

    def __init__(self, ingest: IngestId, sender: Sender, in_flight: InFlight, clock: Callable[[], datetime]) -> None:
        self._key = key_of(ingest)
        self._sender = sender
        self._in_flight = in_flight
        self._clock = clock
        self._reports = InFlight()
        self._failing = False

    async def step(self) -> bool:
        """One report. True once it was acknowledged."""
        now = self._clock()
        return await self._send(encode_settled(Settled(settled=self._in_flight.settled(now))), now)

    async def leave(self, *, within: timedelta) -> bool:
        """The tombstone, once nothing is open or spooled any more, and no report under way, which would undo it.

        False when that did not come to be in time: the last report stays, and holds the watermark until this id is
        adopted again or was silent for too long.
        """
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._in_flight.none_left()
                await self._reports.none_left()
                if not self._in_flight.owes and await self._send(None, self._clock()):
                    return True
        except TimeoutError:
            pass
        log.warning("ended with something in flight; the watermark waits for this id", open=len(self._in_flight))
        return False

    async def _send(self, value: bytes | None, now: datetime) -> bool:
        record = Record(topic=PROGRESS, key=self._key, value=value)
        try:
            await self._sender.send([record], deadline=REPORT_DEADLINE, ended=self._reports.begin(now))
        except (SendFailed, SendUnknown) as error:
            if not self._failing:
                self._failing = True
                log.warning("the progress could not be reported; the watermark waits for it", error=str(error))
            return False
        self._failing = False
        return True
