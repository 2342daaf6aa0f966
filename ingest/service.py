"""The composition root: what ingest is made of, and its life from the first contact with Kafka to the last."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError

from ingest import measures
from ingest.app import Ingest, create_app
from ingest.breaker import Closed, Open
from ingest.drain import Drainer
from ingest.gate import Gate
from ingest.key_follower import LOOKED_AT_EVERY, KeyFollower
from ingest.lasting import Holding, adopted
from ingest.orphans import LOOKED_FOR_EVERY, Orphans
from ingest.progress import InFlight, Reporter
from ingest.publish import Publisher
from ingest.settings import IngestSettings
from ingest.signatures import Secrets
from ingest.spool import Spool
from ingest.storefronts import Keys
from ingest.switch import Switch
from services.contracts.progress import REPORTED_EVERY
from services.errors import Unreachable
from services.kafka import Sender, check_topics
from services.process import Readiness, repeat, run_service
from services.settings import KafkaSettings

log = structlog.get_logger()

CONTACT_DEADLINE = 10.0
"""Seconds for one try to reach Kafka at the start."""
CONTACT_REST = 1.0
"""Seconds between two tries."""
DRAINED_EVERY = 0.1
"""Seconds between two looks at whether the spool has anything to drain."""
LEAVING = timedelta(seconds=5)
"""For what is in flight to end when told to stop; a producer that has no answer by then won't have one soon."""
STOPPING = timedelta(seconds=2)
"""For the senders after that: what was to be acknowledged is, and what was not is lost with the process."""


async def serve(settings: IngestSettings) -> None:
    """Runs until told to stop. Raises NotMigrated when Kafka is there and the topics are not."""
    with adopted(settings.state_folder) as holding:
        log.info("has its lasting id", ingest=holding.ingest)
        spool = Spool(holding.spool, settings.spool)
        try:
            owes = await serve_as(holding, spool, settings)
        except BaseException:
            await spool.close()
            raise
        if not owes:
            await spool.discard()
            return
        await spool.close()
        if spool.left:
            log.warning(
                "leaves events in its spool; start ingest again, or run `stagepost spool drain`",
                records=spool.left,
                path=str(holding.folder.absolute()),
            )


async def serve_as(holding: Holding, spool: Spool, settings: IngestSettings) -> bool:
    """Whether the id still owes anything afterwards: what lies in its spool, or to take its leave."""
    readiness = Readiness({"kafka", "progress", "keys"})
    switch = Switch(Open(0, utc_now()) if spool.reported or spool.left else Closed())
    in_flight = InFlight(lambda: spool.oldest)
    sender = Sender(settings.kafka, client_id="stagepost-ingest")
    reports = Sender(settings.kafka, client_id="stagepost-ingest-progress", linger=timedelta())
    reporter = Reporter(holding.ingest, reports, in_flight, utc_now)
    drainer = Drainer(spool, sender, switch, utc_now)
    orphans = Orphans(
        settings.state_folder, sender=sender, reports=reports, settings=settings.spool, switch=switch, clock=utc_now
    )
    keys = Keys(settings.write_keys, sure=False)
    follower = KeyFollower(keys, settings.kafka, settings.state_folder, partial(readiness.ready, "keys"))
    measures.watch(spool, settings.spool.max_bytes, utc_now)
    ingest = Ingest(
        keys=keys,
        secrets=Secrets(settings.webhook_secrets),
        network_key=settings.network_key.get_secret_value().encode(),
        publisher=Publisher(sender, settings.publish, in_flight, spool, switch),
        gate=Gate(settings.rates, settings.in_flight),
        readiness=readiness,
        limits=settings.limits,
        clock=utc_now,
        new_id=new_event_id,
    )

    async def report() -> bool:
        if await reporter.step():
            await spool.set_reported(True)
            if "progress" in readiness.waiting_for:
                readiness.ready("progress")
                log.info("ready", http=f"{settings.http.host}:{settings.http.port}")
        return False

    def without_kafka() -> None:
        """Under an id that engines wait for already, traffic can be taken: into the spool."""
        if spool.reported and readiness.waiting_for:
            readiness.waiting_for.clear()
            log.warning("starts without Kafka; calls go to the spool")

    async def left() -> bool:
        if not await drainer.empty(settings.spool.leaving):
            return False
        await spool.set_reported(False)  # before the leave: whoever adopts this must not take it for waited for
        return not spool.reported and await reporter.leave(within=LEAVING)

    owes = True

    async def kafka(stopping: asyncio.Event) -> None:
        """Stops after the HTTP server: what is in flight then is what nobody waits for any more."""
        nonlocal owes
        try:
            if await contacted(settings.kafka, sender, stopping, without_kafka):
                readiness.ready("kafka")
                async with asyncio.TaskGroup() as loops:
                    loops.create_task(repeat(follower.step, stopping, idle=LOOKED_AT_EVERY))
                    loops.create_task(repeat(report, stopping, idle=REPORTED_EVERY))
                    loops.create_task(repeat(drainer.step, stopping, idle=DRAINED_EVERY))
                    others = loops.create_task(repeat(orphans.step, stopping, idle=LOOKED_FOR_EVERY))
                    await stopping.wait()
                    others.cancel()  # another's spool may be large; it stays for whoever looks next
                owes = not await left()
        finally:
            await asyncio.gather(sender.stop(grace=STOPPING), reports.stop(grace=STOPPING), follower.stop())

    await run_service(create_app(ingest), settings.http, {"kafka": kafka})
    return owes


def utc_now() -> datetime:
    return datetime.now(UTC)


async def contacted(
    settings: KafkaSettings, sender: Sender, stopping: asyncio.Event, without: Callable[[], None]
) -> bool:
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
            without()
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
