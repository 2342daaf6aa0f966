"""The stage engine put together: what reads, what wakes, what publishes, what answers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.compacted import Compacted
from services.contracts.topics import DEAD_LETTERS, EVENTS, PROGRESS
from services.kafka import Feed, Sender, SendFailed, SendUnknown, check_topics
from services.offsets import Offsets
from services.postgres import check_migrated, create_engine, transaction
from services.process import Readiness, repeat, run_service
from services.shop import load_shop
from stage_engine import tables
from stage_engine.api import create_app
from stage_engine.consumer import Consumer
from stage_engine.folding import Rules
from stage_engine.model.load import load_model
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


async def main(settings: EngineSettings) -> None:
    shop = load_shop(settings.shop)
    rules = Rules(load_model(settings.shop / "lifecycle.yaml"), shop.storefronts)
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.postgres, application="stage-engine")
        stack.push_async_callback(engine.dispose)
        await check_migrated(engine)
        await check_topics(settings.kafka)
        namespaces = await ensure_namespaces(engine, list(shop.storefronts))

        offsets = Offsets(engine, tables.offsets)
        feed = Feed(settings.kafka, group=GROUP, topics=[EVENTS, DEAD_LETTERS], load=offsets.load)
        sender = Sender(settings.kafka, client_id="stagepost-stage-engine")
        publisher = Publisher(engine, sender)
        await sender.start()
        stack.push_async_callback(sender.stop)
        stack.push_async_callback(publisher.close)
        await feed.start()
        stack.push_async_callback(feed.stop)
        progress = Compacted(settings.kafka, PROGRESS, client_id="stagepost-stage-engine-progress")
        await progress.start()
        stack.push_async_callback(progress.stop)

        consumer = Consumer(engine, feed, offsets, rules, namespaces)
        wakes = Wakes(engine, rules)
        refolder = Refolder(engine, rules)
        retention = Retention(engine, rules, settings.history_kept)
        watermark = Watermark(engine, feed, offsets, progress, Ingests(patience=settings.silent_after))
        readiness = Readiness({"partitions"})

        async def read(stopping: asyncio.Event) -> None:
            async def step() -> bool:
                if feed.assigned:
                    readiness.ready("partitions")
                return await consumer.step()

            await repeat(step, stopping, idle=1.0)

        async def announce() -> bool:
            await announce_known_until(engine, sender, list(shop.storefronts))
            return False

        async def forget() -> bool:
            return await forget_published(engine, datetime.now(UTC) - settings.changes_kept) > 0

        async def retain() -> bool:
            return await retention.step(datetime.now(UTC))

        publishing = _undeterred(publisher.step, "the outbox can't be read; trying again")
        announcing = _undeterred(announce, "`known.until` could not be announced")
        forgetting = _undeterred(forget, "old changes could not be deleted")

        await run_service(
            create_app(engine, rules, namespaces, settings.operator_key, readiness),
            settings.http,
            {
                "read": read,
                "refold": lambda stopping: repeat(refolder.step, stopping, idle=0.5),
                "wake": lambda stopping: repeat(wakes.step, stopping, idle=0.2),
                "watermark": lambda stopping: repeat(watermark.step, stopping, idle=0.2),
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
        except (DBAPIError, OSError, SendFailed, SendUnknown) as error:
            log.warning(trouble, why=repr(error))
            return False

    return tried


async def ensure_namespaces(engine: AsyncEngine, storefronts: list[str]) -> dict[str, UUID]:
    """Each storefront's secret, made the first time that it is seen and the same ever after."""
    async with transaction(engine) as connection:
        for storefront in sorted(storefronts):
            made = insert(tables.storefronts).values(storefront=storefront, namespace=uuid4())
            await connection.execute(made.on_conflict_do_nothing())
        found = await connection.execute(sa.select(tables.storefronts.c.storefront, tables.storefronts.c.namespace))
        return {row.storefront: row.namespace for row in found}
