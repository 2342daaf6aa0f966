"""The sink: a call's records to Kafka, or to the spool; answered for only once they are durable in one of them.

Calls don't wait for each other: all hand their records to one producer, which fills its batches from them.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter

import structlog

from ingest import measures
from ingest.breaker import Way, call_failed
from ingest.progress import InFlight
from ingest.settings import PublishSettings
from ingest.spool import Spool, SpoolFull
from ingest.switch import Switch
from services.errors import TooLarge, Unavailable
from services.kafka import Record, RecordTooLarge, Sender, SendFailed, SendUnknown

log = structlog.get_logger()


class Publisher:
    def __init__(
        self, sender: Sender, settings: PublishSettings, in_flight: InFlight, spool: Spool, switch: Switch
    ) -> None:
        self._sender = sender
        self._in_flight = in_flight
        self._spool = spool
        self._switch = switch
        self._deadline = settings.ack_deadline
        self._retry_after = int(settings.retry_after.total_seconds())
        self._refusing = False

    async def publish(self, records: Sequence[Record], received_at: datetime) -> None:
        """Raises Unavailable when neither took them.

        Some of the records may be on the topic then, or come to be there yet: they count as in flight until that is
        certain, also when the caller was answered long ago.

        No `await` may stand between reading the clock for `received_at` and this call: `settled` is made from both.
        """
        if not records:
            return
        whole, sending = self._in_flight.begin(received_at), self._in_flight.begin(received_at)
        try:
            if await self._switch.way() is Way.KAFKA:
                if await self._sent(records, received_at, sending):
                    return
            else:
                sending()
            await self._spooled(records, received_at)
            # A copy that the producer may still deliver says the same under the same id: it changes nothing.
            sending()
        finally:
            whole()

    async def _sent(self, records: Sequence[Record], received_at: datetime, ended: Callable[[], None]) -> bool:
        started = perf_counter()
        try:
            await self._sender.send(records, deadline=self._deadline, ended=ended)
        except RecordTooLarge as error:  # below decide's own limit there is none: kept apart from Kafka's absence
            raise TooLarge(f"a record is too large for Kafka: {error}") from None
        except (SendFailed, SendUnknown) as error:
            self._switch.move(call_failed(self._switch.breaker, received_at), why=str(error))
            return False
        measures.ack_seconds.observe(perf_counter() - started)
        return True

    async def _spooled(self, records: Sequence[Record], received_at: datetime) -> None:
        try:
            await self._put(records, received_at)
        except (SpoolFull, TimeoutError) as error:
            if not self._refusing:  # once for each time, not once a call
                self._refusing = True
                why = str(error) or f"its disk does not take it within {self._deadline.total_seconds():g} s"
                log.warning("the spool takes no more; calls are answered 503", error=why)
            raise Unavailable(
                "Kafka does not acknowledge now, and the spool can't take more. Send the call again with the same ids: "
                "what is already there is then dropped, nothing counts twice.",
                code="spool_full",
                retry_after=self._retry_after,
            ) from None
        self._refusing = False
        measures.spooled.inc(len(records))

    async def _put(self, records: Sequence[Record], received_at: datetime) -> None:
        """What a slow disk takes after all, when its caller was told 503, counts as in flight until then."""
        put = asyncio.ensure_future(self._spool.put(records, received_at))
        ended = self._in_flight.begin(received_at)
        put.add_done_callback(lambda done: (ended(), done.cancelled() or done.exception()))
        async with asyncio.timeout(self._deadline.total_seconds()):
            await asyncio.shield(put)

    def not_started(self) -> Unavailable:
        """Before the topics are known to be there nothing may be sent: a broker would make them up in its own shape."""
        return Unavailable("ingest has not reached Kafka yet", retry_after=self._retry_after)

    def too_slow(self) -> Unavailable:
        return Unavailable("the body did not come in in time", code="too_slow", retry_after=self._retry_after)
