"""The consumer: a batch read, one transaction, the next. Offsets advance with what they caused, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter
from services.contracts.events import encode_event
from services.errors import Fenced
from services.kafka import Feed, Stretch
from services.offsets import Offsets
from services.postgres import transaction
from stage_engine import store
from stage_engine.apply import take_in
from stage_engine.arrivals import Arrival, Arrivals, arrivals_of
from stage_engine.folding import Rules
from stage_engine.metrics import BATCH_SECONDS, DEAD_LETTERS, FENCED
from stage_engine.pointers import Grew, Namespaces

log = structlog.get_logger()

POLL = timedelta(milliseconds=200)
BEGIN_AGAIN = frozenset({"40P01", "40001"})
"""Postgres' deadlock and serialization failures: the transaction did not happen and may simply be tried again."""


@dataclass(slots=True)
class Consumer:
    """`step` is one batch. What can't be stored is a dead letter; what the infrastructure refuses is tried again."""

    engine: AsyncEngine
    feed: Feed
    offsets: Offsets
    rules: Rules
    namespaces: Namespaces
    _must_rewind: bool = False

    async def step(self) -> bool:
        """True when something was read. Raises what a person must see to (OffsetLost)."""
        try:
            if self._must_rewind:
                await self.feed.rewind()
                self._must_rewind = False
            stretches = await self.feed.next(POLL)
            if not stretches:
                return True  # `next` has waited already
            with BATCH_SECONDS.time():
                await self._apply(stretches)
        except Fenced as fenced:
            FENCED.inc()
            log.info("another engine reads this now", why=str(fenced))
            self._must_rewind = True
            return False
        except (DBAPIError, OSError) as error:
            log.warning("the batch was not stored; reading it again", why=repr(error))
            self._must_rewind = True
            return False
        await self.feed.report(stretches)
        return True

    async def _apply(self, stretches: Sequence[Stretch]) -> None:
        arrivals = arrivals_of(stretches, self.rules.storefronts)
        also_lock: frozenset[UUID] = frozenset()
        one_by_one = False
        while True:
            try:
                async with transaction(self.engine) as connection:
                    if one_by_one:
                        arrivals = await self._take_each(connection, arrivals)
                    else:
                        await take_in(connection, arrivals.events, self.rules, self.namespaces, also_lock=also_lock)
                    await store.write_dead_letters(connection, arrivals.dead)
                    await self.offsets.advance(connection, stretches)
            except Grew as grew:
                also_lock |= grew.customers
            except DataError as error:
                if one_by_one:
                    raise
                log.warning("an event of the batch can't be stored; taking each by itself", why=repr(error.orig))
                one_by_one = True
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in BEGIN_AGAIN:
                    raise
            else:
                break
        for _, letter in arrivals.dead:
            DEAD_LETTERS.labels(letter.code).inc()

    async def _take_each(self, connection: AsyncConnection, arrivals: Arrivals) -> Arrivals:
        """The slow way, for a batch with something in it that Postgres refuses: that alone becomes a dead letter."""
        taken = Arrivals(dead=list(arrivals.dead))
        for arrival in arrivals.events:
            try:
                async with connection.begin_nested():
                    await take_in(connection, [arrival], self.rules, self.namespaces)
                taken.events.append(arrival)
            except DataError as error:
                taken.dead.append((arrival.place, _refused(arrival, error)))
        return taken


def _refused(arrival: Arrival, error: DataError) -> DeadLetter:
    event = arrival.entry.event
    return DeadLetter(
        storefront=event.storefront,
        code="unstorable",
        reason=str(error.orig).partition("\n")[0][:500],
        source=str(arrival.place),
        received_at=min(event.received_at, datetime.now(UTC)),
        raw=encode_event(event)[:MAX_RAW_BYTES],
    )
