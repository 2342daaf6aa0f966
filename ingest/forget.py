"""Takes leave in the name of an ingest that is gone for good and can't do so itself: its machine or folder is lost."""

from datetime import timedelta

import structlog
from aiokafka.errors import KafkaError

from services.compacted import Compacted
from services.contracts.progress import IngestId, ingest_of, key_of
from services.contracts.topics import PROGRESS
from services.errors import ConfigurationError, Unreachable
from services.kafka import Record, Sender, SendFailed, SendUnknown, check_topics
from services.settings import KafkaSettings

log = structlog.get_logger()


async def forget(ingest: IngestId, settings: KafkaSettings) -> None:
    """Raises ConfigurationError when no ingest of this id is waited for, Unreachable when Kafka does not take it."""
    await check_topics(settings)
    reporting = await _reporting(settings)
    if ingest not in reporting:
        raise ConfigurationError(
            f"no ingest {ingest} is waited for; these are: {', '.join(sorted(reporting)) or 'none'}"
        )
    sender = Sender(settings, client_id="stagepost-forget-ingest")
    try:
        tombstone = Record(topic=PROGRESS, key=key_of(ingest), value=None)
        await sender.send([tombstone], deadline=timedelta(seconds=30))
    except (SendFailed, SendUnknown) as error:
        raise Unreachable(f"Kafka has not taken it: {error}") from None
    finally:
        await sender.stop()
    log.info("is waited for no more", ingest=ingest)


async def _reporting(settings: KafkaSettings) -> set[IngestId]:
    progress = Compacted(settings, PROGRESS, client_id="stagepost-forget-ingest")
    try:
        await progress.start()
        news = await progress.read_on()
    except (KafkaError, OSError) as error:
        raise Unreachable(f"Kafka at {settings.bootstrap_servers} can't be read: {error!r}") from None
    finally:
        await progress.stop()
    last = {ingest_of(record.key): record.value for record in news.records}
    return {ingest for ingest, value in last.items() if value is not None}
