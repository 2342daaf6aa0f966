"""From `storefront.products` to the notifier's own table: one transaction a batch, with the offsets in it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import catalogue_store, store
from notifier.metrics import INTAKE_RECORDS
from notifier.reading import Reader
from services.contracts.dead_letters import MAX_RAW_BYTES
from services.contracts.products import Product, ProductGone, decode_product, gone_of_key, key_of_product
from services.kafka import Feed, Stretch
from services.offsets import Offsets
from services.postgres import transaction

log = structlog.get_logger()

LONGEST_ID: Final = 500
"""Characters of an id: an index key in Postgres has to stay below 2,700 bytes."""


def read(records: Iterable[Any], now: datetime) -> tuple[list[Product | ProductGone], list[dict[str, Any]]]:
    """What they say of products, in their order, and what can't be understood."""
    said: list[Product | ProductGone] = []
    dead: list[dict[str, Any]] = []
    for record in records:
        try:
            said.append(_said(record))
        except (msgspec.DecodeError, ValueError) as error:
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.warning("a record can't be read", **place, error=str(error))
            value = (record.value or b"")[:MAX_RAW_BYTES]
            dead.append({**place, "reason": str(error), "value": value, "received_at": now})
    return said, dead


def _said(record: Any) -> Product | ProductGone:  # noqa: ANN401  aiokafka's record
    key = record.key or b""
    if record.value is None:
        return gone_of_key(key)
    product = decode_product(record.value)
    if key_of_product(product) != key:
        raise ValueError("its key is another product's")
    store.check_text(record.value)
    named = [
        product.product_id,
        product.sku or "",
        *(text for one in product.variants for text in (one.id, one.sku or "")),
    ]
    if any(len(text) > LONGEST_ID for text in (product.storefront, product.variant or "", *named)):
        raise ValueError(f"an id has over {LONGEST_ID} characters")
    return product


class CatalogueIntake:
    def __init__(self, feed: Feed, offsets: Offsets, engine: AsyncEngine, clock: Callable[[], datetime]) -> None:
        self._offsets = offsets
        self._engine = engine
        self._clock = clock
        self._reader = Reader(feed, self._take)

    async def step(self) -> bool:
        return await self._reader.step()

    async def _take(self, stretches: Sequence[Stretch]) -> None:
        said, dead = read((record for stretch in stretches for record in stretch.records), self._clock())
        async with transaction(self._engine) as connection:
            await self._offsets.advance(connection, stretches)
            await catalogue_store.save(connection, said)
            if dead:
                await store.keep_dead_letters(connection, dead)
        for one in said:
            INTAKE_RECORDS.labels("product_gone" if isinstance(one, ProductGone) else "product").inc()
        INTAKE_RECORDS.labels("dead_letter").inc(len(dead))
