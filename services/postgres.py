"""Postgres: the engine with server-side timeouts, the one place that commits, and bulk rows."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.errors import ConfigurationError, NotMigrated, Unreachable
from services.settings import PostgresSettings

UNAVAILABLE = (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError)
"""What a server that is away or restarts makes of a statement or a commit. It may have happened all the same."""

SCHEMA_REVISION = "0001"
"""The newest migration of this version; a test holds it against Alembic's head."""


def create_engine(settings: PostgresSettings, *, application: str) -> AsyncEngine:
    """A pool whose connections give up by the server's own clock: a process that was stopped can't hold its locks."""
    url, tls = _url(settings)
    transaction_ms = str(int(settings.transaction_timeout.total_seconds() * 1000))
    return create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            **tls,
            "server_settings": {
                "application_name": f"stagepost-{application}",
                "timezone": "UTC",
                "jit": "off",  # our statements are short: compiling one would take longer than running it
                "random_page_cost": "1.1",  # rows are found by key; 4 is for disks with a head
                "statement_timeout": str(int(settings.statement_timeout.total_seconds() * 1000)),
                "lock_timeout": transaction_ms,
                "transaction_timeout": transaction_ms,
                "idle_in_transaction_session_timeout": transaction_ms,
            },
        },
    )


def _url(settings: PostgresSettings) -> tuple[sa.URL, dict[str, Any]]:
    """Libpq's `sslmode` is what people write; asyncpg calls it `ssl`."""
    try:
        url = sa.make_url(settings.dsn.get_secret_value())
    except sa.exc.ArgumentError:
        raise ConfigurationError(
            "STAGEPOST_POSTGRES__DSN is no URL; write postgresql://user:password@host/db"
        ) from None
    mode = url.query.get("sslmode")
    return url.set(drivername="postgresql+asyncpg").difference_update_query(["sslmode"]), {"ssl": mode} if mode else {}


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """The one place where anything is committed: all of the block, or on an exception nothing of it."""
    async with engine.begin() as connection:
        yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One consistent view over several statements; writes nothing."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def rows(name: str, columns: Sequence[sa.Column[Any]]) -> sa.TableValuedAlias:
    """A relation made of one array parameter a column: `INSERT … SELECT`, joins and updates of many rows at once.

    Pass `columns_of(columns, list_of_tuples)` as the parameters. JSON columns travel as text.
    """
    arrays = [sa.cast(sa.bindparam(f"{name}_{c.name}"), ARRAY(_array_type(c))) for c in columns]
    alias = sa.func.unnest(*arrays).table_valued(*(sa.column(c.name, _array_type(c)) for c in columns), name=name)
    return alias.render_derived()


def selected(relation: sa.TableValuedAlias, columns: Sequence[sa.Column[Any]]) -> list[sa.ColumnElement[Any]]:
    """The columns of `rows(...)` in their tables' own types."""
    return [sa.cast(relation.c[c.name], c.type) if isinstance(c.type, JSONB) else relation.c[c.name] for c in columns]


def columns_of(name: str, columns: Sequence[sa.Column[Any]], values: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """The parameters of `rows(name, columns)` for these values, one inner sequence a row."""
    turned = list(zip(*values, strict=True)) if values else [()] * len(columns)
    return {f"{name}_{column.name}": list(cells) for column, cells in zip(columns, turned, strict=True)}


async def upsert(
    connection: AsyncConnection,
    table: sa.Table,
    name: str,
    columns: Sequence[sa.Column[Any]],
    values: Sequence[Sequence[Any]],
) -> None:
    """Many rows in one statement; where the primary key is there already, the rest of the row is replaced."""
    if not values:
        return
    given = rows(name, columns)
    statement = insert(table).from_select([c.name for c in columns], sa.select(*selected(given, columns)))
    rest = {c.name: statement.excluded[c.name] for c in columns if not c.primary_key}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest),
        columns_of(name, columns, values),
    )


def among(column: sa.Column[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """`column = ANY(array)`: one parameter however many values, where `IN` has one each and a limit of 32,767."""
    return column == sa.any_(sa.literal(list(values), ARRAY(column.type)))


def _array_type(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    return sa.Text() if isinstance(column.type, JSONB) else column.type


@asynccontextmanager
async def reaching(engine: AsyncEngine) -> AsyncIterator[None]:
    """For a process's first words with the server: raises Unreachable where later a failure is tried again."""
    try:
        yield
    except (OSError, sa.exc.DBAPIError, sa.exc.InterfaceError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise Unreachable(f"Postgres at {engine.url.host}:{engine.url.port or 5432} can't be used: {reason}") from None


async def check_migrated(engine: AsyncEngine, *, expected: str = SCHEMA_REVISION) -> None:
    """Raises NotMigrated unless the database stands at the newest revision that this version ships."""
    async with reaching(engine), engine.connect() as connection:
        if await connection.scalar(sa.text("SELECT to_regclass('public.alembic_version') IS NULL")):
            raise NotMigrated("the database is empty; run: stagepost migrate")
        found = await connection.scalar(sa.text("SELECT version_num FROM public.alembic_version"))
    if found != expected:
        raise NotMigrated(f"the database is at schema {found}, this version needs {expected}; run: stagepost migrate")


def refuses(error: sa.exc.DBAPIError) -> bool:
    """Whether Postgres can't keep the values themselves (SQLSTATE classes 22 and 54): trying again is of no use.

    SQLAlchemy has a DataError, but its asyncpg dialect never raises it.
    """
    return str(getattr(error.orig, "sqlstate", None) or "")[:2] in ("22", "54")
