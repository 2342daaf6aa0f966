"""Looking at a stack from outside: what its topics hold, which mail came, and whether the dust has settled."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faults_evidence import Evidence, Expected, Mail, Published, Tables
from faults_reference import Logged
from faults_world import World

from services.contracts.changes import ChangeType
from services.contracts.topics import DEAD_LETTERS, EVENTS, STAGE_CHANGES, STAGES, TOPICS
from services.postgres import create_engine
from services.settings import PostgresSettings

READ = (EVENTS, DEAD_LETTERS, STAGE_CHANGES, STAGES)
TOLD = (EVENTS, DEAD_LETTERS)
"""What engines read."""

Ends = dict[TopicPartition, int]
UNSETTLED = """
SELECT what, number FROM (
    SELECT 'customers with events that wait', count(*) FROM engine.customers WHERE waits_at IS NOT NULL
    UNION ALL SELECT 'customers to re-fold', count(*) FROM engine.customers WHERE refold_at IS NOT NULL
    UNION ALL SELECT 'customers on hold', count(*) FROM engine.customers WHERE hold IS NOT NULL
    UNION ALL SELECT 'wakes due within the hour', count(*) FROM engine.customers
              WHERE next_wake < now() + interval '1 hour'
    UNION ALL SELECT 'changes to publish', count(*) FROM engine.outbox WHERE NOT published
    UNION ALL SELECT 'customers of whom the notifier has not heard all', count(*)
              FROM engine.customers AS c LEFT JOIN notifier.customers AS n USING (id)
              WHERE c.sequence <> coalesce(n.sequence, 0)
    UNION ALL SELECT 'messages under way', count(*) FROM notifier.messages
              WHERE status IN ('pending', 'claimed', 'sending', 'retry')
    UNION ALL SELECT 'events of the notifier to publish', count(*) FROM notifier.outbox WHERE published_at IS NULL
) AS waiting (what, number) WHERE number > 0
"""


@dataclass(eq=False)
class Topics:
    """What the topics hold, read once and remembered: a topic that is made anew loses its own memory."""

    bootstrap: str
    records: list[Logged] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    standings: dict[UUID, tuple[int, bytes | None]] = field(default_factory=dict)
    _next: Ends = field(default_factory=dict)

    async def ends(self) -> Ends:
        """Of what engines read."""
        async with _consumer(self.bootstrap) as consumer:
            return {p: end for p, end in (await _ends(consumer)).items() if p.topic in TOLD}

    async def read(self) -> None:
        """All up to the ends as they are now."""
        async with _consumer(self.bootstrap) as consumer:
            ends = await _ends(consumer)
            behind = {p: end for p, end in ends.items() if self._next.get(p, 0) < end}
            if not behind:
                return
            consumer.assign(list(behind))
            for partition in behind:
                consumer.seek(partition, self._next.get(partition, 0))
            while any(self._next.get(p, 0) < end for p, end in behind.items()):
                fetched = await consumer.getmany(timeout_ms=500)
                for partition, records in fetched.items():
                    for record in records:
                        self._take(record)
                    self._next[partition] = records[-1].offset + 1

    def _take(self, record: object) -> None:
        topic, value, headers = record.topic, record.value, tuple(record.headers)  # type: ignore[attr-defined]  aiokafka
        partition, offset = record.partition, record.offset  # type: ignore[attr-defined]
        said = dict(headers)
        if topic == STAGES:
            customer, _, sequence = said["ce_id"].decode().rpartition("/")
            self.standings[UUID(customer)] = int(sequence), value
            return
        if topic != STAGE_CHANGES:
            made_at = record.timestamp  # type: ignore[attr-defined]
            self.records.append(Logged(topic=topic, partition=partition, offset=offset, timestamp=made_at, value=value))
            return
        if said["ce_type"] != ChangeType.KNOWN_UNTIL.encode():
            customer, _, sequence = said["ce_id"].decode().rpartition("/")
            self.published.append(
                Published(
                    partition=partition,
                    offset=offset,
                    customer=UUID(customer),
                    sequence=int(sequence),
                    key=record.key,  # type: ignore[attr-defined]
                    headers=headers,
                    value=value,
                )
            )

    def made_anew(self, topic: str, renamed: str) -> None:
        """What was read of the topic is kept under another name; it begins at 0 again."""
        self.records = [
            Logged(topic=renamed, partition=r.partition, offset=r.offset, timestamp=r.timestamp, value=r.value)
            if r.topic == topic
            else r
            for r in self.records
        ]
        self._next = {p: end for p, end in self._next.items() if p.topic != topic}


@contextlib.asynccontextmanager
async def _consumer(bootstrap: str):  # noqa: ANN202  aiokafka has no types
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _ends(consumer: AIOKafkaConsumer) -> Ends:
    partitions = [
        TopicPartition(topic.name, number)
        for topic in TOPICS
        if topic.name in READ
        for number in range(topic.partitions)
    ]
    return dict(await consumer.end_offsets(partitions))


async def settle(world: World, topics: Topics, *, within: float) -> list[str]:
    """Waits until nothing is left to do; returns what still was when the time ran out.

    Nothing is left when two looks in a row find nothing and no event came between them: what one of them has just set
    going, such as what the notifier says of a mail that went out, the other sees.
    """
    deadline = time.monotonic() + within
    asked_at = datetime.now(UTC)
    before: Ends | None = None
    while True:
        left, ends = await _look(world, topics, asked_at)
        if (not left and ends == before) or time.monotonic() > deadline:
            return left
        before = None if left else ends
        await asyncio.sleep(0.5)


async def _look(world: World, topics: Topics, since: datetime) -> tuple[list[str], Ends]:
    """What is left, and up to where there are events."""
    try:
        async with asyncio.timeout(20):
            left = await _left(world, since)
            ends = await topics.ends()
            return left + await _unread(world, ends), ends
    except (KafkaError, OSError, TimeoutError) as error:
        return [f"can't even be asked: {error!r}"], {}


async def unread(world: World, topics: Topics) -> list[str]:
    """Which partitions the engines have not read to their ends."""
    return await _unread(world, await topics.ends())


async def _unread(world: World, ends: Ends) -> list[str]:
    stored = {
        TopicPartition(row["topic"], row["partition"]): row["next_offset"]
        for row in await world.sql("SELECT topic, partition, next_offset FROM engine.offsets")
    }
    return [
        f"{partition.topic}[{partition.partition}] is read to {stored.get(partition, 0)} of {end}"
        for partition, end in ends.items()
        if stored.get(partition, 0) < end
    ]


async def _left(world: World, since: datetime) -> list[str]:
    rows = await world.sql("SELECT at FROM engine.watermark")
    late = not rows or rows[0]["at"] <= since
    left = [f"the watermark is at {rows[0]['at'] if rows else None}, asked for {since}"] if late else []
    return left + [f"{row['number']} {row['what']}" for row in await world.sql(UNSETTLED)]


async def mails(world: World) -> list[Mail]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{world.endpoints['mailbox']}/api/v1/messages", params={"limit": 1_000_000})
    return [
        Mail(message_id=m["MessageID"], to=m["To"][0]["Address"], subject=m["Subject"])
        for m in answer.json()["messages"]
    ]


async def evidence(
    world: World, topics: Topics, acknowledged: frozenset[tuple[str, str]], expected: Sequence[Expected]
) -> Evidence:
    engine = create_engine(PostgresSettings(dsn=world.endpoints["postgres"]), application="faults")
    try:
        tables = await Tables.read(engine)
    finally:
        await engine.dispose()
    await topics.read()
    return Evidence(
        acknowledged=acknowledged,
        records=topics.records,
        tables=tables,
        published=topics.published,
        standings=topics.standings,
        mails=await mails(world),
        expected=expected,
    )
