"""From the topic to the tables, on a real Kafka and a real Postgres: in order, once, and never blocked."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.holdings import Instance
from notifier.intake import Intake
from notifier.status import Status
from notifier.store import load_instances
from notifier.tables import customers, dead_letters, known_until, messages, offsets
from services.contracts.changes import (
    Change,
    ChangeType,
    CustomerUpdated,
    KnownUntil,
    Profile,
    StageChanged,
    StageRetracted,
    cloudevent_headers,
    encode_change,
)
from services.kafka import Feed, Record, Sender
from services.offsets import Offsets
from services.postgres import transaction
from services.settings import KafkaSettings
from tests.integration.notifier_world import Clock, database
from tests.unit.notifier.builders import FOLLOW_UPS, NOON, changed, retracted, transition, uid

PARTITIONS = 3
TYPES = {
    StageChanged: ChangeType.STAGE_CHANGED,
    StageRetracted: ChangeType.STAGE_RETRACTED,
    CustomerUpdated: ChangeType.CUSTOMER_UPDATED,
    KnownUntil: ChangeType.KNOWN_UNTIL,
}
ABANDONED = transition("abandoned")


def record(topic: str, change: Change, partition: int) -> Record:
    kind = TYPES[type(change)]
    headers = cloudevent_headers(kind, event_id="1", storefront="main-shop", subject=None, time=NOON)
    return Record(topic=topic, key=b"k", value=encode_change(change), headers=headers, partition=partition)


@dataclass
class World:
    engine: AsyncEngine
    kafka: KafkaSettings
    topic: str
    eventually: Callable[..., Any]
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    feeds: list[Feed] = field(default_factory=list)
    taken: int = 0

    async def put(self, *changes: Change, partition: int = 0) -> None:
        await self.put_records([record(self.topic, change, partition) for change in changes])

    async def put_records(self, records: Sequence[Record]) -> None:
        sender = Sender(self.kafka, client_id="test")
        await sender.send(records, deadline=timedelta(seconds=10))
        await sender.stop()
        self.taken += len(records)

    async def intake(self, *, group: str | None = None) -> Intake:
        store = Offsets(self.engine, offsets)
        feed = Feed(self.kafka, group=group or f"g-{uuid4().hex}", topics=[self.topic], load=store.load)
        await feed.start()
        self.feeds.append(feed)
        return Intake(feed, store, self.engine, lambda: FOLLOW_UPS, self.clock, topic=self.topic)

    async def take_all(self, *intakes: Intake) -> None:
        """Steps until everything that was put is read."""

        async def all_read() -> bool:
            for intake in intakes:
                await intake.step()
            async with self.engine.connect() as connection:
                return await connection.scalar(sa.select(sa.func.sum(offsets.c.next_offset))) == self.taken

        await self.eventually(all_read)

    async def statuses(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list(await connection.scalars(sa.select(messages.c.status)))

    async def instance(self, name: str) -> Instance:
        async with transaction(self.engine) as connection:
            return (await load_instances(connection, [uid(name)], []))[uid(name)]


@pytest.fixture
async def world(stack: dict[str, str], eventually: Callable[..., Any]) -> AsyncIterator[World]:
    kafka = KafkaSettings(bootstrap_servers=stack["kafka"])
    topic = f"notifier-test-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack["kafka"])
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    async with database(stack["postgres"]) as engine:
        world = World(engine, kafka, topic, eventually)
        yield world
        for feed in world.feeds:
            await feed.stop()
    await admin.delete_topics([topic])
    await admin.close()


async def test_a_change_becomes_a_message_and_a_repeat_of_it_none(world: World) -> None:
    await world.put(changed(1, ABANDONED), changed(1, ABANDONED))
    await world.take_all(await world.intake())
    assert await world.statuses() == [Status.PENDING]
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(customers.c.sequence)) == 1


async def test_a_new_process_reads_on_where_the_last_one_committed(world: World) -> None:
    await world.put(changed(1, ABANDONED))
    await world.take_all(await world.intake(group="g"))
    await world.feeds.pop().stop()
    await world.put(changed(2, transition("ordered", cause="o", minutes=1)))
    await world.take_all(await world.intake(group="g"))
    assert await world.statuses() == [Status.CANCELLED]
    assert (await world.instance("cart-1")).stage == "ordered"


async def test_everything_read_again_from_the_beginning_changes_nothing(world: World) -> None:
    await world.put(changed(1, ABANDONED), retracted(2, ABANDONED, None), changed(3, ABANDONED))
    await world.take_all(await world.intake())
    before = await world.statuses()
    async with transaction(world.engine) as connection:
        await connection.execute(sa.delete(offsets))
    await world.take_all(await world.intake())
    assert await world.statuses() == before == [Status.PENDING]


async def test_two_processes_that_both_think_a_partition_theirs_store_its_effects_once(world: World) -> None:
    first, second = await world.intake(), await world.intake()  # of two groups: each is given all partitions
    await world.put(changed(1, ABANDONED), changed(2, transition("ordered", cause="o", minutes=1)))
    await world.take_all(first, second)
    await world.put(changed(3, transition("active", cause="v", minutes=2)))
    await world.take_all(second, first)
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(customers.c.sequence)) == 3
    assert len((await world.instance("cart-1")).moves) == 3


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"{", "stage.changed"),
        (b'{"storefront": 7}', "stage.changed"),
        (b"", "customer.updated"),
        (b"\xff\xfe", "known.until"),
        (encode_change(changed(2**63, ABANDONED)), "stage.changed"),
        (encode_change(changed(0, ABANDONED)), "stage.changed"),
        (
            encode_change(
                CustomerUpdated(
                    storefront="main-shop", customer_id=uid("ada"), sequence=1, profile=Profile(traits={"a": "\x00"})
                )
            ),
            "customer.updated",
        ),
    ],
)
async def test_what_cannot_be_read_is_kept_and_blocks_nothing(world: World, value: bytes, kind: str) -> None:
    bad = Record(topic=world.topic, key=None, value=value, headers=[("ce_type", kind.encode())], partition=0)
    await world.put_records([bad, record(world.topic, changed(1, ABANDONED), 0)])
    await world.take_all(await world.intake())
    assert await world.statuses() == [Status.PENDING]
    async with world.engine.connect() as connection:
        (letter,) = await connection.execute(sa.select(dead_letters))
        assert (letter.partition, letter.offset, letter.value) == (0, 0, value)
        assert letter.reason


async def test_types_that_we_do_not_know_are_passed_over(world: World) -> None:
    newer = Record(
        topic=world.topic, key=None, value=b"whatever", headers=[("ce_type", b"customer.erased")], partition=0
    )
    await world.put_records([newer, Record(topic=world.topic, key=b"k", value=None, partition=1)])
    await world.take_all(await world.intake())
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(dead_letters)) == 0


async def test_what_is_known_until_is_the_least_of_all_partitions_also_of_silent_ones(world: World) -> None:
    await world.put(KnownUntil(known_until=NOON), partition=0)
    await world.put(KnownUntil(known_until=NOON + timedelta(seconds=1)), partition=1)
    await world.take_all(await world.intake())
    async with world.engine.connect() as connection:
        rows = {row.partition: row.known_until for row in await connection.execute(sa.select(known_until))}
    assert rows.keys() == {0, 1, 2}
    assert rows[0] == NOON
    assert min(rows.values()) < NOON - timedelta(days=365)


async def test_a_failed_transaction_is_done_again_from_the_stored_offsets(world: World) -> None:
    await world.put(changed(1, ABANDONED))
    intake = await world.intake()
    async with transaction(world.engine) as connection:
        await connection.execute(
            sa.text(
                "CREATE FUNCTION notifier.fail() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = 'admin_shutdown'; END$$"
            )
        )
        await connection.execute(
            sa.text("CREATE TRIGGER fail BEFORE INSERT ON notifier.messages EXECUTE FUNCTION notifier.fail()")
        )
    outcomes = []

    async def failed() -> bool:
        outcomes.append(await intake.step())
        return False in outcomes

    await world.eventually(failed)
    async with transaction(world.engine) as connection:
        assert await connection.scalar(sa.select(sa.func.sum(offsets.c.next_offset))) is None
        await connection.execute(sa.text("DROP TRIGGER fail ON notifier.messages"))
    await world.take_all(intake)
    assert await world.statuses() == [Status.PENDING]
