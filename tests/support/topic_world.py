"""The engine's stream in tests: changes made as an engine makes them, and what then stands on the topics."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.changes import ChangeType, CustomerUpdated, Profile
from services.contracts.topics import TOPICS
from services.postgres import transaction
from services.settings import KafkaSettings
from stage_engine import tables
from stage_engine.outbox import post
from stage_engine.state import EMPTY, encode_state


@dataclass(frozen=True)
class Found:
    """A record as it stands on a topic. `said` is None for a tombstone."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int

    @property
    def said(self) -> Any:  # noqa: ANN401  any JSON
        return None if self.value is None else msgspec.json.decode(self.value)


async def changed_by_an_engine(
    engine: AsyncEngine, customer: UUID, times: int = 1, *, part_of: UUID | None = None
) -> None:
    """The customer's row and the outbox in one transaction. `part_of` joins it into another."""
    c = tables.customers.c
    async with transaction(engine) as connection:
        row = {"id": customer, "storefront": "shop", "root": customer, "state": encode_state(EMPTY)}
        await connection.execute(insert(tables.customers).values(**row).on_conflict_do_nothing())
        end = {"customer_id": part_of or customer}
        identity = insert(tables.identities).values(id=customer, storefront="shop", kind=1, value=str(customer), **end)
        await connection.execute(identity.on_conflict_do_update(index_elements=["id"], set_=end))
        raised = sa.update(tables.customers).where(c.id == customer).values(sequence=c.sequence + times)
        sequence = int(await connection.scalar(raised.returning(c.sequence)) or 0)
        said = [
            CustomerUpdated(storefront="shop", customer_id=customer, sequence=number, profile=Profile())
            for number in range(sequence - times + 1, sequence + 1)
        ]
        await post(connection, [(ChangeType.CUSTOMER_UPDATED, change) for change in said])


async def records_of(kafka: KafkaSettings, topic: str, customer: UUID) -> list[Found]:
    """All of this customer's that stands on the topic now."""
    partitions = [TopicPartition(topic, number) for t in TOPICS if t.name == topic for number in range(t.partitions)]
    consumer = AIOKafkaConsumer(**kafka.client_options(), auto_offset_reset="earliest")
    await consumer.start()
    found: list[Found] = []
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for read in (await consumer.getmany(timeout_ms=500)).values():
                    found += [Found(r.key, r.value, list(r.headers), r.partition) for r in read]
    finally:
        await consumer.stop()
    return [record for record in found if record.key == str(customer).encode()]
