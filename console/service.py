"""The composition root: everything the console is made of, put together once."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from console import queries
from console.app import Reads, Shown, create_app
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.snapshot import Snapshot
from console.stages import order_of
from services.postgres import check_migrated, create_engine, reading
from services.process import Readiness, repeat, run_service
from services.shop import load_shop

POSTGRES: Final = "postgres"
LOOK_EVERY: Final = 2.0
"""Seconds between looks at Postgres, for `/readyz`."""


async def serve(settings: ConsoleSettings) -> None:
    """Runs until told to stop. Raises ConfigurationError or NotMigrated where a person must mend something first."""
    shop = load_shop(settings.shop)
    shown = Shown(
        storefronts=shop.storefronts,
        order=order_of(shop),
        ingest_url=str(settings.ingest_url).rstrip("/"),
        mailbox_url=None if settings.mailbox_url is None else str(settings.mailbox_url),
    )
    engine = create_engine(settings.postgres, application="console")
    readiness = Readiness({POSTGRES})

    async def watch(stopping: asyncio.Event) -> None:
        await repeat(partial(_look, engine, readiness), stopping, idle=LOOK_EVERY)

    try:
        await check_migrated(engine)
        reads = Reads(
            overview=Snapshot(partial(queries.overview, engine), time.monotonic).get,
            journey=partial(queries.journey, engine),
            search=partial(queries.search, engine),
        )
        sessions = Sessions.under(settings.operator_key, settings.session)
        app = create_app(reads, shown, sessions, readiness, lambda: datetime.now(UTC))
        await run_service(app, settings.http, {"watch": watch})
    finally:
        await engine.dispose()


async def _look(engine: AsyncEngine, readiness: Readiness) -> bool:
    try:
        async with reading(engine) as connection:
            await connection.execute(sa.select(1))
    except (SQLAlchemyError, OSError):
        readiness.not_ready(POSTGRES)
    else:
        readiness.ready(POSTGRES)
    return False
