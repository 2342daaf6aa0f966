"""Kafka: a sender that replaces a producer it can't trust, a feed whose offsets live in Postgres, and the topics.

Traps that this file keeps away from everyone else (measured on Kafka 4.1, aiokafka 0.14): an idempotent producer is
wedged by one record over the topic's limit; `send` and `stop` never time out with idempotence on; `getmany` hands out
records before a rebalance listener has finished seeking, and a listener's errors are swallowed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    for_code,
)

from services.contracts.topics import MAX_REQUEST_BYTES, TOPICS, Topic
from services.errors import NotMigrated, OffsetLost, Unreachable
from services.settings import KafkaSettings

log = structlog.get_logger()

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


class SendFailed(Exception):
    """The broker or the client refused it: it is not on the topic."""


class SendUnknown(Exception):
    """No answer within the deadline: it may come to be on the topic yet. Sending it again under the same id is safe."""


class RecordTooLarge(SendFailed):
    """Over MAX_REQUEST_BYTES; refused before it could wedge the producer."""


class Sender:
    """An idempotent producer with acks from all replicas. One deadline counts for a whole call."""

    def __init__(
        self, settings: KafkaSettings, *, client_id: str, linger: timedelta = timedelta(milliseconds=5)
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._linger = linger
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._ready()

    async def stop(self, *, grace: timedelta = timedelta(seconds=10)) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_within(producer, grace)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=grace.total_seconds())

    async def partitions_of(self, topic: str) -> set[int]:
        """Raises SendFailed: while the broker is away a producer that was replaced can't even begin."""
        try:
            producer = await self._ready()
            return set(await producer.partitions_for(topic))
        except (KafkaError, OSError) as error:
            raise SendFailed(repr(error)) from error

    async def send(
        self, records: Sequence[Record], *, deadline: timedelta, ended: Callable[[], None] | None = None
    ) -> None:
        """Returns once the broker has acknowledged every record, in their order within a partition.

        Raises RecordTooLarge, SendFailed or SendUnknown; after either of the last two the producer is replaced, and
        some of the records may be on the topic. `ended` is called once, however this goes: when none of them can come
        to be on the topic any more. That is at its end, or later, when the retired producer has had its answers.
        """
        acks: list[asyncio.Future[Any]] = []
        try:
            await self._send(records, deadline, acks)
        finally:
            if ended is not None:
                _when_all_done(acks, ended)

    async def _send(self, records: Sequence[Record], deadline: timedelta, acks: list[asyncio.Future[Any]]) -> None:
        for record in records:
            size = len(record.value or b"") + len(record.key or b"") + sum(len(k) + len(v) for k, v in record.headers)
            if size > MAX_REQUEST_BYTES - 1024:  # the batch's and the record's own framing
                raise RecordTooLarge(f"{size} bytes; a record may have {MAX_REQUEST_BYTES - 1024}")
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                producer = await self._ready()
                for record in records:
                    ack = await producer.send(
                        record.topic,
                        key=record.key,
                        value=record.value,
                        headers=list(record.headers),
                        partition=record.partition,
                    )
                    acks.append(ack)
                if acks:
                    await asyncio.wait(acks)  # never cancels them: an open one tells that its record is still under way
        except TimeoutError:
            self._retire(producer)
            raise SendUnknown(f"no acknowledgement within {deadline.total_seconds():g} s") from None
        except (KafkaError, OSError) as error:
            self._retire(producer)
            raise SendFailed(repr(error)) from error
        failures = [failure for ack in acks if (failure := ack.exception()) is not None]
        if failures:
            self._retire(producer)
            if isinstance(failures[0], MessageSizeTooLargeError):
                raise RecordTooLarge(str(failures[0])) from failures[0]
            raise SendFailed(repr(failures[0])) from failures[0]

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._settings.client_options(),
                    client_id=self._client_id,
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=MAX_REQUEST_BYTES,
                    max_batch_size=262_144,  # one request in flight a broker: throughput is in the batch
                    linger_ms=int(self._linger.total_seconds() * 1000),
                    metadata_max_age_ms=30_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    await stop_within(producer, timedelta(seconds=2))
                    raise
                self._producer = producer
            return self._producer

    def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """After a failure a producer's sequence numbers can't be trusted: the next send makes a new one.

        The old one lives until each of its records is acknowledged or refused. Nothing less says whether they come
        to be on the topic: cut short, `stop` leaves its sending half alive, and what that does is not known.
        """
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        task = asyncio.create_task(_stop(producer))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _when_all_done(acks: Sequence[asyncio.Future[Any]], ended: Callable[[], None]) -> None:
    if all(ack.done() for ack in acks):
        ended()
    else:
        asyncio.gather(*acks, return_exceptions=True).add_done_callback(lambda _: ended())


