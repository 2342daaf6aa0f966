"""examples/subscriber against a real stack: whatever is killed or missed, its table comes to be the engine's."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import asyncpg
import httpx
import pytest
from visiting import FERN, Visit

from migrations.restored import begin_epoch, write_standings
from services.kafka import Sender
from services.postgres import create_engine
from services.settings import KafkaSettings, PostgresSettings

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
Standing = set[tuple[str, str, str, str, str, str]]
"""Customer, instance, track, key, stage, since."""

PROGRAM = Path(__file__).parents[2] / "examples" / "subscriber" / "subscriber.py"


@pytest.fixture(scope="module")
def stack_of_ours(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack of our own, since the engine is killed."""
    stack = start_stack("--restart", "--free-ports", "--only", "postgres,kafka,ingest,stage_engine")
    stack.wait()
    yield stack
    stack.stop()


@dataclass
class Subscriber:
    """The example, started and killed as a program."""

    endpoints: dict[str, str]
    path: Path
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        there = {"KAFKA": "kafka", "ENGINE": "stage_engine", "OPERATOR_KEY": "operator_key"}
        with self.log.open("ab") as log:
            made = subprocess.Popen(
                [sys.executable, PROGRAM, self.path],
                env={**os.environ, **{name: self.endpoints[where] for name, where in there.items()}},
                stderr=log,
            )
        self.processes.append(made)

    def kill(self) -> None:
        process = self.processes[-1]
        assert process.poll() is None, self.log.read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def table(self) -> Standing:
        try:
            return set(self.query("SELECT customer, instance, track, key, stage, since FROM stages"))
        except sqlite3.OperationalError:  # it has only just been started
            return set()

    def query(self, statement: str, *parameters: object) -> list[Any]:
        with sqlite3.connect(self.path, timeout=10) as db:
            found = db.execute(statement, parameters).fetchall()
        db.close()
        return found


@pytest.fixture
def subscriber(stack_of_ours: Stack, tmp_path: Path) -> Iterator[Subscriber]:
    made = Subscriber(stack_of_ours.endpoints, tmp_path / "stages.db", tmp_path / "log")
    yield made
    made.stop()


@pytest.fixture
def engines_table(stack_of_ours: Stack, http: httpx.AsyncClient) -> Callable[[], Awaitable[Standing]]:
    async def table() -> Standing:
        found: Standing = set()
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            answer = await http.get(
                f"{stack_of_ours.endpoints['stage_engine']}/v1/standings",
                params={"limit": 50} | ({"after": page["next"]} if page["next"] else {}),
                headers={"Authorization": f"Bearer {stack_of_ours.endpoints['operator_key']}"},
            )
            page = answer.json()
            for standing in page["standings"]:
                for row in standing["table"]:
                    stands = tuple(row[name] for name in ("instance", "track", "key", "stage", "since"))
                    found.add((standing["customer_id"], *stands))
        return found

    return table


class Counted(Visit):
    """A visit whose events are counted, so that a test can wait until the engine has taken all of them in."""

    posted: ClassVar[int] = 0

    async def post(self, name: str, /, **fields: Any) -> None:  # noqa: ANN401  any JSON
        await super().post(name, **fields)
        Counted.posted += 1


@dataclass
class Shoppers:
    http: httpx.AsyncClient
    endpoints: dict[str, str]

    async def journey(self) -> Visit:
        """A device that views, then logs in and joins its history to the account, fills a cart, and perhaps buys."""
        visit = Counted(self.http, self.endpoints)
        device = f"device-{visit.run}"
        await visit.post("Product Viewed", user_id=None, anonymous_id=device, properties={"product_id": "fern"})
        await visit.post("Customer Identified", anonymous_id=device, email=visit.email)
        await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})
        if int(visit.run, 16) % 2:
            await visit.post("Order Completed", properties={"order_id": f"o-{visit.run}", "total": 10})
        return visit


@pytest.fixture
def shoppers(stack_of_ours: Stack, http: httpx.AsyncClient) -> Shoppers:
    return Shoppers(http, stack_of_ours.endpoints)


SETTLED = """
    SELECT (SELECT count(*) FROM reporting.events) >= $1
       AND NOT EXISTS (SELECT FROM engine.customers WHERE waits_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM engine.outbox WHERE NOT published)
"""


@pytest.fixture
def agrees(
    stack_of_ours: Stack,
    subscriber: Subscriber,
    engines_table: Callable[[], Awaitable[Standing]],
    eventually: Eventually,
) -> Callable[[], Awaitable[None]]:
    """Waits until all that was posted is taken in and published, and both tables are the same."""

    async def settled() -> bool:
        return bool(await asked_of_postgres(stack_of_ours, SETTLED, Counted.posted))

    async def wait() -> None:
        await eventually(settled, within=90)
        seen: dict[str, Standing] = {"engine": set(), "subscriber": set()}

        async def same() -> bool:
            try:
                seen["engine"] = await engines_table()
            except httpx.TransportError:  # it was killed and comes back
                return False
            seen["subscriber"] = subscriber.table()
            return bool(seen["engine"]) and seen["subscriber"] == seen["engine"]

        try:
            await eventually(same, within=90)
        except TimeoutError:
            only = {name: sorted(rows - seen[other]) for name, other, rows in sides(seen)}
            pytest.fail(f"{len(seen['engine'])} rows in the engine; {only}; it said: {subscriber.log.read_text()}")

    return wait


