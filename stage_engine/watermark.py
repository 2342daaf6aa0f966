"""The watermark: the time up to which everything that was received has been folded.

First it is asked up to when ingest has settled, **then** where the topic ends: whatever was settled is before those
ends. Once the stored offsets have reached them, whoever reads the partitions, that time is the watermark. It never
falls, and it stands while Kafka can't be asked: silence must not be taken for "nothing came".
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.topics import EVENTS
from services.kafka import Feed
from services.offsets import Offsets
from services.postgres import transaction
from stage_engine import store
from stage_engine.metrics import WATERMARK

log = structlog.get_logger()

Settled = Callable[[], Awaitable[datetime]]
"""Up to when everything that any ingest received is on the topic."""


def after_grace(grace: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Settled:
    """Until ingest reports it itself: what was received `grace` ago is taken to be on the topic."""

    async def settled() -> datetime:
        return now() - grace

    return settled


@dataclass(frozen=True, slots=True)
class Target:
    """When the stored offsets have reached `ends`, the watermark is `at`."""

    at: datetime
    ends: Mapping[TopicPartition, int]

    def reached(self, stored: Mapping[TopicPartition, int]) -> bool:
        return all(stored.get(partition, 0) >= end for partition, end in self.ends.items())


@dataclass(slots=True)
class Watermark:
    engine: AsyncEngine
    feed: Feed
    offsets: Offsets
    settled: Settled
    _target: Target | None = None

    async def step(self) -> bool:
        """True when the watermark rose."""
        try:
            if self._target is None:
                at = await self.settled()
                ends = await self.feed.ends(EVENTS)
                self._target = Target(at, ends) if ends else None
            if self._target is None or not self._target.reached(await self.offsets.load(self._target.ends.keys())):
                return False
            reached, self._target = self._target, None
            async with transaction(self.engine) as connection:
                await store.raise_watermark(connection, reached.at)
        except (DBAPIError, KafkaError, OSError) as error:
            log.warning("the watermark stands", why=repr(error))
            return False
        WATERMARK.set(reached.at.timestamp())
        return True
