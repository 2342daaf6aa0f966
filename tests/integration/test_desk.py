"""What an operator mends with: dead letters are seen and sent again, customers folded again."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaProducer
from visiting import FERN, Visit

from services.contracts.topics import EVENTS

Eventually = Callable[..., Awaitable[None]]


def stagepost(stack: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "STAGEPOST_POSTGRES__DSN": stack["postgres"],
        "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": stack["kafka"],
    }
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


async def put_on_the_topic(stack: dict[str, str], value: bytes) -> str:
    """A record that no ingest wrote; returns its place."""
    producer = AIOKafkaProducer(bootstrap_servers=stack["kafka"])
    await producer.start()
    try:
        sent = await producer.send_and_wait(EVENTS, value)
    finally:
        await producer.stop()
    return f"{sent.topic}/{sent.partition}/{sent.offset}"


async def test_what_is_no_event_is_a_dead_letter_and_blocks_nothing(visit: Visit, eventually: Eventually) -> None:
    place = await put_on_the_topic(visit.stack, b'{"this is": "no event"}')
    await visit.post("Product Viewed")

    async def listed() -> bool:
        return place in stagepost(visit.stack, "dead-letters", "list").stdout

    await eventually(listed)
    shown = stagepost(visit.stack, "dead-letters", "show", place).stdout
    assert "undecodable" in shown
    assert '{"this is": "no event"}' in shown
    sent = stagepost(visit.stack, "dead-letters", "replay", place)
    assert sent.stdout == "0 sent again\n"
    assert f"{place} holds no event" in sent.stderr


async def test_an_event_among_the_dead_letters_is_taken_in_once_it_can_be(visit: Visit, eventually: Eventually) -> None:
    """Its letter stands for one whose storefront this engine did not know when it came."""
    now = datetime.now(UTC).isoformat()
    event = {"id": f"late-{visit.run}", "storefront": visit.stack["storefront"], "name": "Product Viewed"}
    event |= {"who": {"user_id": visit.user}, "occurred_at": now, "received_at": now, "said_by": "server"}  # type: ignore[dict-item]
    connection = await asyncpg.connect(visit.stack["postgres"])
    try:
        await connection.execute(
            "INSERT INTO engine.dead_letters VALUES ('storefront.events', 999, $1, 'x', 'unknown_storefront', 'why',"
            " 'here', now(), $2)",
            int(visit.run, 16),
            json.dumps(event).encode(),
        )
    finally:
        await connection.close()
    sent = stagepost(visit.stack, "dead-letters", "replay", f"storefront.events/999/{int(visit.run, 16)}")
    assert sent.stdout == "1 sent again\n", sent.stderr

    async def taken_in() -> bool:
        return await visit.stage("lifecycle") == "interest"

    await eventually(taken_in)


async def test_a_broken_customer_is_mended_by_a_refold(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})

    async def known() -> bool:
        return bool(await visit.customers())

    await eventually(known)
    (customer,) = await visit.customers()
    connection = await asyncpg.connect(visit.stack["postgres"])
    try:
        await connection.execute(
            "UPDATE engine.customers SET broken = 'planted', hold = 'broken', state = NULL, next_wake = NULL "
            "WHERE id = $1",
            customer["id"],
        )
    finally:
        await connection.close()
    assert (await visit.customers())[0]["tracks"]["cart"] == []
    assert "1 to be folded again" in stagepost(visit.stack, "refold", "--broken").stdout

    async def mended() -> bool:
        (found,) = await visit.customers()
        return found["hold"] is None and [cart["key"] for cart in found["tracks"]["cart"]] == [f"c-{visit.run}"]

    await eventually(mended)


def test_a_wrong_place_is_said_to_be_wrong(stack: dict[str, str]) -> None:
    answer = stagepost(stack, "dead-letters", "show", "nowhere")
    assert answer.returncode == 2
    assert "write it as in storefront.events/3/120" in answer.stderr
