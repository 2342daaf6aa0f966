"""The composition root: everything the notifier is made of, put together once."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from notifier import tables
from notifier.api import create_app
from notifier.bounces.amazon import Amazon
from notifier.bounces.routes import BounceDesk
from notifier.catalogue_intake import CatalogueIntake
from notifier.channels.channel import Channel
from notifier.channels.email import EmailChannel
from notifier.channels.webhook import WebhookChannel
from notifier.endpoints import Endpoints
from notifier.followups import EMAIL, WEBHOOK, FollowUps
from notifier.in_force import Terms, following
from notifier.intake import Intake
from notifier.outbox import Outbox
from notifier.pages.routes import Pages
from notifier.preview_routes import preview_routes
from notifier.queue import Queue
from notifier.retention import Retention
from notifier.settings import NotifierSettings
from notifier.store import UNAVAILABLE
from notifier.switching import Named
from notifier.worker import Worker
from services.contracts.topics import PRODUCTS, STAGE_CHANGES
from services.errors import NoShop
from services.kafka import Feed, Sender, check_topics
from services.offsets import Offsets
from services.operator import bearer
from services.postgres import check_migrated, create_engine
from services.process import Loop, Readiness, repeat, run_service
from services.revisions.following import Following

log = structlog.get_logger()

GROUP = "stagepost-notifier"
CATALOGUE_GROUP = "stagepost-notifier-catalogue"
REST_AFTER_TROUBLE = 1.0
REST_WITHOUT_MAIL = 0.5
"""Seconds between looks at an empty queue: what a customer waits at most beyond the due time."""
REST_WITHOUT_EVENTS = 0.5
"""Seconds between looks at an empty outbox: how long an answer takes at most on its way to the engine."""
REST_WITHOUT_OLD = 3600.0
"""Seconds between looks for messages that are kept no longer."""
LOOK_EVERY = 1.0
"""Seconds between two looks at which revision is in force."""
ANSWERS_A_MAIL = 6
"""How often one mail can wait for the server's answer: MAIL, RCPT, DATA, the content, and two to spare."""


@dataclass(slots=True)
class Taking:
    """`step` takes changes in. While no revision is in force that can be read, other notifiers have the partitions."""

    intake: Intake
    feed: Feed
    terms: Following[Terms]
    readiness: Readiness
    joined: bool = False

    async def step(self) -> bool:
        try:
            self.terms.now()
        except NoShop:
            if self.joined:
                self.feed.leave()
                self.joined = False
            self.readiness.not_ready("revision")
            self.readiness.not_ready("feed")
            return False
        if not self.joined:
            self.feed.join()
            self.joined = True
        self.readiness.ready("revision")
        went_well = await self.intake.step()
        (self.readiness.ready if self.feed.assigned else self.readiness.not_ready)("feed")
        return went_well


def reading(feed: Feed, step: Callable[[], Awaitable[bool]], *, join: bool = True) -> Loop:
    """`join` is False where the step says when to."""

    async def read(stopping: asyncio.Event) -> None:
        await feed.start(join=join)
        try:
            await repeat(step, stopping, idle=REST_AFTER_TROUBLE)
        finally:
            await feed.stop()

    return read


def forgetting(retention: Retention) -> Loop:
    async def forget(stopping: asyncio.Event) -> None:
        await repeat(retention.step, stopping, idle=REST_WITHOUT_OLD)

    return forget


def sending(worker: Worker) -> Loop:
    async def send(stopping: asyncio.Event) -> None:
        try:
            await repeat(worker.step, stopping, idle=REST_WITHOUT_MAIL)
        finally:
            await worker.finish()

    return send


async def serve(settings: NotifierSettings) -> None:
    """Runs until told to stop. Raises ConfigurationError or NotMigrated where a person must mend something first."""
    engine = create_engine(settings.postgres, application="notifier")
    offsets = Offsets(engine, tables.offsets)
    sender = Sender(settings.kafka, client_id="notifier")
    channels: dict[str, Channel[Any]] = {
        EMAIL: EmailChannel(settings.smtp, _now),
        WEBHOOK: WebhookChannel(settings.webhooks, Endpoints(engine)),
    }
    try:
        await check_migrated(engine)
        await check_topics(settings.kafka)
        feed = Feed(settings.kafka, group=GROUP, topics=[STAGE_CHANGES], load=offsets.load)
        terms = following(engine)

        def follow_ups() -> FollowUps:
            return terms.now().follow_ups

        lease = max(settings.smtp.timeout * ANSWERS_A_MAIL, settings.webhooks.timeout * 2)
        queue = Queue(engine, sending_lease=lease, caps=settings.claims, blast=settings.blast)
        readiness = Readiness({"revision", "feed"})
        taking = Taking(Intake(feed, offsets, engine, follow_ups, _now), feed, terms, readiness)
        links = settings.links.maker()
        workers = {name: Worker(queue, name, channel, terms.now, links, _now) for name, channel in channels.items()}

        products = Feed(settings.kafka, group=CATALOGUE_GROUP, topics=[PRODUCTS], load=offsets.load)
        catalogue = CatalogueIntake(products, offsets, engine, _now)

        async def look() -> bool:
            try:
                with contextlib.suppress(NoShop):  # it is logged where it is found
                    await terms.look()
            except UNAVAILABLE as error:
                log.warning("it can't be asked which revision is in force; trying again", error=repr(error))
            return False

        async def looking(stopping: asyncio.Event) -> None:
            await repeat(look, stopping, idle=LOOK_EVERY)

        outbox = Outbox(engine, sender, _now)

        async def say(stopping: asyncio.Event) -> None:
            await repeat(outbox.step, stopping, idle=REST_WITHOUT_EVENTS)

        def named() -> Named | None:
            try:
                held = terms.now()
            except NoShop:
                return None
            return Named(storefronts=held.shop.storefronts, follow_ups=held.follow_ups)

        app = create_app(engine, readiness, settings.operator_key, _now, named)
        app.include_router(preview_routes(engine, terms.now, settings.operator_key, _now))
        bounces = BounceDesk(engine, settings.bounces, Amazon().fetch, _now)
        app.include_router(bounces.routes(bearer(settings.operator_key)))
        app.router.routes.extend(Pages(engine, links, terms.now, _now).routes())
        jobs = {
            "intake": reading(feed, taking.step, join=False),
            "look": looking,
            "outbox": say,
            "retention": forgetting(Retention(engine, settings.messages_kept, follow_ups, _now)),
            "catalogue": reading(products, catalogue.step),
            **{name: sending(worker) for name, worker in workers.items()},
        }
        await run_service(app, settings.http, jobs)
    finally:
        await asyncio.gather(sender.stop(), *(channel.close() for channel in channels.values()))
        await engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)