async def _stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    with contextlib.suppress(KafkaError, OSError):
        await client.stop()


async def stop_within(client: AIOKafkaProducer | AIOKafkaConsumer, grace: timedelta) -> None:
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(grace.total_seconds()):
            await client.stop()


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was read of one partition: the records, and the stored offset before and after them."""

    partition: TopicPartition
    start: int
    end: int
    records: tuple[Any, ...]
    """aiokafka's ConsumerRecord: topic, partition, offset, key, value, headers, timestamp."""


LoadOffsets = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


class Feed(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of a consumer group that reads from the offsets stored in Postgres.

    Whoever uses it stores `Stretch.end` in the transaction that stores the stretch's effects, by compare-and-set on
    `Stretch.start` (`services.offsets`), and calls `rewind` when that transaction did not happen.
    """

    def __init__(
        self, settings: KafkaSettings, *, group: str, topics: Sequence[str], load: LoadOffsets, max_records: int = 2000
    ) -> None:
        self._topics = topics
        self._load = load
        self._max_records = max_records
        self._positions: dict[TopicPartition, int] = {}
        self._unsought: set[TopicPartition] = set()
        self._seeking = asyncio.Lock()
        self._consumer = AIOKafkaConsumer(
            **settings.client_options(),
            group_id=group,
            client_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=4 * 1_048_576,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
            rebalance_timeout_ms=30_000,
        )

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions that are read from their stored offsets now."""
        return frozenset(self._positions)

    async def start(self, *, join: bool = True) -> None:
        await self._consumer.start()
        if join:
            self.join()

    def join(self) -> None:
        self._consumer.subscribe(topics=list(self._topics), listener=self)

    def leave(self) -> None:
        """Gives all partitions to the others of the group, as long as this one can't read."""
        self._consumer.unsubscribe()
        self._positions.clear()
        self._unsought.clear()

    async def stop(self) -> None:
        await stop_within(self._consumer, timedelta(seconds=10))

    async def next(self, timeout: timedelta) -> list[Stretch]:  # noqa: ASYNC109  the wait of one poll, not a deadline
        """What has come, a stretch a partition; empty when nothing came.

        Raises OffsetLost, and what keeps it from the stored offsets or from Kafka: then call it again later.
        """
        await self._seek_the_rest()
        try:
            fetched = await self._consumer.getmany(
                timeout_ms=int(timeout.total_seconds() * 1000), max_records=self._max_records
            )
        except (NoOffsetForPartitionError, IllegalStateError):
            # Assigned, but the listener has not yet sought.
            await asyncio.sleep(0.05)
            return []
        except OffsetOutOfRangeError:
            self._unsought |= self._positions.keys()  # seeking says whether events are lost
            return []
        stretches = []
        for partition, fetched_records in fetched.items():
            start = self._positions.get(partition)
            records = tuple(r for r in fetched_records if start is not None and r.offset >= start)
            if start is not None and records:
                self._positions[partition] = records[-1].offset + 1
                stretches.append(Stretch(partition, start, records[-1].offset + 1, records))
        return stretches

    async def rewind(self) -> None:
        """Back to the stored offsets, after a transaction that did not happen (or may have)."""
        async with self._seeking:
            await self._seek(self.assigned)

    async def astray(self) -> bool:
        """Whether the stored offsets are others than we read from: somebody set them back, for all to be read again.

        To be asked between batches, when all that was read is stored.
        """
        stored = await self._load(self.assigned)
        return any(stored.get(partition, at) != at for partition, at in self._positions.items())

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """The ends of all the topic's partitions, whoever reads them, asked of the brokers now.

        Raises OffsetLost when more was read of one than it holds: the ends of a topic that was made anew would pass for
        reached, with nothing of it read.
        """
        partitions = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()]
        stored = await self._load(partitions)  # before the ends: what was read by now must be there
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        for partition, end in found.items():
            _check_held(partition, stored.get(partition, 0), 0, end)
        return found

    async def report(self, stretches: Sequence[Stretch]) -> None:
        """Tells Kafka how far we are, for tools that show lag; nothing of ours reads it."""
        with contextlib.suppress(KafkaError):
            await self._consumer.commit({stretch.partition: stretch.end for stretch in stretches})

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        for partition in revoked:
            self._positions.pop(partition, None)
            self._unsought.discard(partition)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._unsought |= set(assigned)
        try:
            await self._seek_the_rest()
        except Exception as error:  # noqa: BLE001  aiokafka would log and swallow it: `next` meets it again and raises it
            log.warning("partitions could not be sought; trying again", why=repr(error))

    async def _seek_the_rest(self) -> None:
        async with self._seeking:
            if self._unsought:
                await self._seek(frozenset(self._unsought))

    async def _seek(self, partitions: frozenset[TopicPartition]) -> None:
        """To the stored offsets. What is taken from us meanwhile is left alone."""
        if not partitions:
            return
        stored = await self._load(partitions)
        beginnings = await self._consumer.beginning_offsets(list(partitions))
        ends = await self._consumer.end_offsets(list(partitions))
        ours = self._consumer.assignment()
        self._unsought &= ours
        for partition in partitions & ours:
            first, end = beginnings[partition], ends[partition]
            offset = stored.get(partition, first)
            _check_held(partition, offset, first, end)
            self._consumer.seek(partition, offset)
            self._positions[partition] = offset
            self._unsought.discard(partition)


