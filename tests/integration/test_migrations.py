"""The migrations come to the tables that the services declare, and services refuse what is not migrated."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

from migrations.migrate import configuration, upgrade
from migrations.target import compared, metadatas
from services.errors import NotMigrated
from services.postgres import SCHEMA_REVISION, check_migrated, create_engine, transaction
from services.settings import PostgresSettings


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[AsyncEngine]:
    """A database of the test's own, with nothing in it."""
    name = f"test_{uuid4().hex[:8]}"
    admin = create_engine(PostgresSettings(dsn=postgres), application="test")
    async with admin.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
    await admin.dispose()
    engine = create_engine(PostgresSettings(dsn=re.sub(r"/\w+$", f"/{name}", postgres)), application="test")
    yield engine
    await engine.dispose()


async def test_the_migrations_come_to_the_declared_tables(empty: AsyncEngine) -> None:
    assert await upgrade(empty) == (None, SCHEMA_REVISION)
    async with empty.connect() as connection:
        different = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"include_schemas": True, "include_object": compared}), metadatas
            )
        )
        head = await connection.run_sync(lambda s: ScriptDirectory.from_config(configuration(s)).get_current_head())
    assert different == []
    assert head == SCHEMA_REVISION


async def test_migrating_again_changes_nothing(empty: AsyncEngine) -> None:
    await upgrade(empty)
    assert await upgrade(empty) == (SCHEMA_REVISION, SCHEMA_REVISION)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ("DROP TABLE notifier.kept_from", "notifier.kept_from"),
        ("ALTER TABLE notifier.messages DROP COLUMN to_staff", "notifier.messages.to_staff"),
    ],
)
async def test_a_database_of_before_the_first_release_is_refused_with_what_to_do(
    empty: AsyncEngine, change: str, lacks: str
) -> None:
    """The first migration is edited in place until then: the revision says nothing."""
    await upgrade(empty)
    async with transaction(empty) as connection:
        await connection.execute(sa.text(change))
    with pytest.raises(NotMigrated, match=rf"lacks {lacks}: .*remove `\.stagepost`"):
        await upgrade(empty)


async def test_a_service_refuses_an_empty_database_and_says_what_to_run(empty: AsyncEngine) -> None:
    with pytest.raises(NotMigrated, match="run: stagepost migrate"):
        await check_migrated(empty)


async def test_a_service_refuses_another_schema_and_names_both(empty: AsyncEngine) -> None:
    await upgrade(empty)
    with pytest.raises(NotMigrated, match=f"at schema {SCHEMA_REVISION}, this version needs 9999"):
        await check_migrated(empty, expected="9999")
