"""The consumer: a batch read, one transaction, the next. Offsets advance with what they caused, or not at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter
from services.contracts.events import encode_event
from services.errors import Fenced, NoShop
from services.kafka import Feed, Stretch
from services.offsets import Offsets
from services.postgres import UNAVAILABLE, refuses
from stage_engine import store
from stage_engine.apply import take_in
from stage_engine.arrivals import Arrival, Place, arrivals_of
from stage_engine.forward import Behind, Forward
from stage_engine.in_force import Folding
from stage_engine.metrics import BATCH_SECONDS, DEAD_LETTERS, FENCED
from stage_engine.pointers import Grew
from stage_engine.rules import Rules

log = structlog.get_logger()

POLL = timedelta(milliseconds=200)
LOOKS_ROUND_EVERY = 10
"""Polls without anything new: two seconds."""
BEGIN_AGAIN = frozenset({"40P01", "40001"})
"""Postgres' deadlock and serialization failures: the transaction did not happen and may simply be tried again."""


@dataclass(slots=True)
class Consumer:
    """`step` is one batch. What can't be stored is a dead letter; what the infrastructure refuses is tried again."""

    in_force: Folding
    feed: Feed
    offsets: Offsets
    _must_rewind: bool = False
    _idle: int = 0
    """Polls since something came."""

    async def step(self) -> bool:
        """True when Kafka and Postgres could be asked. Raises what a person must see to (OffsetLost, NoShop)."""
        try:
            if self._must_rewind:
                await self.feed.rewind()
                self._must_rewind = False
            stretches = await self.feed.next(POLL)
            if not stretches:
                await self._look_round()
                return True  # `next` has waited already
            self._idle = 0
            with BATCH_SECONDS.time():
                await self.take(stretches)
        except NoShop:
            self._must_rewind = True
            raise
        except Fenced as fenced:
            FENCED.inc()
            log.info("another engine reads this now", why=str(fenced))
            self._must_rewind = True
            return False
        except (*UNAVAILABLE, KafkaError) as error:
            log.warning("nothing was read or stored; trying again from the stored offsets", why=repr(error))
            self._must_rewind = True
            return False
        await self.feed.report(stretches)
        return True

    async def _look_round(self) -> None:
        """Who sets a stored offset back wants it read again, also where nothing new comes that would be fenced."""
        self._idle += 1
        if self._idle % LOOKS_ROUND_EVERY == 0 and await self.feed.astray():
            log.info("the stored offsets are others than those read from; reading from them")
            self._must_rewind = True

    async def take(self, stretches: Sequence[Stretch]) -> None:
        """One batch in one transaction, begun again as often as Postgres, `Grew` or `Behind` want it."""
        also_lock: frozenset[UUID] = frozenset()
        in_parts = False
        while True:
            try:
                async with self.in_force.transaction() as (connection, rules):
                    arrivals = arrivals_of(stretches, rules.storefronts)
                    dead = list(arrivals.dead)
                    if in_parts:
                        dead += await self._take_parts(connection, arrivals.events, rules, also_lock)
                    else:
                        await take_in(connection, arrivals.events, rules, rules.namespaces, also_lock=also_lock)
                    await store.write_dead_letters(connection, dead)
                    await self.offsets.advance(connection, stretches)
            except Grew as grew:
                also_lock |= grew.rows
            except Behind as behind:
                await Forward(self.in_force).these(behind.customers)
            except DBAPIError as error:
                if refuses(error) and not in_parts:
                    log.warning("an event of the batch can't be stored; looking for it", why=repr(error.orig))
                    in_parts = True
                elif getattr(error.orig, "sqlstate", None) not in BEGIN_AGAIN:
                    raise
            else:
                break
        for _, letter in dead:
            DEAD_LETTERS.labels(letter.code).inc()

    async def _take_parts(
        self, connection: AsyncConnection, events: Sequence[Arrival], rules: Rules, also_lock: Collection[UUID]
    ) -> list[tuple[Place, DeadLetter]]:
        """The slow way, for a batch with something in it that Postgres refuses: that alone becomes a dead letter.

        It is looked for by halves. Events one by one would take longer than a transaction may.
        """
        try:
            async with connection.begin_nested():
                await take_in(connection, events, rules, rules.namespaces, also_lock=also_lock)
        except DBAPIError as error:
            if not refuses(error):
                raise
            if len(events) == 1:
                return [(events[0].place, _refused(events[0], error))]
            middle = len(events) // 2
            found = await self._take_parts(connection, events[:middle], rules, also_lock)
            return found + await self._take_parts(connection, events[middle:], rules, also_lock)
        return []


def _refused(arrival: Arrival, error: DBAPIError) -> DeadLetter:
    event = arrival.entry.event
    return DeadLetter(
        storefront=event.storefront,
        code="unstorable",
        reason=str(error.orig).partition("\n")[0][:500],
        source=str(arrival.place),
        received_at=min(event.received_at, datetime.now(UTC)),
        raw=encode_event(event)[:MAX_RAW_BYTES],
    )
