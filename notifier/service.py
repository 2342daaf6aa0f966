"""The composition root: everything the notifier is made of, put together once."""

import asyncio
from datetime import UTC, datetime

from notifier import tables
from notifier.api import create_app
from notifier.channels.email import EmailChannel
from notifier.followups import FollowUps
from notifier.followups_file import read_follow_ups
from notifier.intake import Intake
from notifier.queue import Queue
from notifier.render import Renderer
from notifier.samples import sample_contents
from notifier.settings import NotifierSettings
from notifier.worker import Worker
from services.contracts.topics import STAGE_CHANGES
from services.kafka import Feed, check_topics
from services.offsets import Offsets
from services.postgres import check_migrated, create_engine
from services.process import Readiness, repeat, run_service
from services.shop import Shop, load_shop

GROUP = "stagepost-notifier"
REST_AFTER_TROUBLE = 1.0
REST_WITHOUT_MAIL = 0.5
"""Seconds between looks at an empty queue: what a customer waits at most beyond the due time."""
ANSWERS_A_MAIL = 6
"""How often one mail can wait for the server's answer: MAIL, RCPT, DATA, the content, and two to spare."""


def load_follow_ups(shop: Shop) -> tuple[FollowUps, Renderer]:
    """Raises ShopError for what can't be meant, or can't be rendered for one of the storefronts."""
    follow_ups, renderer = read_follow_ups(shop.file("followups.yaml")), Renderer(shop.directory)
    for follow_up in follow_ups.values():
        for storefront in shop.storefronts.values():
            renderer.check(follow_up, sample_contents(follow_up, storefront))
    return follow_ups, renderer


async def serve(settings: NotifierSettings) -> None:
    """Runs until told to stop. Raises ConfigurationError or NotMigrated where a person must mend something first."""
    shop = load_shop(settings.shop)
    follow_ups, renderer = load_follow_ups(shop)
    engine = create_engine(settings.postgres, application="notifier")
    offsets = Offsets(engine, tables.offsets)
    channel = EmailChannel(settings.smtp, _now)
    try:
        await check_migrated(engine)
        await check_topics(settings.kafka)
        feed = Feed(settings.kafka, group=GROUP, topics=[STAGE_CHANGES], load=offsets.load)
        intake = Intake(feed, offsets, engine, follow_ups, _now)
        queue = Queue(engine, sending_lease=settings.smtp.timeout * ANSWERS_A_MAIL)
        worker = Worker(queue, channel, renderer, shop, follow_ups, _now)
        readiness = Readiness({"feed"})

        async def take_in(stopping: asyncio.Event) -> None:
            await feed.start()

            async def step() -> bool:
                went_well = await intake.step()
                (readiness.ready if feed.assigned else readiness.not_ready)("feed")
                return went_well

            try:
                await repeat(step, stopping, idle=REST_AFTER_TROUBLE)
            finally:
                await feed.stop()

        async def send(stopping: asyncio.Event) -> None:
            await repeat(worker.step, stopping, idle=REST_WITHOUT_MAIL)

        app = create_app(engine, readiness, settings.operator_key)
        await run_service(app, settings.http, {"intake": take_in, "worker": send})
    finally:
        await channel.close()
        await engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)
