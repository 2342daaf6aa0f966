"""Shop platforms' real payloads, signed by the test, through a real ingest onto a real Kafka."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from platforms import shopify_headers, woocommerce_headers

from services.contracts.dead_letters import decode_dead_letter
from services.contracts.events import Event, SaidBy, decode_event
from services.contracts.identity import Who
from services.contracts.privacy import PrivacyKind, decode_request
from services.contracts.topics import DEAD_LETTERS, EVENTS, PRIVACY, TOPICS

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "webhooks"


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    stack = start_stack("--only", "postgres,kafka,ingest", "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


class Topics:
    """What has come onto the topics since this test began."""

    def __init__(self, kafka: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        known = {topic.name: topic.partitions for topic in TOPICS}
        self._partitions = [
            TopicPartition(name, number) for name in (EVENTS, DEAD_LETTERS, PRIVACY) for number in range(known[name])
        ]
        self._consumer.assign(self._partitions)
        self._from = await self._consumer.end_offsets(self._partitions)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def values(self, topic: str) -> list[bytes]:
        partitions = [partition for partition in self._partitions if partition.topic == topic]
        ends = await self._consumer.end_offsets(partitions)
        found: list[bytes] = []
        for partition in partitions:
            self._consumer.seek(partition, self._from[partition])
            while await self._consumer.position(partition) < ends[partition]:
                fetched = await self._consumer.getmany(partition, timeout_ms=200)
                found += [record.value for record in fetched.get(partition, ())]
        return found

    async def events(self) -> list[Event]:
        return [decode_event(value) for value in await self.values(EVENTS)]


@pytest.fixture
async def topics(ground: Stack) -> AsyncIterator[Topics]:
    async with Topics(ground.endpoints["kafka"]) as found:
        yield found


class Platform:
    """A platform that signs what it sends."""

    def __init__(self, http: httpx.AsyncClient, endpoints: dict[str, str]) -> None:
        self._http, self.endpoints = http, endpoints

    async def shopify(self, topic: str, raw: bytes, *, sent: bytes | None = None, **headers: str) -> httpx.Response:
        """`sent` goes in place of what was signed."""
        return await self._http.post(
            f"{self.endpoints['ingest']}/v1/webhooks/shopify/{self.endpoints['storefront']}",
            content=raw if sent is None else sent,
            headers=shopify_headers(topic, raw, self.endpoints["webhook_secret"], **headers),
        )

    async def woocommerce(self, topic: str, raw: bytes, *, sent: bytes | None = None) -> httpx.Response:
        return await self._http.post(
            f"{self.endpoints['ingest']}/v1/webhooks/woocommerce/{self.endpoints['storefront']}",
            content=raw if sent is None else sent,
            headers=woocommerce_headers(topic, raw, self.endpoints["webhook_secret"]),
        )

    async def ping(self) -> httpx.Response:
        return await self._http.post(
            f"{self.endpoints['ingest']}/v1/webhooks/woocommerce/{self.endpoints['storefront']}",
            data={"webhook_id": "7"},
        )


@pytest.fixture
def platform(ground: Stack, http: httpx.AsyncClient) -> Platform:
    return Platform(http, ground.endpoints)


def payload(name: str) -> bytes:
    path = DATA / f"{name}.json"
    if path.is_file():
        return path.read_bytes()
    message = f"the shared data is absent: {path} (see README.md of the data)"
    if os.environ.get("STAGEPOST_REQUIRE_DATA"):
        pytest.fail(message)
    return pytest.skip(message)


def flipped(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


TAKEN = {"received": 1, "accepted": 1, "rejected": []}
JON = Who(user_id="115310627314723950", email="jon@example.com")


@pytest.mark.parametrize(
    ("name", "topic", "becomes", "who"),
    [
        ("carts_update", "carts/update", "Cart Updated", Who(cart_token="exampleCartId")),
        (
            "checkouts_create",
            "checkouts/create",
            "Checkout Started",
            Who(user_id="603851970716743400", email="example@email.com", cart_token="eeafa272cebfd4b22385bc4b645e762c"),
        ),
        ("orders_create", "orders/create", "Order Cancelled", JON),
        ("refunds_create", "refunds/create", "Order Refunded", Who(cart_token="order:820982911946154500")),
        (
            "fulfillments_create",
            "fulfillments/create",
            "Order Shipped",
            Who(email="jon@example.com", cart_token="order:820982911946154500"),
        ),
        (
            "customers_create",
            "customers/create",
            "Customer Identified",
            Who(user_id="706405506930370000", email="bob@biller.com"),
        ),
    ],
)
async def test_each_of_shopify_s_payloads_arrives_and_with_one_byte_flipped_does_not(
    platform: Platform, topics: Topics, name: str, topic: str, becomes: str, who: Who
) -> None:
    raw = payload(f"shopify_docs_2025-10__{name}")
    answer = await platform.shopify(topic, raw, sent=flipped(raw))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert await topics.events() == []
    answer = await platform.shopify(topic, raw)
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    (event,) = [event for event in await topics.events() if event.name == becomes]
    assert (event.who, event.said_by) == (who, SaidBy.SERVER)
    assert event.storefront == platform.endpoints["storefront"]


async def test_a_delivery_that_comes_again_has_the_same_id_and_another_of_the_same_deed_has_its_own(
    platform: Platform, topics: Topics
) -> None:
    raw = json.dumps({"id": 1, "email": "ada@shop.example", "financial_status": "paid"}).encode()
    for webhook_id in ("again", "again", "other"):
        assert (await platform.shopify("orders/create", raw, webhook_id=webhook_id, event_id="deed")).status_code == 200
    orders = [event.id for event in await topics.events() if event.name == "Order Completed"]
    assert sorted(orders) == ["shopify:again", "shopify:again", "shopify:other"]


async def test_a_request_by_law_is_kept_on_its_own_topic(platform: Platform, topics: Topics) -> None:
    user = uuid4().int % 10**12
    raw = json.dumps({"customer": {"id": user, "email": "ada@shop.example"}, "orders_to_redact": [1, 2]}).encode()
    answer = await platform.shopify("customers/redact", raw)
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    (request,) = [decode_request(value) for value in await topics.values(PRIVACY)]
    assert (request.kind, request.who) == (PrivacyKind.ERASE, Who(user_id=str(user), email="ada@shop.example"))
    assert (request.storefront, request.orders) == (platform.endpoints["storefront"], ("1", "2"))
    assert await topics.events() == []


async def test_a_signed_document_that_is_not_understood_is_answered_200_and_kept(
    platform: Platform, topics: Topics
) -> None:
    answer = await platform.shopify("themes/publish", b'{"id": 1}')
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (200, "unknown_topic")
    (letter,) = [decode_dead_letter(value) for value in await topics.values(DEAD_LETTERS)]
    assert (letter.code, letter.raw) == ("unknown_topic", b'{"id": 1}')
    assert letter.source == "/v1/webhooks/shopify/{storefront} themes/publish"


JOHN = Who(email="john.doe@example.com", phone="(555) 555-5555")


@pytest.mark.parametrize(
    ("name", "topic", "becomes", "who"),
    [
        ("order_processing", "order.created", ["Order Completed", "Customer Identified"], JOHN),
        ("order_refund", "refund.created", ["Order Refunded"], Who(cart_token="order:723")),
        (
            "customer",
            "customer.updated",
            ["Customer Identified"],
            Who(user_id="25", email="john.doe@example.com", phone="(555) 555-5555"),
        ),
    ],
)
async def test_each_of_woocommerce_s_payloads_arrives_and_with_one_byte_flipped_does_not(
    platform: Platform, topics: Topics, name: str, topic: str, becomes: list[str], who: Who
) -> None:
    raw = payload(f"woocommerce_docs_v3__{name}")
    answer = await platform.woocommerce(topic, raw, sent=flipped(raw))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    answer = await platform.woocommerce(topic, raw)
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    events = await topics.events()
    assert sorted(event.name for event in events) == sorted(becomes)
    assert next(event for event in events if event.name == becomes[0]).who == who
    assert {event.said_by for event in events} == {SaidBy.SERVER}


async def test_an_order_s_refunds_come_with_every_copy_of_it_under_the_same_ids(
    platform: Platform, topics: Topics
) -> None:
    order = json.loads(payload("woocommerce_docs_v3__orders_list"))[1]
    for changed in ("2017-03-21T19:54:51", "2017-03-21T20:54:51"):
        raw = json.dumps({**order, "date_modified_gmt": changed}).encode()
        assert (await platform.woocommerce("order.updated", raw)).json() == TAKEN
    events = await topics.events()
    refunds = [(event.id, event.properties["total"]) for event in events if event.name == "Order Refunded"]
    assert set(refunds) == {("woocommerce:refund:723:726", 10.0), ("woocommerce:refund:723:724", 9.0)}
    sold = sorted(event.id for event in events if event.name == "Order Completed")
    assert len(set(sold)) == len(sold) == 2


async def test_woocommerce_s_ping_is_answered_with_exactly_200(platform: Platform, topics: Topics) -> None:
    answer = await platform.ping()
    assert (answer.status_code, answer.json()) == (200, {"received": 0, "accepted": 0, "rejected": []})
    assert await topics.events() == []
