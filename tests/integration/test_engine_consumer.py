"""The consumer on a real Kafka and Postgres: poison, zombies, lost replies, lost offsets, replays."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
import sqlalchemy as sa
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from engine_world import World, scratch_database
from faults_proxy import CLEAR, Moment, Proxy, Trap, Weather
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.events import encode_event
from services.contracts.topics import DEAD_LETTERS
from services.errors import Fenced, OffsetLost
from services.kafka import Feed, Record, Sender, Stretch
from services.offsets import Offsets
from services.postgres import create_engine, transaction
from services.settings import KafkaSettings, PostgresSettings
from stage_engine import tables
from stage_engine.arrivals import Arrival
from stage_engine.consumer import Consumer
from stage_engine.metrics import FENCED
from tests.unit.stage_engine.builders import SEVEN

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
Eventually: TypeAlias = Callable[..., Awaitable[None]]

SEND = timedelta(seconds=10)


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    stack = start_stack("--only", "postgres,kafka", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def kafka(ground: Stack) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=ground.endpoints["kafka"])


@pytest.fixture(scope="module")
async def database(ground: Stack) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(ground.endpoints["postgres"]) as engine:
        yield engine


@pytest.fixture(scope="module")
async def sender(kafka: KafkaSettings) -> AsyncIterator[Sender]:
    sender = Sender(kafka, client_id="test")
    await sender.start()
    yield sender
    await sender.stop()


async def make_topic(kafka: KafkaSettings, name: str, partitions: int = 2) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1)])
    await admin.close()


async def drop_topic(kafka: KafkaSettings, name: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    await admin.delete_topics([name])
    while name in await admin.list_topics():  # noqa: ASYNC110  it waits for the broker
        await asyncio.sleep(0.05)
    await admin.close()


@dataclass
class Reading:
    """A topic and a storefront of the test's own, and the engines that read it."""

    kafka: KafkaSettings
    sender: Sender
    world: World
    topic: str
    eventually: Eventually

    async def say(self, *values: Arrival | bytes, partition: int = 0, topic: str | None = None) -> None:
        records = [
            Record(
                topic=topic or self.topic,
                key=None,
                value=value if isinstance(value, bytes) else encode_event(value.entry.event),
                partition=partition,
            )
            for value in values
        ]
        await self.sender.send(records, deadline=SEND)

    def engine(self, database: AsyncEngine | None = None) -> Consumer:
        """One that has a group of its own: for Kafka all partitions are its."""
        used = database or self.world.engine
        offsets = Offsets(used, tables.offsets)
        feed = Feed(
            self.kafka, group=f"g-{uuid4().hex}", topics=[self.topic, DEAD_LETTERS], load=offsets.load, max_records=50
        )
        return Consumer(self.world.folding(used), feed, offsets)

    async def stored(self, partition: int = 0) -> int:
        offsets = await Offsets(self.world.engine, tables.offsets).load([TopicPartition(self.topic, partition)])
        return offsets.get(TopicPartition(self.topic, partition), 0)

    async def reads_to(self, consumer: Consumer, *ends: int) -> None:
        async def there() -> bool:
            await consumer.step()
            return [await self.stored(number) for number in range(len(ends))] == list(ends)

        await self.eventually(there)

    async def stretches(self, consumer: Consumer) -> list[Stretch]:
        found: list[Stretch] = []
        while not found:
            found = await consumer.feed.next(timedelta(milliseconds=200))
        return found

    async def dead(self) -> dict[int, str]:
        d = tables.dead_letters.c
        async with self.world.engine.connect() as connection:
            found = await connection.execute(sa.select(d.record_offset, d.code).where(d.topic == self.topic))
            return {row.record_offset: row.code for row in found}

    async def event_ids(self) -> set[str]:
        e = tables.events.c
        async with self.world.engine.connect() as connection:
            found = await connection.execute(sa.select(e.event_id).where(e.storefront == self.world.storefront))
            return set(found.scalars())


@pytest.fixture
async def reading(database: AsyncEngine, kafka: KafkaSettings, sender: Sender, eventually: Eventually) -> Reading:
    topic = f"events-{uuid4().hex[:8]}"
    await make_topic(kafka, topic)
    return Reading(kafka, sender, await World.opened(database, SEVEN), topic, eventually)


class Started:
    """Consumers that are stopped whatever happens."""

    def __init__(self, *consumers: Consumer) -> None:
        self.consumers = consumers

    async def __aenter__(self) -> tuple[Consumer, ...]:
        for consumer in self.consumers:
            await consumer.feed.start()
        return self.consumers

    async def __aexit__(self, *_: object) -> None:
        for consumer in self.consumers:
            await consumer.feed.stop()


async def on_and_on(consumer: Consumer) -> None:
    async with asyncio.timeout(30):
        while True:
            await consumer.step()


