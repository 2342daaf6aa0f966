"""Ingest before a real Kafka: what is answered with 200 is on the topic, whatever happens to either of the two."""

import asyncio
import gzip
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.contracts.dead_letters import decode_dead_letter
from services.contracts.events import Event, SaidBy, decode_event
from services.contracts.topics import DEAD_LETTERS, EVENTS, TOPICS

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
Eventually = Callable[..., Awaitable[None]]

DOCS = Path(__file__).resolve().parents[2] / "docs" / "ingest.md"


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack of our own, since its Kafka and its ingest are killed here."""
    stack = start_stack("--only", "postgres,kafka,ingest", "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture
def url(ground: Stack) -> str:
    return str(ground.endpoints["ingest"])


@pytest.fixture
def key(ground: Stack) -> dict[str, str]:
    return {"X-Write-Key": ground.endpoints["write_key"]}


async def values(ground: Stack, topic: str) -> list[tuple[bytes | None, bytes]]:
    """All that is on the topic now, key and value."""
    consumer = AIOKafkaConsumer(bootstrap_servers=ground.endpoints["kafka"], enable_auto_commit=False)
    try:
        await consumer.start()
        count = next(known.partitions for known in TOPICS if known.name == topic)
        partitions = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(record.key, record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def events_of(ground: Stack, user_id: str) -> list[Event]:
    found = [decode_event(value) for _, value in await values(ground, EVENTS)]
    return [event for event in found if event.who.user_id == user_id]


async def test_what_is_acknowledged_is_on_the_topic(ground: Stack, http: httpx.AsyncClient, url: str) -> None:
    user = uuid4().hex
    said = {"id": "e1", "name": "Product Added", "user_id": user, "properties": {"price": "12.50"}}
    for kind in ("write_key", "browser_key"):
        answer = await http.post(f"{url}/v1/events", json=said, headers={"X-Write-Key": ground.endpoints[kind]})
        assert answer.status_code == 200
        assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}
    by_server, by_browser = sorted(await events_of(ground, user), key=lambda event: event.received_at)
    assert (by_server.said_by, by_browser.said_by) == (SaidBy.SERVER, SaidBy.BROWSER)
    assert by_server.storefront == ground.endpoints["storefront"]
    assert by_server.properties == {"price": 12.5}
    keys = {key for key, value in await values(ground, EVENTS) if user.encode() in value}
    assert len(keys) == 1


async def test_what_is_rejected_in_a_list_is_a_dead_letter(
    ground: Stack, http: httpx.AsyncClient, url: str, key: dict[str, str]
) -> None:
    user = uuid4().hex
    listed = [{"id": "e1", "name": "n", "user_id": user}, {"id": "e2", "user_id": user}]
    answer = (await http.post(f"{url}/v1/events", json=listed, headers=key)).json()
    assert (answer["accepted"], [r["index"] for r in answer["rejected"]]) == (1, [1])
    letters = [decode_dead_letter(value) for _, value in await values(ground, DEAD_LETTERS)]
    (letter,) = [letter for letter in letters if user.encode() in letter.raw]
    assert (letter.code, letter.source) == ("missing_name", "/v1/events")
    assert json.loads(letter.raw) == listed[1]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_segment_s_python_client_is_heard_once_and_whole(ground: Stack, url: str, packed: bool) -> None:  # noqa: FBT001  a parameter of the test
    from segment.analytics.client import Client  # noqa: PLC0415  it starts a thread when imported

    user = uuid4().hex
    failures: list[object] = []

    def shop() -> None:
        client = Client(
            ground.endpoints["write_key"], host=url, gzip=packed, on_error=lambda *fault: failures.append(fault)
        )
        client.identify(user, {"email": "ada@shop.example"})
        for number in range(250):
            client.track(user, "Product Viewed", {"product_id": number})
        client.track(user, "Completed Order", {"order_id": 1001, "total": "25.00"})
        client.shutdown()

    await asyncio.to_thread(shop)
    assert failures == []
    found = await events_of(ground, user)
    assert Counter(event.name for event in found) == {
        "Customer Identified": 1,
        "Product Viewed": 250,
        "Order Completed": 1,
    }
    assert len({event.id for event in found}) == 252
    order = next(event for event in found if event.name == "Order Completed")
    assert order.properties == {"order_id": "1001", "total": 25.0}


async def test_a_pixel_and_google_s_protocol_say_the_same_as_a_body(
    ground: Stack, http: httpx.AsyncClient, url: str
) -> None:
    user, browser_key = uuid4().hex, ground.endpoints["browser_key"]
    query = {"writeKey": browser_key, "userId": user, "event": "Viewed Product", "properties.product_id": "17"}
    picture = await http.get(f"{url}/pixel/v1/track", params=query)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/gif")
    assert picture.content.startswith(b"GIF89a")
    said = {"user_id": user, "events": [{"name": "view_item", "params": {"items": [{"item_id": 17}]}}]}
    for path in ("debug/mp/collect", "mp/collect"):
        answer = await http.post(f"{url}/{path}", params={"api_secret": browser_key}, json=said)
        assert answer.status_code == 200
    found = [(event.name, event.properties, event.said_by) for event in await events_of(ground, user)]
    assert found == [("Product Viewed", {"product_id": "17"}, SaidBy.BROWSER)] * 2


def test_the_guide_s_examples_run_and_answer_as_it_says(ground: Stack) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed; the guide's examples are curl's")
    text = DOCS.read_text(encoding="utf-8")
    examples = re.findall(r"```sh\n(curl .*?)```\n\n```json\n(.*?)```", text, re.DOTALL)
    assert len(examples) == text.count("```sh\ncurl")
    env = {**os.environ, "INGEST": ground.endpoints["ingest"], "WRITE_KEY": ground.endpoints["write_key"]}
    for command, answer in examples:
        done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == json.loads(answer)


async def test_a_gzip_bomb_and_a_claim_of_two_gigabytes_cost_no_memory(
    ground: Stack, http: httpx.AsyncClient, url: str, key: dict[str, str]
) -> None:
    ingest = psutil.Process(ground.pid("ingest"))
    before = ingest.memory_info().rss
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    answer = await http.post(f"{url}/v1/events", content=bomb, headers={**key, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert b" 413 " in await answer_to_a_claim(url, key["X-Write-Key"], 2**31)
    assert ingest.memory_info().rss - before < 64_000_000


async def answer_to_a_claim(url: str, key: str, claimed: int) -> bytes:
    """The status line for a call that says it will send this much, and sends nothing yet."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Write-Key: {key}\r\nContent-Length: {claimed}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_calls_do_not_wait_for_each_other(
    ground: Stack, http: httpx.AsyncClient, url: str, key: dict[str, str]
) -> None:
    user = uuid4().hex
    bodies = [{"id": f"e{number}", "name": "n", "user_id": user} for number in range(200)]
    answers = await asyncio.gather(*(http.post(f"{url}/v1/events", json=body, headers=key) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(event.id for event in await events_of(ground, user)) == sorted(body["id"] for body in bodies)


class Shop:
    """Sends event after event as a careful client does: again under the same id until it is answered."""

    def __init__(self, http: httpx.AsyncClient, url: str, key: dict[str, str]) -> None:
        self._http, self._url, self._key = http, url, key
        self.user = uuid4().hex
        self.acknowledged: list[str] = []
        self.refusals: list[httpx.Response] = []
        self.unanswered = 0

    async def try_once(self, event_id: str) -> bool:
        body = {"id": event_id, "name": "Product Added", "user_id": self.user}
        try:
            answer = await self._http.post(f"{self._url}/v1/events", json=body, headers=self._key)
        except httpx.TransportError:
            self.unanswered += 1
            return False
        if answer.status_code == 200:
            self.acknowledged.append(event_id)
            return True
        self.refusals.append(answer)
        return False

    async def run(self, until: asyncio.Event) -> None:
        number = 0
        while not until.is_set():
            if await self.try_once(f"e{number}"):
                number += 1
            else:
                await asyncio.sleep(0.05)  # as clients do; else they'd keep from the processor who is to come back


@asynccontextmanager
async def open_shops(*shops: Shop) -> AsyncIterator[None]:
    done = asyncio.Event()
    sending = [asyncio.create_task(shop.run(done)) for shop in shops]
    try:
        yield
    finally:
        done.set()
        await asyncio.gather(*sending)


async def nothing_is_lost(ground: Stack, shop: Shop) -> bool:
    return set(shop.acknowledged) <= {event.id for event in await events_of(ground, shop.user)}


async def test_kill_9_of_kafka_is_noticed_by_no_client_and_nothing_is_lost(
    ground: Stack, http: httpx.AsyncClient, url: str, key: dict[str, str], eventually: Eventually
) -> None:
    shop = Shop(http, url, key)

    async def some_more_are_acknowledged(since: int) -> bool:
        return len(shop.acknowledged) > since + 5

    async def nothing_is_missing() -> bool:
        return await nothing_is_lost(ground, shop)

    before = ground.pid("kafka")

    async def kafka_is_back() -> bool:
        try:
            return ground.pid("kafka") != before and bool(await events_of(ground, shop.user))
        except KafkaError:
            return False

    async with open_shops(shop):
        await eventually(lambda: some_more_are_acknowledged(0))
        ground.kill("kafka")
        await eventually(kafka_is_back, within=90)
        count = len(shop.acknowledged)
        await eventually(lambda: some_more_are_acknowledged(count))
    assert (shop.refusals, shop.unanswered) == ([], 0)
    await eventually(nothing_is_missing)


async def test_kill_9_of_ingest_loses_nothing_that_was_acknowledged(
    ground: Stack, http: httpx.AsyncClient, url: str, key: dict[str, str], eventually: Eventually
) -> None:
    shops = [Shop(http, url, key) for _ in range(8)]

    async def all_go_on(since: list[int]) -> bool:
        return all(len(shop.acknowledged) > count + 3 for shop, count in zip(shops, since, strict=True))

    async with open_shops(*shops):
        await eventually(lambda: all_go_on([0] * 8))
        ground.kill("ingest")
        before = [len(shop.acknowledged) for shop in shops]
        await eventually(lambda: all_go_on(before), within=60)
    assert sum(shop.unanswered for shop in shops) > 0
    for shop in shops:
        assert await nothing_is_lost(ground, shop)
