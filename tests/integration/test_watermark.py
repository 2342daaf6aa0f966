"""The watermark with real processes: what an ingest holds, holds every due time; ids outlast their processes."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import httpx
import pytest
from visiting import FERN, Visit

from ingest.breaker import Closed
from ingest.drain import Drainer
from ingest.progress import InFlight, Reporter
from ingest.publish import Publisher
from ingest.settings import PublishSettings, SpoolSettings
from ingest.spool import Spool
from ingest.switch import Switch
from services.compacted import Compacted
from services.contracts.events import Event, SaidBy, encode_event, record_key
from services.contracts.identity import Who
from services.contracts.progress import IngestId, Settled, encode_settled, ingest_of, key_of
from services.contracts.topics import DEAD_LETTERS, EVENTS, PROGRESS
from services.kafka import Record, Sender
from services.settings import KafkaSettings

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
Eventually = Callable[..., Awaitable[None]]

SILENT_AFTER = 20
"""Seconds; far more than the tests stop an ingest for."""
ABANDONED_AFTER = timedelta(seconds=2)
"""As the tests' shop has it."""
ACK_DEADLINE = timedelta(seconds=5)
"""Ingest's own."""


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack of our own, since its parts are stopped and killed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STAGEPOST_SILENT_AFTER", f"{SILENT_AFTER}s")
        stack = start_stack("--only", "postgres,kafka,ingest,stage_engine", "--restart", "--free-ports")
        stack.wait()
    yield stack
    stack.stop()


@pytest.fixture
def kafka(ground: Stack) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=ground.endpoints["kafka"])


@pytest.fixture
async def sender(kafka: KafkaSettings) -> AsyncIterator[Sender]:
    sender = Sender(kafka, client_id="test")
    await sender.start()
    yield sender
    await sender.stop()


