"""How a topic is read into Postgres: a poll, a transaction, and again from the stored offsets whatever goes wrong."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from aiokafka.errors import KafkaError

from notifier.store import UNAVAILABLE
from services.errors import Fenced
from services.kafka import Feed, Stretch

log = structlog.get_logger()

POLL: Final = timedelta(milliseconds=500)


@dataclass(slots=True)
class Reader:
    """`take` stores what a poll brought, with the offsets that it came to, or raises and has stored nothing."""

    feed: Feed
    take: Callable[[Sequence[Stretch]], Awaitable[None]]
    _astray: bool = False

    async def step(self) -> bool:
        """False when the stores were away: then it is worth waiting before the next."""
        try:
            if self._astray:
                await self.feed.rewind()
                self._astray = False
            stretches = await self.feed.next(POLL)
            if stretches:
                await self.take(stretches)
                await self.feed.report(stretches)
        except Fenced as fenced:
            log.info("another process reads on", reason=str(fenced))
            self._astray = True
        except sa.exc.ProgrammingError:
            raise
        except (*UNAVAILABLE, KafkaError) as error:
            log.warning("reading will be tried again", error=repr(error))
            self._astray = True
            return False
        return True
