"""A database that is taken back to an earlier time: a new epoch, no mail twice, nobody left behind (trap 18)."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from topic_world import changed_by_an_engine, records_of

from migrations.migrate import MigrateSettings, upgrade
from migrations.restored import restored
from notifier import tables as notifier
from notifier.status import Status
from services.contracts.changes import epoch_of
from services.contracts.topics import STAGE_CHANGES, STAGES
from services.errors import StillRunning
from services.kafka import Sender, ensure_topics
from services.postgres import create_engine, transaction
from services.settings import KafkaSettings, PostgresSettings
from stage_engine.publisher import Publisher

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    stack = start_stack("--only", "postgres,kafka", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture
async def settings(ground: Stack) -> MigrateSettings:
    """A database of the test's own."""
    dsn = re.sub(r"/\w+$", f"/shop_{uuid4().hex[:8]}", ground.endpoints["postgres"])
    await on_server(ground, f"CREATE DATABASE {dsn.rsplit('/', 1)[1]}")
    made = MigrateSettings(
        kafka=KafkaSettings(bootstrap_servers=ground.endpoints["kafka"]), postgres=PostgresSettings(dsn=dsn)
    )
    await ensure_topics(made.kafka)
    engine = connected(made)
    await upgrade(engine)
    await engine.dispose()
    return made


async def on_server(ground: Stack, statement: str) -> None:
    admin = create_engine(PostgresSettings(dsn=ground.endpoints["postgres"]), application="test")
    async with admin.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text(statement))
    await admin.dispose()


def connected(settings: MigrateSettings, application: str = "test") -> AsyncEngine:
    return create_engine(settings.postgres, application=application)


async def backed_up(ground: Stack, settings: MigrateSettings) -> MigrateSettings:
    """A copy of the database as it is now: to use it later is to restore it."""
    dsn = settings.postgres.dsn.get_secret_value()
    name = dsn.rsplit("/", 1)[1]
    await on_server(ground, f"CREATE DATABASE {name}_then TEMPLATE {name}")
    return settings.model_copy(update={"postgres": PostgresSettings(dsn=f"{dsn}_then")})


async def publish(settings: MigrateSettings, customer: UUID, times: int) -> None:
    engine = connected(settings)
    sender = Sender(settings.kafka, client_id="test")
    publisher = Publisher(engine, sender)
    await changed_by_an_engine(engine, customer, times)
    await publisher.step()
    await publisher.close()
    await sender.stop()
    await engine.dispose()


async def taken_in(settings: MigrateSettings, customer: UUID, sequence: int) -> None:
    """As the notifier does."""
    engine = connected(settings)
    async with transaction(engine) as connection:
        await connection.execute(
            insert(notifier.customers).values(
                id=customer, storefront="shop", sequence=sequence, profile={}, table_number=0
            )
        )
    await engine.dispose()


async def planned(settings: MigrateSettings, status: Status, due_at: datetime) -> UUID:
    engine = connected(settings)
    row = {name: uuid4() for name in ("id", "customer_id", "instance", "transition", "occasion", "cause")}
    times = dict.fromkeys(("at", "expires_at", "created_at", "changed_at"), due_at)
    async with transaction(engine) as connection:
        await connection.execute(
            insert(notifier.messages).values(
                **row,
                **times,
                due_at=due_at,
                storefront="shop",
                follow_up="f",
                step=1,
                channel="email",
                status=status,
                attempts=0,
                unknowns=0,
            )
        )
    await engine.dispose()
    return row["id"]


async def statuses(settings: MigrateSettings) -> dict[UUID, tuple[str, str | None]]:
    engine = connected(settings)
    async with engine.connect() as connection:
        found = await connection.execute(
            sa.select(notifier.messages.c.id, notifier.messages.c.status, notifier.messages.c.reason)
        )
        stand = {row.id: (row.status, row.reason) for row in found}
    await engine.dispose()
    return stand


async def test_numbers_given_out_twice_are_of_another_epoch_and_nothing_is_missed(
    ground: Stack, settings: MigrateSettings
) -> None:
    ann = uuid4()
    await publish(settings, ann, 3)
    await taken_in(settings, ann, 2)
    then = await backed_up(ground, settings)
    await publish(settings, ann, 2)  # published, and taken back by the restore

    await restored(then)
    await publish(then, ann, 1)
    stages = await records_of(then.kafka, STAGES, ann)
    changes = await records_of(then.kafka, STAGE_CHANGES, ann)
    assert [(epoch_of(r.headers), r.said["sequence"]) for r in stages] == [(1, 3), (1, 5), (2, 3), (2, 4)]
    assert [(epoch_of(r.headers), r.said["sequence"]) for r in changes] == [
        *((1, number) for number in (1, 2, 3, 4, 5)),
        (2, 3),  # the notifier had not taken it in when the backup was made, and drops those of the old epoch
        (2, 4),
    ]


async def test_what_was_due_is_kept_back_and_what_is_due_later_is_not(ground: Stack, settings: MigrateSettings) -> None:
    before, later = NOW - timedelta(hours=1), NOW + timedelta(days=1)
    kept_back = [await planned(settings, status, before) for status in ("pending", "retry", "claimed", "withheld")]
    sending = await planned(settings, Status.SENDING, before)
    sent = await planned(settings, Status.SENT, before)
    next_ = await planned(settings, Status.PENDING, later)
    then = await backed_up(ground, settings)
    await restored(then)
    stand = await statuses(then)
    assert {stand[id_] for id_ in kept_back} == {("withheld", "restored")}
    assert stand[sending] == ("unknown", "restored")
    assert (stand[sent], stand[next_]) == (("sent", None), ("pending", None))


async def test_it_refuses_while_an_engine_or_the_notifier_runs_and_raises_nothing_then(
    settings: MigrateSettings,
) -> None:
    for service in ("stage-engine", "notifier"):
        engine = connected(settings, service)
        async with engine.connect():
            with pytest.raises(StillRunning, match=f"^{service} must not run"):
                await restored(settings)
        await engine.dispose()
    await restored(settings)
    engine = connected(settings)
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT epoch FROM engine.stream")) == 2
        assert await connection.scalar(sa.text("SELECT epoch FROM notifier.stream")) == 2
    await engine.dispose()