def _check_held(partition: TopicPartition, offset: int, first: int, end: int) -> None:
    if not first <= offset <= end:
        raise OffsetLost(
            f"{partition.topic}[{partition.partition}] holds offsets {first} to {end}, but {offset} is "
            "next to be read: the topic was made anew or its retention passed us by. Nothing is skipped "
            "silently; docs/operations.md says what to do."
        )


async def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Creates the topics that are missing and returns their names."""
    async with _admin(settings) as admin:
        missing = await _missing(admin)
        answer = await admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=settings.replication_factor,
                    topic_configs=topic.config,
                )
                for topic in missing
            ]
        )
        for name, code, message in (error[:3] for error in answer.topic_errors):
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)(f"{name}: {message}")
    return [topic.name for topic in missing]


async def check_topics(settings: KafkaSettings) -> None:
    async with _admin(settings) as admin:
        missing = await _missing(admin)
    if missing:
        raise NotMigrated(f"Kafka lacks {', '.join(t.name for t in missing)}; run: stagepost migrate")


async def _missing(admin: AIOKafkaAdminClient) -> list[Topic]:
    present = set(await admin.list_topics())
    return [topic for topic in TOPICS if topic.name not in present]


@contextlib.asynccontextmanager
async def _admin(settings: KafkaSettings) -> Any:  # noqa: ANN401  aiokafka has no types
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        await admin.close()
        raise Unreachable(f"Kafka at {settings.bootstrap_servers} can't be used: {error}") from None
    try:
        yield admin
    finally:
        await admin.close()
