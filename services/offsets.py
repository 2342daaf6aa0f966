"""Kafka offsets in Postgres: they advance in the transaction that stores the effects, and fence off zombies."""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from aiokafka import TopicPartition
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.errors import Fenced
from services.kafka import Stretch


def offsets_table(metadata: sa.MetaData, schema: str) -> sa.Table:
    """`next_offset` is the first that is not yet read."""
    return sa.Table(
        "offsets",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        schema=schema,
    )


class Offsets:
    """The offsets of one consumer, in its own schema's table."""

    def __init__(self, engine: AsyncEngine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table

    async def load(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The stored offsets; a partition that was never read is absent."""
        async with self._engine.connect() as connection:
            found = await stored(connection, self._table)
        return {partition: offset for partition, offset in found.items() if partition in partitions}

    async def advance(self, connection: AsyncConnection, stretches: Sequence[Stretch]) -> None:
        """Part of the caller's transaction. Raises Fenced when another process has moved one of the offsets.

        In sorted order, so that two processes that dispute several partitions wait for each other and never deadlock.
        """
        table = self._table
        for stretch in sorted(stretches, key=lambda s: s.partition):
            topic, partition = stretch.partition
            moved = await connection.execute(
                sa.update(table)
                .where(
                    table.c.topic == topic,
                    table.c.partition == partition,
                    table.c.next_offset == stretch.start,
                )
                .values(next_offset=stretch.end)
            )
            if moved.rowcount == 1:
                continue
            first_time = insert(table).values(topic=topic, partition=partition, next_offset=stretch.end)
            made = await connection.execute(first_time.on_conflict_do_nothing())
            if made.rowcount != 1:
                raise Fenced(f"{topic}[{partition}] no longer stands at {stretch.start}")


async def stored(connection: AsyncConnection, table: sa.Table) -> dict[TopicPartition, int]:
    found = await connection.execute(sa.select(table.c.topic, table.c.partition, table.c.next_offset))
    return {TopicPartition(topic, partition): offset for topic, partition, offset in found}
