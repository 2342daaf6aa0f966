"""The breaker as it stands now, shared by the calls and the drain."""

import asyncio

import structlog

from ingest import measures
from ingest.breaker import Breaker, Closed, Open, Way, way

log = structlog.get_logger()


class Switch:
    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self._moved = asyncio.Event()
        measures.breaker_open.set(not isinstance(breaker, Closed))

    async def way(self) -> Way:
        """Where a call goes. Waits while the last of the spool is on its way: no longer than one send's deadline."""
        while (found := way(self.breaker)) is Way.WAIT:
            await self._moved.wait()
        return found

    def move(self, to: Breaker, *, why: str = "") -> None:
        """Logged once for each time that Kafka goes away and comes back, not once a call."""
        was, self.breaker = self.breaker, to
        if isinstance(was, Closed) and isinstance(to, Open):
            log.warning("Kafka does not acknowledge; calls go to the spool", error=why)
        elif isinstance(to, Closed) and not isinstance(was, Closed):
            log.info("the spool is drained; calls go to Kafka")
        measures.breaker_open.set(not isinstance(to, Closed))
        self._moved.set()
        self._moved = asyncio.Event()
