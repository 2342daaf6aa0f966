"""The sink: a call's records to Kafka, answered for only after the broker's acknowledgement.

Calls don't wait for each other: all hand their records to one producer, which fills its batches from them.
"""

from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

import structlog

from ingest import measures
from ingest.progress import InFlight
from ingest.settings import PublishSettings
from services.errors import TooLarge, Unavailable
from services.kafka import Record, RecordTooLarge, Sender, SendFailed, SendUnknown

log = structlog.get_logger()

_SEND_AGAIN = "Send the call again with the same ids: what is already there is then dropped, nothing counts twice."


class Publisher:
    def __init__(self, sender: Sender, settings: PublishSettings, in_flight: InFlight) -> None:
        self._sender = sender
        self._in_flight = in_flight
        self._deadline = settings.ack_deadline
        self._retry_after = int(settings.retry_after.total_seconds())
        self._failing = False

    async def publish(self, records: Sequence[Record], received_at: datetime) -> None:
        """Raises Unavailable when there was no acknowledgement.

        Some of the records may be on the topic then, or come to be there yet: they count as in flight until that is
        certain, also when the caller was answered long ago.

        No `await` may stand between reading the clock for `received_at` and this call: `settled` is made from both.
        """
        if not records:
            return
        started = perf_counter()
        try:
            await self._sender.send(records, deadline=self._deadline, ended=self._in_flight.begin(received_at))
        except RecordTooLarge as error:  # below decide's own limit there is none: kept apart from Kafka's absence
            raise TooLarge(f"a record is too large for Kafka: {error}") from None
        except SendUnknown as error:
            raise self._unavailable(
                error, "outcome_unknown", "Kafka has not acknowledged the events in time."
            ) from None
        except SendFailed as error:
            raise self._unavailable(error, "unavailable", "Kafka can't be reached now.") from None
        measures.ack_seconds.observe(perf_counter() - started)
        if self._failing:
            self._failing = False
            log.info("Kafka acknowledges again")

    def not_started(self) -> Unavailable:
        """Before the topics are known to be there nothing may be sent: a broker would make them up in its own shape."""
        return Unavailable("ingest has not reached Kafka yet", retry_after=self._retry_after)

    def too_slow(self) -> Unavailable:
        return Unavailable("the body did not come in in time", code="too_slow", retry_after=self._retry_after)

    def _unavailable(self, error: Exception, code: str, what: str) -> Unavailable:
        """Logged once for each time that Kafka goes away, not once a call."""
        if not self._failing:
            self._failing = True
            log.warning("Kafka does not acknowledge; calls are answered 503", error=str(error))
        return Unavailable(f"{what} {_SEND_AGAIN}", code=code, retry_after=self._retry_after)
