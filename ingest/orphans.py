"""What is left by ingest processes that did not come back: their spools are drained, and leave is taken for them.

Until then the last that each reported holds the watermark, so nothing that lies there is passed over.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from ingest.breaker import Closed
from ingest.drain import pass_on
from ingest.lasting import Holding, held, owing
from ingest.progress import InFlight, Reporter
from ingest.settings import SpoolSettings
from ingest.spool import Spool
from ingest.switch import Switch
from services.contracts.progress import REPORTED_EVERY
from services.errors import ConfigurationError
from services.kafka import Sender, SendFailed, SendUnknown

log = structlog.get_logger()

LOOKED_FOR_EVERY = 5.0
"""Seconds: longer than a supervisor takes to start a process again, so that it finds its own id mostly."""
_LEAVING = timedelta(seconds=10)


async def settle(
    holding: Holding, sender: Sender, reports: Sender, settings: SpoolSettings, clock: Callable[[], datetime]
) -> int:
    """Drains an id's spool, takes leave under the id and removes the file. How many records it were.

    Raises SendFailed or SendUnknown when Kafka does not take them, ConfigurationError for a file that can't be opened;
    what was not acknowledged is still there then.
    """
    spool = Spool(holding.spool, settings)
    reporter = Reporter(holding.ingest, reports, InFlight(lambda: spool.oldest), clock)
    count, reported_at = 0, None
    try:
        while spool.left:
            now = clock()
            if reported_at is None or now - reported_at > timedelta(seconds=REPORTED_EVERY):
                reported_at = now
                await reporter.step()
            count += await pass_on(spool, sender, now)
        await spool.remove_sent()
        await spool.set_reported(False)
        has_left = await reporter.leave(within=_LEAVING)
    except sqlite3.Error as error:
        await spool.close()
        raise ConfigurationError(f"the spool {spool.path.absolute()} can't be used: {error}") from None
    except BaseException:
        await spool.close()
        raise
    if not has_left:
        await spool.close()
        raise SendFailed("its leave could not be taken")
    await spool.discard()
    return count


class Orphans:
    """Looks for them from time to time, while Kafka takes what it is given."""

    def __init__(
        self,
        folder: Path,
        *,
        sender: Sender,
        reports: Sender,
        settings: SpoolSettings,
        switch: Switch,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._sender = sender
        self._reports = reports
        self._settings = settings
        self._switch = switch
        self._clock = clock
        self._given_up: set[Path] = set()

    async def step(self) -> bool:
        try:
            await self._look()
        except OSError as error:  # a folder of another user's, or one that is gone: no reason to take no more calls
            log.warning("the state folder can't be looked through for orphans", error=str(error))
        return False

    async def _look(self) -> None:
        for place in owing(self._folder):
            if place in self._given_up or not isinstance(self._switch.breaker, Closed):
                continue
            with held(place) as holding:
                if holding is None or not holding.spool.exists():  # settled by another meanwhile
                    continue
                await self._settle(holding)

    async def _settle(self, holding: Holding) -> None:
        log.info("settles for an ingest that did not come back", ingest=holding.ingest)
        try:
            count = await settle(holding, self._sender, self._reports, self._settings, self._clock)
        except (SendFailed, SendUnknown) as error:
            log.warning("could not settle for it yet", ingest=holding.ingest, error=str(error))
        except ConfigurationError as error:
            self._given_up.add(holding.folder)
            # Without its trace: what SQLite says of the file is all there is to it.
            log.error("can't settle for it", ingest=holding.ingest, error=str(error))  # noqa: TRY400
        else:
            log.info("has settled for it", ingest=holding.ingest, records=count)
