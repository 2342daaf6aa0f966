"""The composition root: what ingest is made of, and its life from the first contact with Kafka to the last."""

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError

from ingest.app import Ingest, create_app
from ingest.lasting import adopted
from ingest.progress import InFlight, Reporter
from ingest.publish import Publisher
from ingest.settings import IngestSettings
from ingest.storefronts import Keys
from services.contracts.progress import REPORTED_EVERY, IngestId
from services.errors import Unreachable
from services.kafka import Sender, check_topics
from services.process import Readiness, repeat, run_service
from services.settings import KafkaSettings

log = structlog.get_logger()

CONTACT_DEADLINE = 10.0
"""Seconds for one try to reach Kafka at the start."""
CONTACT_REST = 1.0
"""Seconds between two tries."""
LEAVING = timedelta(seconds=5)
"""For what is in flight to end when told to stop; a producer that has no answer by then won't have one soon."""
STOPPING = timedelta(seconds=2)
"""For the senders after that: what was to be acknowledged is, and what was not is lost with the process."""


async def serve(settings: IngestSettings) -> None:
    """Runs until told to stop. Raises NotMigrated when Kafka is there and the topics are not."""
    with adopted(settings.state_folder) as ingest_id:
        log.info("has its lasting id", ingest=ingest_id)
        await serve_as(ingest_id, settings)


async def serve_as(ingest_id: IngestId, settings: IngestSettings) -> None:
    readiness = Readiness({"kafka", "progress"})
    in_flight = InFlight()
    sender = Sender(settings.kafka, client_id="stagepost-ingest")
    reports = Sender(settings.kafka, client_id="stagepost-ingest-progress", linger=timedelta())
    reporter = Reporter(ingest_id, reports, in_flight, utc_now)
    ingest = Ingest(
        keys=Keys(settings.write_keys),
        publisher=Publisher(sender, settings.publish, in_flight),
        readiness=readiness,
        limits=settings.limits,
        clock=utc_now,
        new_id=new_event_id,
    )

    async def report() -> bool:
        if await reporter.step() and readiness.waiting_for:
            readiness.ready("progress")
            log.info("ready", http=f"{settings.http.host}:{settings.http.port}")
        return False

    async def kafka(stopping: asyncio.Event) -> None:
        """Stops after the HTTP server: what is in flight then is what nobody waits for any more."""
        try:
            if await contacted(settings.kafka, sender, stopping):
                readiness.ready("kafka")
                await repeat(report, stopping, idle=REPORTED_EVERY)
                await reporter.leave(within=LEAVING)
        finally:
            await asyncio.gather(sender.stop(grace=STOPPING), reports.stop(grace=STOPPING))

    await run_service(create_app(ingest), settings.http, {"kafka": kafka})


def utc_now() -> datetime:
    return datetime.now(UTC)


async def contacted(settings: KafkaSettings, sender: Sender, stopping: asyncio.Event) -> bool:
    """True once Kafka has the topics and the sender is connected; tries until told to stop."""
    waiting = False
    while not stopping.is_set():
        try:
            async with asyncio.timeout(CONTACT_DEADLINE):
                await check_topics(settings)
                await sender.start()
        except (KafkaError, Unreachable, OSError, TimeoutError) as error:
            if not waiting:
                log.warning("waiting for Kafka", bootstrap_servers=settings.bootstrap_servers, error=repr(error))
            waiting = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), CONTACT_REST)
        else:
            return True
    return False


def new_event_id(at: datetime) -> str:
    """A UUID of version 7: ids made one after another lie beside each other in the database's index."""
    milliseconds = int(at.timestamp() * 1000)
    bits = milliseconds << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))