def viewed(world: World, number: int, **more: Any) -> Arrival:  # noqa: ANN401  see World.event
    return world.event("Product Viewed", number, who={"user_id": "u1"}, id=f"v{number}", **more)


async def test_whatever_stands_on_the_topic_blocks_nothing(reading: Reading) -> None:
    world = reading.world
    good = encode_event(viewed(world, 1).entry.event)
    text = json.loads(good)

    def bent(**fields: Any) -> bytes:  # noqa: ANN401  any JSON
        return json.dumps(text | fields).encode()

    poison = {
        b"\xff\x00": "undecodable",
        b"": "undecodable",
        good.replace(b'"properties":{}', b'"properties":' + b"[" * 100_000): "undecodable",
        good.replace(b'"properties":{}', b'"properties":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000): "undecodable",
        bent(properties={"amount": 10**400}).replace(b"1" + b"0" * 400, b"1" + b"0" * 9_000): "undecodable",
        bent(storefront="nobody's"): "unknown_storefront",
        bent(storefront="nobody's\0"): "unknown_storefront",
        bent(properties={"note": "a\0b"}): "unstorable",
        bent(id="x" * 100_000): "unstorable",
        bent(id=""): "unstorable",
        bent(occurred_at="0001-01-01T00:00:00+14:00"): "absurd_time",
        bent(occurred_at="9999-12-31T23:00:00-14:00", received_at="9999-12-31T23:00:00-14:00"): "absurd_time",
    }
    absurd = [
        world.event("Order Completed", 2, who={"user_id": "u" * 500_000}, order_id="o" * 90_000, revenue="1e999999999"),
        world.event("Product Added", 3, who={"anonymous_id": "a" * 90_000}, price="1e-999999999", quantity=1e308),
        world.event("Product Added", 4, who={"user_id": "\u202e" * 400}, product_id="p" * 90_000, cart_id="🛒" * 9_000),
    ]
    await reading.say(*poison, *absurd, viewed(world, 5))
    letter = {
        "storefront": "x\0",
        "code": "c\0",
        "reason": "r\0" * 9_000,
        "source": "s\0",
        "received_at": "0001-01-01T00:00:00+14:00",
        "raw": base64.b64encode(b"\0" * 600_000).decode(),
    }
    await reading.say(json.dumps(letter).encode(), b"no letter", topic=DEAD_LETTERS)
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, len(poison) + len(absurd) + 1)
        await reading.eventually(lambda: _two_letters(reading, consumer))
    assert list((await reading.dead()).values()) == list(poison.values())
    await world.know(10**9)
    stands = await world.stands()
    assert len(await reading.event_ids()) == len(absurd) + 1
    assert not [customer.broken for customer in stands.customers.values() if customer.broken]


async def _two_letters(reading: Reading, consumer: Consumer) -> bool:
    await consumer.step()
    async with reading.world.engine.connect() as connection:
        found = await connection.execute(
            sa.select(tables.dead_letters).where(tables.dead_letters.c.topic == DEAD_LETTERS)
        )
        return len(found.all()) == 2


async def test_what_only_postgres_refuses_is_found_and_set_aside(reading: Reading, database: AsyncEngine) -> None:
    world = reading.world
    async with transaction(database) as connection:
        await connection.execute(
            sa.text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'too much' USING ERRCODE = 'program_limit_exceeded'; END $$"
            )
        )
        await connection.execute(
            sa.text(
                "CREATE TRIGGER refusing BEFORE INSERT ON engine.events FOR EACH ROW WHEN (NEW.name = 'Refused') "
                "EXECUTE FUNCTION refuse()"
            )
        )
    said = [world.event("Refused" if n in (7, 8, 31) else "Product Viewed", n, who={"user_id": "u"}) for n in range(40)]
    await reading.say(*said)
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, 40)
    assert await reading.dead() == dict.fromkeys((7, 8, 31), "unstorable")
    assert len(await reading.event_ids()) == 37


async def test_a_zombie_that_held_a_batch_is_refused_and_reads_on(reading: Reading) -> None:
    world = reading.world
    await reading.say(*(viewed(world, n) for n in range(10)))
    async with Started(reading.engine(), reading.engine()) as (zombie, other):
        held = await reading.stretches(zombie)
        await reading.reads_to(other, 10)
        before = await world.stands()
        with pytest.raises(Fenced):
            await zombie.take(held)
        assert await world.stands() == before
        await reading.say(viewed(world, 10))
        await reading.reads_to(other, 11)
        await reading.say(viewed(world, 11))
        fenced = FENCED._value.get()  # noqa: SLF001  prometheus-client has no other way to ask
        await reading.reads_to(zombie, 12)
        assert FENCED._value.get() == fenced + 1, "it believed to stand at 10"  # noqa: SLF001  as above
    assert await reading.event_ids() == {f"v{n}" for n in range(12)}


