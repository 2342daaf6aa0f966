"""Keeps the write keys as `storefront.keys` has them: what is made or revoked there works within seconds."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiokafka.errors import KafkaError

from ingest.key_cache import read_cache, write_cache
from ingest.storefronts import Keys
from services.compacted import Compacted, News
from services.contracts.keys import WriteKey, decode_key
from services.contracts.topics import KEYS
from services.settings import KafkaSettings

log = structlog.get_logger()

LOOKED_AT_EVERY: Final = 1.0
"""Seconds between two looks at the topic."""


class KeyFollower:
    """Puts what it hears into `keys`, and begins with what the last run heard."""

    def __init__(self, keys: Keys, settings: KafkaSettings, folder: Path, heard: Callable[[], None]) -> None:
        """`heard` is called whenever the topic was read to its end."""
        self._keys = keys
        self._settings = settings
        self._folder = folder
        self._heard = heard
        self._known = {key.prefix: key for key in read_cache(folder)}
        self._topic: Compacted | None = None
        self._failing = False
        keys.put(self._known.values())

    async def step(self) -> bool:
        """One look; there is never more to do at once."""
        try:
            news = await self._read()
        except (KafkaError, OSError) as error:
            if not self._failing:
                self._failing = True
                log.warning("the write keys can't be followed; those known stay as they are", error=repr(error))
            return False
        self._failing = False
        first = not self._keys.sure
        changed = self._take(news)
        if changed or first:
            self._keys.put(self._known.values(), sure=True)
            if not self._keys:
                log.warning(
                    "no write key is in force: every call is answered 401; make one with "
                    "`stagepost keys create STOREFRONT --kind server`"
                )
        if changed:
            log.info("the write keys have changed", known=len(self._known))
            await self._store()
        self._heard()
        return False

    async def stop(self) -> None:
        topic, self._topic = self._topic, None
        if topic is not None:
            await topic.stop()

    async def _read(self) -> News:
        if self._topic is None:
            topic = Compacted(self._settings, KEYS, client_id="stagepost-ingest-keys")
            try:
                await topic.start()
            except BaseException:
                await topic.stop()
                raise
            self._topic = topic
        return await self._topic.read_on()

    def _take(self, news: News) -> bool:
        """Whether anything is other than it was. What the topic has no more is not forgotten: it never revokes so."""
        if news.anew and not news.records and self._known:
            log.error("storefront.keys has lost its keys; going on with those known here", known=len(self._known))
        before = dict(self._known)
        for key in keys_in(news.records):
            self._known[key.prefix] = key
        return self._known != before

    async def _store(self) -> None:
        try:
            await asyncio.to_thread(write_cache, self._folder, list(self._known.values()))
        except OSError as error:
            log.warning("the write keys can't be kept for a start without Kafka", error=str(error))


def keys_in(records: Iterable[object]) -> Iterable[WriteKey]:
    """The keys in these records, oldest first; what is none is passed over, and said."""
    for record in records:
        value: bytes | None = getattr(record, "value", None)
        try:
            yield decode_key(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("a record of storefront.keys can't be read", error=str(error))
