"""The watermark: the time up to which everything that was received has been folded.

First it is read up to when every ingest has settled, **then** asked where the topic ends: whatever was settled is
before those ends. Once the stored offsets have reached them, whoever reads the partitions, that time is the watermark.
It never falls, and it stands while Kafka can't be asked: silence must not be taken for "nothing came".
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.compacted import Compacted
from services.contracts.progress import decode_settled, ingest_of
from services.contracts.topics import EVENTS
from services.kafka import Feed
from services.offsets import Offsets
from services.postgres import transaction
from stage_engine import store
from stage_engine.metrics import INGEST_SETTLED, SILENT_INGESTS, WATERMARK
from stage_engine.progress import Ingests, Report, Target

log = structlog.get_logger()


def steady_clock() -> timedelta:
    """Since some beginning; it never jumps."""
    return timedelta(seconds=time.monotonic())


@dataclass(slots=True)
class Watermark:
    """`step` listens to the ingests, and raises the watermark where what they said has come true."""

    engine: AsyncEngine
    feed: Feed
    offsets: Offsets
    progress: Compacted
    ingests: Ingests
    clock: Callable[[], timedelta] = field(default=steady_clock)
    _target: Target[TopicPartition] | None = None
    _raised: datetime | None = None
    _alone: bool = False

    async def step(self) -> bool:
        """True when the watermark rose."""
        try:
            await self._listen()
            if self._target is None:
                self._target = await self._next_target()
            if self._target is None or not self._target.reached(await self.offsets.load(self._target.ends.keys())):
                return False
            reached, self._target = self._target, None
            async with transaction(self.engine) as connection:
                await store.raise_watermark(connection, reached.at)
        except (DBAPIError, KafkaError, OSError) as error:
            log.warning("the watermark stands", why=repr(error))
            return False
        self._raised = reached.at
        WATERMARK.set(reached.at.timestamp())
        return True

    async def _listen(self) -> None:
        news = await self.progress.read_on()
        before = self.ingests
        known = replace(before, known={}, listened_at=None) if news.anew else before
        self.ingests = known.heard(list(_reports(news.records)), self.clock())
        _tell(before, self.ingests)

    async def _next_target(self) -> Target[TopicPartition] | None:
        """None while there is nothing new to reach. The order matters: first what is settled, then the ends."""
        settled = self.ingests.settled
        if (settled is None) != self._alone:
            self._alone = settled is None
            if self._alone:
                log.warning("the watermark stands", why="no ingest reports")
        if settled is None or (self._raised is not None and settled <= self._raised):
            return None
        ends = await self.feed.ends(EVENTS)
        return Target(settled, ends) if ends else None


def _reports(records: Sequence[Any]) -> Iterator[Report]:
    for record in records:
        try:
            settled = decode_settled(record.value).settled if record.value is not None else None
        except msgspec.DecodeError as error:
            log.warning("not a report of ingest's; who else writes there?", offset=record.offset, why=str(error))
        else:
            yield Report(ingest_of(record.key), settled)


def _tell(before: Ingests, now: Ingests) -> None:
    """Operators: of each ingest how far it is, and of one that is passed over that what it holds may come late."""
    for ingest in before.known.keys() - now.known.keys():
        INGEST_SETTLED.remove(ingest)
        log.info("an ingest has left", ingest=ingest)
    for ingest, said in now.known.items():
        INGEST_SETTLED.labels(ingest).set(said.settled.timestamp())
        if ingest not in before.known:
            log.info("an ingest reports", ingest=ingest)
    for ingest in now.silent - before.silent:
        log.error("an ingest is silent and is passed over: what it has not sent on will be late", ingest=ingest)
    for ingest in before.silent - now.silent:
        log.info("an ingest that was passed over is back, or has left", ingest=ingest)
    SILENT_INGESTS.set(len(now.silent))
