"""The composition root: everything the console is made of, put together once."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from console import queries
from console.app import Reads, Shown, create_app
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.snapshot import Snapshot
from console.stages import order_of
from services.errors import NoShop
from services.postgres import check_migrated, create_engine
from services.process import Readiness, repeat, run_service
from services.revisions.following import Following
from services.revisions.store import Active, Revision
from services.shop import load_shop

POSTGRES: Final = "postgres"
REVISION: Final = "revision"
LOOK_EVERY: Final = 2.0
"""Seconds between looks at which revision is in force, and whether Postgres answers."""


async def serve(settings: ConsoleSettings) -> None:
    """Runs until told to stop. Raises ConfigurationError or NotMigrated where a person must mend something first."""
    engine = create_engine(settings.postgres, application="console")
    readiness = Readiness({POSTGRES, REVISION})

    def load(directory: Path, _: Revision, __: Active) -> Shown:
        shop = load_shop(directory)
        return Shown(
            storefronts=shop.storefronts, order=order_of(shop), ingest_url=str(settings.ingest_url).rstrip("/")
        )

    following = Following(engine, load)

    async def watch(stopping: asyncio.Event) -> None:
        await repeat(partial(_look, following, readiness), stopping, idle=LOOK_EVERY)

    try:
        await check_migrated(engine)
        reads = Reads(
            overview=Snapshot(partial(queries.overview, engine), time.monotonic).get,
            journey=partial(queries.journey, engine),
            search=partial(queries.search, engine),
        )
        sessions = Sessions.under(settings.operator_key, settings.session)
        mailbox_url = None if settings.mailbox_url is None else str(settings.mailbox_url)
        app = create_app(reads, following.now, sessions, readiness, lambda: datetime.now(UTC), mailbox_url)
        await run_service(app, settings.http, {"watch": watch})
    finally:
        await engine.dispose()


async def _look(following: Following[Shown], readiness: Readiness) -> bool:
    try:
        await following.look()
    except NoShop:
        readiness.ready(POSTGRES)
        readiness.not_ready(REVISION)
    except (SQLAlchemyError, OSError):
        readiness.not_ready(POSTGRES)
    else:
        readiness.ready(POSTGRES)
        readiness.ready(REVISION)
    return False
