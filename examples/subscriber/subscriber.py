"""Keeps a table of where every customer of a shop stands, in SQLite, as Stagepost tells it.

It may be killed at any time, Stagepost may say things twice, and some may be missed: the table comes out right. What
belongs together is written in one transaction: rows, each customer's sequence, and how far the topic is read.
"""

import asyncio
import json
import os
import sys
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from table import Table

CHANGES, STAGES = "customer.stage-changes", "customer.stages"


class BeginAnew(Exception):
    """The engine's database was restored to an earlier time: sequences that we know are given out again."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"a new epoch: {epoch}")
        self.epoch = epoch


class Subscriber:
    def __init__(self, table: Table, kafka: str, engine: str, operator_key: str) -> None:
        self.table = table
        self.engine = engine
        self.kafka = kafka
        self.partitions: dict[str, list[TopicPartition]] = {}
        self.headers = {"Authorization": f"Bearer {operator_key}"}
        self.consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="none")

    async def run(self) -> None:
        async with AIOKafkaConsumer(CHANGES, STAGES, bootstrap_servers=self.kafka) as asked:
            for topic in (CHANGES, STAGES):
                numbers = sorted(asked.partitions_for_topic(topic))
                self.partitions[topic] = [TopicPartition(topic, number) for number in numbers]
        await self.consumer.start()
        epoch = None if self.table.epoch else 1
        while True:
            try:
                if epoch is not None:
                    await self.begin(epoch)
                await self.follow()
            except BeginAnew as anew:
                epoch = anew.epoch
            except OffsetOutOfRangeError:  # we were away for longer than the topic keeps
                epoch = self.table.epoch

    async def begin(self, epoch: int) -> None:
        """From where everyone stands now. Where the changes end is noted first: what comes after can only be newer."""
        ends = await self.consumer.end_offsets(self.partitions[CHANGES])
        newest: dict[bytes, Any] = {}
        partitions = self.partitions[STAGES]
        self.consumer.assign(partitions)
        await self.consumer.seek_to_beginning(*partitions)
        for partition, end in (await self.consumer.end_offsets(partitions)).items():
            while await self.consumer.position(partition) < end:
                for records in (await self.consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        if record.key not in newest or age_of(record) >= age_of(newest[record.key]):
                            newest[record.key] = record
        epoch = max([epoch, *(age_of(record)[0] for record in newest.values())])
        with self.table.db:
            self.table.begin(epoch)
            for key, record in newest.items():
                its_epoch, sequence = age_of(record)
                if its_epoch == epoch:
                    rows = json.loads(record.value)["table"] if record.value else []  # none: part of another by now
                    self.table.replace(key.decode(), sequence, rows)
            self.table.read_up_to((partition.partition, end) for partition, end in ends.items())

    async def follow(self) -> None:
        self.consumer.assign(self.partitions[CHANGES])
        for number, position in self.table.positions().items():
            self.consumer.seek(TopicPartition(CHANGES, number), position)
        while True:
            for partition, records in (await self.consumer.getmany(timeout_ms=1000)).items():
                with self.table.db:
                    for record in records:
                        await self.take(record)
                    self.table.read_up_to([(partition.partition, records[-1].offset + 1)])

    async def take(self, record: Any) -> None:  # noqa: ANN401  aiokafka has no types
        headers = {name: value.decode() for name, value in record.headers}
        epoch, kind = int(headers["ce_streamepoch"]), headers["ce_type"]
        if epoch > self.table.epoch:
            raise BeginAnew(epoch)
        if epoch < self.table.epoch or kind == "known.until":
            return
        change = json.loads(record.value)
        while (held := self.table.sequence(change["customer_id"])) < change["sequence"]:  # else it is a repeat
            if change["sequence"] == held + 1 or "table" in change:
                self.table.apply(kind, change)
            else:
                await self.read_again(change["customer_id"], held)

    async def read_again(self, customer: str, held: int) -> None:
        """What we missed of this customer; where it stands, if that is not kept any more."""
        url = f"{self.engine}/v1/customers/{customer}/changes"
        async with aiohttp.ClientSession(headers=self.headers) as http:
            status, answer = 0, {}
            while status not in (200, 410):
                try:
                    async with http.get(url, params={"after": held}) as response:
                        status, answer = response.status, await response.json()
                except aiohttp.ClientError:
                    await asyncio.sleep(1)
        if answer["epoch"] != self.table.epoch:
            raise BeginAnew(answer["epoch"])
        if status == 410:  # noqa: PLR2004  gone
            self.table.replace(customer, answer["snapshot"]["sequence"], answer["snapshot"]["table"])
        else:
            for event in answer["changes"]:
                self.table.apply(event["type"], event["data"])


def age_of(record: Any) -> tuple[int, int]:  # noqa: ANN401  aiokafka has no types
    """Epoch and sequence, by the headers alone: a tombstone has no value."""
    headers = {name: value.decode() for name, value in record.headers}
    return int(headers["ce_streamepoch"]), int(headers["ce_id"].rpartition("/")[2])


async def main() -> None:
    there = (os.environ[name] for name in ("KAFKA", "ENGINE", "OPERATOR_KEY"))
    await Subscriber(Table(sys.argv[1]), *there).run()


if __name__ == "__main__":
    asyncio.run(main())
