"""The stage engine put together: what reads, what wakes, what publishes, what answers."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from services.compacted import Compacted
from services.contracts.topics import DEAD_LETTERS, EVENTS, PROGRESS
from services.errors import NoShop
from services.kafka import Feed, Sender, SendFailed, SendUnknown, check_topics
from services.offsets import Offsets
from services.postgres import UNAVAILABLE, check_migrated, create_engine
from services.process import Readiness, repeat, run_service
from stage_engine import tables
from stage_engine.api import create_app
from stage_engine.consumer import Consumer
from stage_engine.forward import Forward
from stage_engine.in_force import InForce
from stage_engine.outbox import forget_published
from stage_engine.progress import Ingests
from stage_engine.publisher import Publisher, announce_known_until
from stage_engine.refolder import Refolder
from stage_engine.retention import Retention
from stage_engine.settings import EngineSettings
from stage_engine.wakes import Wakes
from stage_engine.watermark import Watermark

log = structlog.get_logger()

GROUP = "stagepost-stage-engine"
KNOWN_UNTIL_EVERY = timedelta(seconds=1)
FORGET_EVERY = timedelta(minutes=1)
LOOKS_FOR_OLD_EVERY = timedelta(seconds=10)
REVISION, PARTITIONS = "revision", "partitions"
"""What an engine waits for before it takes work."""


@dataclass(slots=True)
class Reading:
    """`step` reads a batch. While no revision is in force that this engine can read, others have its partitions."""

    consumer: Consumer
    in_force: InForce
    readiness: Readiness
    joined: bool = False

    async def step(self) -> bool:
        try:
            if not self.joined:
                await self.in_force.look()
                self.consumer.feed.join()
                self.joined = True
                self.readiness.ready(REVISION)
            self.in_force.now()  # also where nothing comes, others of this process have looked
            if self.consumer.feed.assigned:
                self.readiness.ready(PARTITIONS)
            return await self.consumer.step()
        except NoShop:
            if self.joined:
                self.consumer.feed.leave()
                self.joined = False
            self.readiness.not_ready(REVISION)
            self.readiness.not_ready(PARTITIONS)
        except UNAVAILABLE as error:
            log.warning("it can't be asked which revision is in force; trying again", why=repr(error))
        return False


async def main(settings: EngineSettings) -> None:
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.postgres, application="stage-engine")
        stack.push_async_callback(engine.dispose)
        await check_migrated(engine)
        await check_topics(settings.kafka)
        in_force = InForce(engine)
        offsets = Offsets(engine, tables.offsets)
        feed = Feed(settings.kafka, group=GROUP, topics=[EVENTS, DEAD_LETTERS], load=offsets.load)
        sender = Sender(settings.kafka, client_id="stagepost-stage-engine")
        publisher = Publisher(engine, sender)
        await sender.start()
        stack.push_async_callback(sender.stop)
        stack.push_async_callback(publisher.close)
        await feed.start(join=False)
        stack.push_async_callback(feed.stop)
        progress = Compacted(settings.kafka, PROGRESS, client_id="stagepost-stage-engine-progress")
        await progress.start()
        stack.push_async_callback(progress.stop)

        reading = Reading(Consumer(in_force, feed, offsets), in_force, readiness := Readiness({REVISION, PARTITIONS}))
        wakes = Wakes(in_force)
        refolder = Refolder(engine, in_force)
        forward = Forward(in_force)
        retention = Retention(in_force, settings.history_kept)
        watermark = Watermark(engine, feed, offsets, progress, Ingests(patience=settings.silent_after))

        async def raise_watermark() -> bool:
            return reading.joined and await watermark.step()

        async def announce() -> bool:
            await announce_known_until(engine, sender, list(in_force.now().storefronts))
            return False

        async def forget() -> bool:
            return await forget_published(engine, datetime.now(UTC) - settings.changes_kept) > 0

        async def retain() -> bool:
            return await retention.step(datetime.now(UTC))

        publishing = _undeterred(publisher.step, "the outbox can't be read; trying again")
        announcing = _undeterred(announce, "`known.until` could not be announced")
        forgetting = _undeterred(forget, "old changes could not be deleted")

        await run_service(
            create_app(engine, in_force.now, settings.operator_key, readiness),
            settings.http,
            {
                "read": lambda stopping: repeat(reading.step, stopping, idle=1.0),
                "forward": lambda stopping: repeat(forward.step, stopping, idle=1.0),
                "refold": lambda stopping: repeat(refolder.step, stopping, idle=0.5),
                "wake": lambda stopping: repeat(wakes.step, stopping, idle=0.2),
                "watermark": lambda stopping: repeat(raise_watermark, stopping, idle=0.2),
                "retain": lambda stopping: repeat(retain, stopping, idle=LOOKS_FOR_OLD_EVERY.total_seconds()),
                "publish": lambda stopping: repeat(publishing, stopping, idle=0.1),
                "announce": lambda stopping: repeat(announcing, stopping, idle=KNOWN_UNTIL_EVERY.total_seconds()),
                "forget": lambda stopping: repeat(forgetting, stopping, idle=FORGET_EVERY.total_seconds()),
            },
        )


def _undeterred(step: Callable[[], Awaitable[bool]], trouble: str) -> Callable[[], Awaitable[bool]]:
    """The step; where the infrastructure refuses it, that is logged, and there was nothing to do."""

    async def tried() -> bool:
        try:
            return await step()
        except NoShop:  # it is logged where it is found
            return False
        except (DBAPIError, OSError, SendFailed, SendUnknown) as error:
            log.warning(trouble, why=repr(error))
            return False

    return tried
