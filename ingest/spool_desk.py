"""`stagepost spool list | drain`: what lies in a state folder's spools, and away with it before the machine goes."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ingest.lasting import SPOOL, held, owing
from ingest.orphans import settle
from ingest.settings import SpoolSettings
from ingest.spool import peek
from services.errors import ConfigurationError, Unreachable
from services.kafka import Sender, SendFailed, SendUnknown, check_topics
from services.settings import KafkaSettings


def listed(folder: Path) -> list[str]:
    """A line for each spool. Raises ConfigurationError."""
    lines = []
    for place in _owing(folder):
        with held(place) as holding:
            by = "held by a running ingest" if holding is None else "free"
        contents = peek(place / SPOOL)
        since = f", since {contents.oldest:%Y-%m-%dT%H:%M:%SZ}" if contents.oldest else ""
        lines.append(f"{place.name}: {contents.records} records, {contents.bytes} bytes{since}; {by}")
    return lines


async def drain(folder: Path, kafka: KafkaSettings, clock: Callable[[], datetime], say: Callable[[str], None]) -> None:
    """Raises ConfigurationError, and Unreachable when Kafka has not taken all of it."""
    places = _owing(folder)
    await check_topics(kafka)
    sender = Sender(kafka, client_id="stagepost-spool-drain")
    left = 0
    try:
        for place in places:
            with held(place) as holding:
                if holding is None:
                    say(f"{place.name}: held by a running ingest, which drains it itself; stop that first")
                    left += 1
                    continue
                count = await settle(holding, sender, sender, SpoolSettings(), clock)
                say(f"{place.name}: {count} records are on Kafka; it owes nothing any more")
    except (SendFailed, SendUnknown) as error:
        raise Unreachable(f"Kafka has not taken all of it; the rest is still there: {error}") from None
    finally:
        await sender.stop()
    if left:
        raise ConfigurationError(f"{left} of {len(places)} spools are held by running processes")
    if not places:
        say("no spool is here: nothing is owed")


def _owing(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder; name an ingest's STAGEPOST_STATE_FOLDER")
    return owing(folder)
