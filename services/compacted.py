"""A compacted topic of one partition, read whole: from its beginning, and at every call up to its end."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from services.kafka import stop_within
from services.settings import KafkaSettings

DEADLINE = timedelta(seconds=10)
"""For one call, which is over in milliseconds on a healthy broker."""


@dataclass(frozen=True, slots=True)
class News:
    """What has come since the call before. `anew`: from the beginning, so what was known before is void."""

    anew: bool
    records: tuple[Any, ...]
    """aiokafka's ConsumerRecord."""


class Compacted:
    """Read it to the end before relying on it: in between, compaction may have taken what a later record repeats."""

    def __init__(self, settings: KafkaSettings, topic: str, *, client_id: str) -> None:
        self._partition = TopicPartition(topic, 0)
        self._consumer = AIOKafkaConsumer(
            **settings.client_options(),
            client_id=client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=int(DEADLINE.total_seconds() * 1000),
            metadata_max_age_ms=30_000,
        )
        self._from_beginning = True
        self._anew = True
        self._read: list[Any] = []

    async def start(self) -> None:
        await self._consumer.start()
        self._consumer.assign([self._partition])

    async def stop(self) -> None:
        await stop_within(self._consumer, timedelta(seconds=10))

    async def read_on(self) -> News:
        """All up to where the topic ends now. Raises KafkaError; what was read until then comes with the next call."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                await self._read_to_end()
        except TimeoutError:
            raise KafkaTimeoutError(f"{self._partition.topic} could not be read to its end in time") from None
        except OffsetOutOfRangeError:
            self._from_beginning = True
            raise
        news = News(self._anew, tuple(self._read))
        self._anew, self._read = False, []
        return news

    async def _read_to_end(self) -> None:
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        if self._from_beginning or await self._consumer.position(self._partition) > end:  # the topic was made anew
            beginning = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
            self._consumer.seek(self._partition, beginning)
            self._from_beginning, self._anew, self._read = False, True, []
        while await self._consumer.position(self._partition) < end:
            fetched = await self._consumer.getmany(self._partition, timeout_ms=200)
            self._read += fetched.get(self._partition, ())
