"""Brings Postgres' schemas and Kafka's topics up to this version. Safe to run again, and by several at once."""

from collections import defaultdict
from pathlib import Path

import sqlalchemy as sa
import typer
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrations.target import SCHEMAS, metadatas
from services.errors import NotMigrated
from services.kafka import ensure_topics
from services.postgres import create_engine, reaching, transaction
from services.settings import KafkaSettings, PostgresSettings, Settings

ONE_AT_A_TIME = 7_265_001
"""The advisory lock that lets several pods start at once and one of them migrate."""


class MigrateSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings


async def migrate(settings: MigrateSettings) -> None:
    engine = create_engine(settings.postgres, application="migrate")
    try:
        async with reaching(engine), engine.connect():
            pass
        before, after = await upgrade(engine)
    finally:
        await engine.dispose()
    typer.echo(f"postgres: schema {after}, as it was" if before == after else f"postgres: schema {before} → {after}")
    made = await ensure_topics(settings.kafka)
    typer.echo(f"kafka: made {', '.join(made)}" if made else "kafka: all topics are there")


async def upgrade(engine: AsyncEngine, revision: str = "head") -> tuple[str | None, str | None]:
    """To the newest schema in one transaction; returns the revision before and after.

    Raises NotMigrated for a database of the same revision's name that is none of this version's.
    """
    async with transaction(engine) as connection:
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        before = await connection.run_sync(_stands_at)
        await connection.run_sync(lambda sync: command.upgrade(configuration(sync), revision))
        if revision == "head" and (lacking := await _lacking(connection)):
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise NotMigrated(
                f"the database is of an earlier state of this version and lacks {lacking[0]}{more}: nothing leads from "
                "there; begin with an empty one (a dev stack: `stagepost down`, then remove `.stagepost`)"
            )
        return before, await connection.run_sync(_stands_at)


async def _lacking(connection: AsyncConnection) -> list[str]:
    """Declared tables that are not there, and columns of those that are. Revision 0001 was edited until its release."""
    found = await connection.execute(
        sa.text(
            "SELECT n.nspname || '.' || c.relname AS of, a.attname AS name FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ANY(:schemas) AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        {"schemas": list(SCHEMAS)},
    )
    there: dict[str, set[str]] = defaultdict(set)
    for row in found:
        there[row.of].add(row.name)
    tables = [table for metadata in metadatas for table in metadata.sorted_tables]
    gone = [table.fullname for table in tables if table.fullname not in there]
    short = [
        f"{table.fullname}.{column.name}"
        for table in tables
        for column in table.columns
        if table.fullname in there and column.name not in there[table.fullname]
    ]
    return [*gone, *short]


def configuration(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def _stands_at(connection: sa.Connection) -> str | None:
    if connection.scalar(sa.text("SELECT to_regclass('public.alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM public.alembic_version"))
    return found