async def test_killed_again_and_again_beside_a_killed_engine_its_table_is_the_engines(
    stack_of_ours: Stack, subscriber: Subscriber, shoppers: Shoppers, agrees: Callable[[], Awaitable[None]]
) -> None:
    subscriber.start()
    for number in range(4):
        journeys = [asyncio.create_task(shoppers.journey()) for _ in range(8)]
        if number % 2:
            stack_of_ours.kill("stage_engine")
        subscriber.kill()
        subscriber.start()
        await asyncio.gather(*journeys)
        subscriber.kill()
        await shoppers.journey()
        subscriber.start()
    await agrees()


async def test_one_that_begins_late_has_the_same_table(
    subscriber: Subscriber, shoppers: Shoppers, agrees: Callable[[], Awaitable[None]]
) -> None:
    await asyncio.gather(*(shoppers.journey() for _ in range(5)))
    subscriber.start()
    await agrees()
    await shoppers.journey()
    await agrees()


@pytest.mark.parametrize("kept", [True, False], ids=["still kept", "gone"])
async def test_what_it_missed_it_reads_again_over_http(
    stack_of_ours: Stack,
    subscriber: Subscriber,
    shoppers: Shoppers,
    agrees: Callable[[], Awaitable[None]],
    eventually: Eventually,
    kept: bool,  # noqa: FBT001  a parameter
) -> None:
    visit = await shoppers.journey()
    subscriber.start()

    async def nobody_else_moves() -> bool:
        """What is skipped below of others, whose carts are abandoned meanwhile, no gap of theirs would tell."""
        soon = "SELECT count(*) FROM engine.customers WHERE next_wake < now() + interval '10 minutes'"
        return await asked_of_postgres(stack_of_ours, soon) == 0

    await eventually(nobody_else_moves)
    await agrees()
    (customer,) = await visit.customers()
    held = customer["sequence"]

    async def has_it_all() -> bool:
        return subscriber.query("SELECT sequence FROM customers WHERE customer = ?", customer["id"]) == [(held,)]

    await eventually(has_it_all)
    subscriber.kill()
    await visit.post("Order Completed", properties={"order_id": uuid.uuid4().hex, "total": 5})

    async def published() -> bool:
        query = "SELECT max(sequence) FROM engine.outbox WHERE published AND customer_id = $1"
        return bool(await asked_of_postgres(stack_of_ours, query, uuid.UUID(customer["id"])) > held)

    await eventually(published)
    # As though the topic had lost what was said meanwhile: it reads on behind it, and meets a gap.
    for number, end in (await topic_ends(stack_of_ours)).items():
        subscriber.query("UPDATE positions SET next = ? WHERE partition = ?", end, number)
    if not kept:
        await asked_of_postgres(stack_of_ours, "DELETE FROM engine.outbox WHERE published")
    subscriber.start()
    await visit.post("Order Completed", properties={"order_id": uuid.uuid4().hex, "total": 5})
    await agrees()


async def test_away_for_longer_than_the_topic_keeps_it_begins_anew(
    subscriber: Subscriber, shoppers: Shoppers, agrees: Callable[[], Awaitable[None]]
) -> None:
    await shoppers.journey()
    subscriber.start()
    await agrees()
    subscriber.kill()
    subscriber.query("UPDATE positions SET next = next + 1000000")
    subscriber.query("DELETE FROM stages")
    subscriber.start()
    await agrees()


async def test_a_restored_database_makes_it_begin_anew(
    stack_of_ours: Stack, subscriber: Subscriber, shoppers: Shoppers, agrees: Callable[[], Awaitable[None]]
) -> None:
    visit = await shoppers.journey()
    subscriber.start()
    await agrees()
    (customer,) = await visit.customers()
    # As it is after a restore: it knows a sequence that the engine has not come to yet.
    subscriber.query("UPDATE customers SET sequence = sequence + 50 WHERE customer = ?", customer["id"])
    engine = create_engine(PostgresSettings(dsn=stack_of_ours.endpoints["postgres"]), application="test")
    sender = Sender(KafkaSettings(bootstrap_servers=stack_of_ours.endpoints["kafka"]), client_id="test")
    now = datetime.now(UTC)
    begun = await begin_epoch(engine, now)
    await write_standings(engine, sender, begun.epoch, now)
    await sender.stop()
    await engine.dispose()
    await visit.post("Order Completed", properties={"order_id": uuid.uuid4().hex, "total": 5})
    await agrees()
    assert subscriber.query("SELECT epoch FROM stream") == [(begun.epoch,)]


def sides(seen: dict[str, Standing]) -> list[tuple[str, str, Standing]]:
    return [("engine", "subscriber", seen["engine"]), ("subscriber", "engine", seen["subscriber"])]


async def asked_of_postgres(stack: Stack, query: str, *parameters: object) -> Any:  # noqa: ANN401  whatever is asked
    connection = await asyncpg.connect(stack.endpoints["postgres"])
    try:
        return await connection.fetchval(query, *parameters)
    finally:
        await connection.close()


async def topic_ends(stack: Stack) -> dict[int, int]:
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415

    consumer = AIOKafkaConsumer(bootstrap_servers=stack.endpoints["kafka"])
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition("customer.stage-changes", number) for number in range(6)])
    finally:
        await consumer.stop()
    return {partition.partition: end for partition, end in ends.items()}