@pytest.fixture
async def database(ground: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(ground.endpoints["postgres"])
    yield connection
    await connection.close()


async def all_of(kafka: KafkaSettings, topic: str) -> Sequence[Any]:
    """All records of a topic with one partition."""
    reading = Compacted(kafka, topic, client_id="test")
    await reading.start()
    try:
        return (await reading.read_on()).records
    finally:
        await reading.stop()


async def reports(kafka: KafkaSettings) -> list[tuple[IngestId, bool]]:
    """Who reported, in order, and whether it stayed."""
    return [(ingest_of(record.key), record.value is not None) for record in await all_of(kafka, PROGRESS)]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def watermark(database: asyncpg.Connection) -> datetime:
    at: datetime | None = await database.fetchval("SELECT at FROM engine.watermark")
    return at or datetime.fromtimestamp(0, UTC)


async def risen_to(database: asyncpg.Connection, at: datetime) -> bool:
    return await watermark(database) >= at


async def metric(http: httpx.AsyncClient, ground: Stack, name: str) -> float:
    text = (await http.get(f"{ground.endpoints['stage_engine']}/metrics")).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_all_is_well_the_watermark_trails_by_no_more_than_two_seconds(
    database: asyncpg.Connection, eventually: Eventually
) -> None:
    async def is_near() -> bool:
        return datetime.now(UTC) - await watermark(database) < timedelta(seconds=2)

    for _ in range(5):
        now = datetime.now(UTC)
        await eventually(is_near)
        await eventually(lambda now=now: risen_to(database, now))


async def test_an_ingest_that_stands_still_with_an_order_in_flight_holds_every_due_time(
    ground: Stack, http: httpx.AsyncClient, sender: Sender, database: asyncpg.Connection, eventually: Eventually
) -> None:
    """Its order may be anywhere between the shop and the topic; meanwhile two carts fall due."""
    buyer, browser = Visit(http, ground.endpoints), Visit(http, ground.endpoints)
    for visitor in (buyer, browser):
        await visitor.post("Product Added", properties={"cart_id": f"cart-{visitor.user}", **FERN})
    before_the_order = datetime.now(UTC)
    order = {"id": uuid4().hex, "name": "Order Completed", "user_id": buyer.user, "properties": {"order_id": "o1"}}
    with stopped(ground.pid("kafka")):
        answer = await http.post(
            f"{ground.endpoints['ingest']}/v1/events",
            json=order,
            headers={"X-Write-Key": ground.endpoints["write_key"]},
        )
        assert answer.status_code == 200  # it lies in the spool, and perhaps on the wire
        long_received = datetime.now(UTC) - ACK_DEADLINE + timedelta(seconds=1)
        os.kill(ground.pid("ingest"), signal.SIGSTOP)
    try:
        seen = uuid4().hex
        await put_on_the_topic(sender, seen)
        await eventually(lambda: is_stored(database, seen), within=60)  # Kafka answers and the engine reads
        await eventually(lambda: stands(browser, "active"))
        assert datetime.now(UTC) > before_the_order + ABANDONED_AFTER
        assert await watermark(database) < long_received
        assert await browser.stage("cart") == "active"
        assert await buyer.stage("cart") != "abandoned"
    finally:
        os.kill(ground.pid("ingest"), signal.SIGCONT)

    await eventually(lambda: stands(browser, "abandoned"), within=60)
    await eventually(lambda: stands(buyer, "ordered"), within=60)
    assert await announced(database, browser, "abandoned")
    assert not await announced(database, buyer, "abandoned")


async def stands(visitor: Visit, stage: str) -> bool:
    return await visitor.stage("cart") == stage


async def announced(database: asyncpg.Connection, visitor: Visit, stage: str) -> bool:
    """Ever, also if it was retracted since."""
    values = await database.fetch("SELECT convert_from(value, 'UTF8') AS value FROM engine.outbox")
    return any(f'"cart-{visitor.user}"' in row["value"] and f'"{stage}"' in row["value"] for row in values)


async def put_on_the_topic(sender: Sender, event_id: str) -> None:
    now = datetime.now(UTC)
    event = Event(
        id=event_id,
        storefront="test-shop",
        name="Probe",
        who=Who(user_id="probe"),
        occurred_at=now,
        received_at=now,
        said_by=SaidBy.SERVER,
    )
    record = Record(topic=EVENTS, key=record_key(event), value=encode_event(event))
    await sender.send([record], deadline=timedelta(seconds=60))


async def is_stored(database: asyncpg.Connection, event_id: str) -> bool:
    return bool(await database.fetchval("SELECT true FROM reporting.events WHERE event_id = $1", event_id))


async def test_a_cart_whose_order_lies_in_the_spool_when_it_falls_due_is_not_reminded(
    ground: Stack, http: httpx.AsyncClient, database: asyncpg.Connection, eventually: Eventually
) -> None:
    """Fault 31: cart, then the broker is down, its order is accepted, the cart falls due, the broker is up."""
    buyer, browser = Visit(http, ground.endpoints), Visit(http, ground.endpoints)
    for visitor in (buyer, browser):
        await visitor.post("Product Added", properties={"cart_id": f"cart-{visitor.user}", **FERN})
    with stopped(ground.pid("kafka")):
        await buyer.post("Order Completed", properties={"order_id": f"order-{buyer.user}", "total": 10})
        ordered_at = datetime.now(UTC)
        await browser.post("Product Viewed", properties=FERN)  # at once, behind it
        assert datetime.now(UTC) - ordered_at < timedelta(seconds=2)
        while datetime.now(UTC) < ordered_at + ABANDONED_AFTER:  # noqa: ASYNC110  time itself
            await asyncio.sleep(0.1)
    await eventually(lambda: stands(browser, "abandoned"), within=60)
    await eventually(lambda: stands(buyer, "ordered"), within=60)
    assert not await announced(database, buyer, "abandoned")


async def test_an_unknown_outcome_counts_in_the_spool_and_its_second_copy_no_more(
    ground: Stack, kafka: KafkaSettings, eventually: Eventually, tmp_path: Path
) -> None:
    """Its caller was told 200; both copies land when the broker goes on. On a topic that is quiet here."""
    senders = [Sender(kafka, client_id="test") for _ in range(2)]
    for sender in senders:
        await sender.partitions_of(DEAD_LETTERS)  # connected, and knows where to send
    spool, switch = Spool(tmp_path / "spool.sqlite", SpoolSettings()), Switch(Closed())
    received_at, mine = datetime.now(UTC), IngestId(str(uuid4()))
    in_flight = InFlight(lambda: spool.oldest)
    publisher = Publisher(senders[0], PublishSettings(ack_deadline=timedelta(seconds=1)), in_flight, spool, switch)
    drainer = Drainer(spool, senders[0], switch, lambda: datetime.now(UTC))
    reporter = Reporter(mine, senders[1], in_flight, lambda: datetime.now(UTC))
    assert await reporter.step()
    record = Record(topic=DEAD_LETTERS, key=b"ours", value=b"not a dead letter")
    with stopped(ground.pid("kafka")):
        await publisher.publish([record], received_at)
        assert (len(in_flight), in_flight.settled(datetime.now(UTC))) == (0, received_at)
        assert not await reporter.leave(within=timedelta(seconds=0.2))

    async def is_drained() -> bool:
        await drainer.step()
        return spool.left == 0

    await eventually(is_drained, within=60)
    assert in_flight.settled(received_at + timedelta(days=1)) > received_at

    async def both_are_there() -> bool:
        return [r.value for r in await all_of(kafka, DEAD_LETTERS) if r.key == b"ours"] == [record.value] * 2

    await eventually(both_are_there)
    assert await reporter.leave(within=timedelta(seconds=10))
    assert [stays for ingest, stays in await reports(kafka) if ingest == mine] == [True, False]
    for sender in senders:
        await sender.stop()
    await spool.close()


async def test_an_ingest_that_is_killed_comes_back_under_its_id(
    ground: Stack, kafka: KafkaSettings, database: asyncpg.Connection, eventually: Eventually
) -> None:
    before, own = await reports(kafka), its_id(ground)
    pid = ground.pid("ingest")
    ground.kill("ingest")
    await eventually(lambda: is_back(ground, pid), within=60)
    now = datetime.now(UTC)
    await eventually(lambda: risen_to(database, now), within=SILENT_AFTER / 2)  # so nobody is waited for in vain
    after = await reports(kafka)
    assert len(after) > len(before)
    assert {ingest for ingest, _ in after[len(before) :]} == {own}
    assert all(stays for ingest, stays in after if ingest == own)


def its_id(ground: Stack) -> IngestId:
    """Of the stack's ingest: the folder that it keeps has its name."""
    (folder,) = (path.parent for path in (ground.home / "ingest").glob("*/lock"))
    return IngestId(folder.name)


async def is_back(ground: Stack, pid: int) -> bool:
    return bool(ground.pid("ingest") != pid)


async def test_an_ingest_that_is_told_to_stop_takes_its_leave_and_comes_back_under_its_id(
    ground: Stack, kafka: KafkaSettings, eventually: Eventually
) -> None:
    own = its_id(ground)
    os.kill(ground.pid("ingest"), signal.SIGTERM)

    async def has_left_and_is_back() -> bool:
        found = await reports(kafka)
        return (own, False) in found and found[-1] == (own, True)

    await eventually(has_left_and_is_back, within=60)
    assert its_id(ground) == own


async def test_one_that_is_gone_holds_the_watermark_until_it_was_silent_for_long_or_is_taken_leave_of(
    ground: Stack, http: httpx.AsyncClient, sender: Sender, database: asyncpg.Connection, eventually: Eventually
) -> None:
    gone, its_last = IngestId(str(uuid4())), datetime.now(UTC)
    report = Record(topic=PROGRESS, key=key_of(gone), value=encode_settled(Settled(settled=its_last)))
    await sender.send([report], deadline=timedelta(seconds=10))
    silent = "stagepost_engine_silent_ingests"

    async def is_passed_over() -> bool:
        return await metric(http, ground, silent) == 1

    async def is_no_more() -> bool:
        return await metric(http, ground, silent) == 0

    async def stands_at_its_last() -> bool:
        return await watermark(database) == its_last

    await eventually(stands_at_its_last)
    await eventually(is_passed_over, within=3 * SILENT_AFTER)
    assert datetime.now(UTC) > its_last + timedelta(seconds=SILENT_AFTER - 1)
    now = datetime.now(UTC)
    await eventually(lambda: risen_to(database, now))
    env = {"STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": ground.endpoints["kafka"]}
    assert await taken_leave_of(str(uuid4()), env) == 2
    assert await taken_leave_of(gone, env) == 0
    await eventually(is_no_more)


async def taken_leave_of(ingest: str, env: dict[str, str]) -> int | None:
    """The command's exit status."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        "forget-ingest",
        ingest,
        env={**os.environ, **env},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()