async def test_two_engines_that_dispute_every_partition_store_each_event_once(reading: Reading) -> None:
    world = reading.world
    for partition in (0, 1):
        await reading.say(*(viewed(world, n) for n in range(partition, 120, 2)), partition=partition)

    async with Started(reading.engine(), reading.engine()) as (one, other):

        async def there() -> bool:
            await asyncio.gather(one.step(), other.step())
            return [await reading.stored(n) for n in (0, 1)] == [60, 60]

        await reading.eventually(there)
    stands = await world.stands()
    (customer,) = stands.customers.values()
    assert [change.sequence for change in stands.outbox] == list(range(1, customer.sequence + 1))
    assert customer.state.events == 120


async def test_reading_all_again_from_the_beginning_changes_nothing(reading: Reading) -> None:
    world = reading.world
    said = [viewed(world, n) for n in (3, 1, 2)]
    said += [world.event("Product Added", 9, who={"anonymous_id": "a1"}, product_id="p1")]
    said += [world.event("Order Completed", 7, who={"user_id": "u1", "anonymous_id": "a1"}, order_id="o1")]
    await reading.say(*said, b"poison")
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, 6)
    await world.know(10_000)
    before, dead = await world.stands(), await reading.dead()
    async with transaction(world.engine) as connection:
        await connection.execute(sa.delete(tables.offsets).where(tables.offsets.c.topic == reading.topic))
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, 6)
    assert await world.stands() == before
    assert await reading.dead() == dead


async def test_a_topic_made_anew_with_lower_offsets_stops_the_engine_loudly(reading: Reading) -> None:
    world = reading.world
    await reading.say(*(viewed(world, n) for n in range(10)))
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, 10)
    await drop_topic(reading.kafka, reading.topic)
    await make_topic(reading.kafka, reading.topic)
    await reading.say(viewed(world, 50))
    async with Started(reading.engine()) as (consumer,):
        with pytest.raises(OffsetLost, match="holds offsets 0 to 1, but 10 is next"):
            await on_and_on(consumer)
    assert await reading.stored() == 10


@pytest.fixture
async def proxied(ground: Stack, database: AsyncEngine) -> AsyncIterator[tuple[AsyncEngine, Proxy]]:
    """The same database, behind a proxy."""
    url = sa.make_url(ground.endpoints["postgres"])
    proxy = Proxy(lambda: url.port or 0)
    await proxy.start()
    dsn = url.set(port=proxy.port, database=database.url.database).render_as_string(hide_password=False)
    engine = create_engine(PostgresSettings(dsn=dsn), application="test")
    yield engine, proxy
    await engine.dispose()
    await proxy.close()


async def test_a_commit_whose_reply_was_lost_is_not_done_again(
    reading: Reading, proxied: tuple[AsyncEngine, Proxy]
) -> None:
    engine, proxy = proxied
    world = reading.world
    await reading.say(*(viewed(world, n) for n in range(10)))
    trap = proxy.set(Trap(words=b"COMMIT", first=b"engine.offsets SET", moment=Moment.AFTER))
    async with Started(reading.engine(engine)) as (consumer,):
        while not trap.sprung.is_set():
            took = await consumer.step()
        assert not took
        stands = await world.stands()
        assert await reading.stored() == 10, "it was stored though nobody heard so"
        await reading.say(viewed(world, 10))
        await reading.reads_to(consumer, 11)
    after = await world.stands()
    assert after.outbox[: len(stands.outbox)] == stands.outbox
    (customer,) = after.customers.values()
    assert customer.state.events == 11


async def test_a_postgres_that_is_away_while_partitions_are_assigned_holds_up_and_loses_nothing(
    reading: Reading, proxied: tuple[AsyncEngine, Proxy]
) -> None:
    engine, proxy = proxied
    world = reading.world
    await reading.say(*(viewed(world, n) for n in range(10)))
    proxy.weather = Weather(refusing=True)
    async with Started(reading.engine(engine)) as (consumer,):
        while await consumer.step():  # until the listener has met it
            pass
        assert not consumer.feed.assigned
        proxy.weather = CLEAR
        await reading.reads_to(consumer, 10)
    assert await reading.event_ids() == {f"v{n}" for n in range(10)}


async def test_offsets_that_are_set_back_are_read_again_though_nothing_new_comes(reading: Reading) -> None:
    await reading.say(*(viewed(reading.world, number) for number in range(3)))
    async with Started(reading.engine()) as (consumer,):
        await reading.reads_to(consumer, 3)
        o = tables.offsets.c
        async with reading.world.engine.begin() as connection:
            await connection.execute(
                sa.update(tables.offsets).where(o.topic == reading.topic, o.partition == 0).values(next_offset=0)
            )
        await reading.reads_to(consumer, 3)
    assert await reading.event_ids() == {"v0", "v1", "v2"}
