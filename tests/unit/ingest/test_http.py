"""The HTTP face as far as it goes without Kafka: every answer that is decided before anything is sent."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ingest.app import Ingest, create_app
from ingest.bootstrap import SETTINGS_PATHS
from ingest.breaker import Closed
from ingest.gate import Gate
from ingest.limits import Limits
from ingest.progress import InFlight
from ingest.publish import Publisher
from ingest.routes import HOT_ROUTES, PIXEL_ROUTES
from ingest.service import new_event_id
from ingest.settings import InFlightSettings, PublishSettings, RateSettings, SpoolSettings
from ingest.signatures import Secrets
from ingest.spool import Spool
from ingest.storefronts import Keys
from ingest.switch import Switch
from services.contracts.keys import KeyKind, new_write_key
from services.kafka import Sender
from services.process import Readiness
from services.settings import KafkaSettings

KEY, STORED = new_write_key("shop", KeyKind.SERVER)
BROWSER_KEY, BROWSER_STORED = new_write_key("shop", KeyKind.BROWSER)
PAGE_KEY, STORED_PAGE = new_write_key("shop", KeyKind.BROWSER, origins=("https://shop.example",))
AUTH = {"X-Write-Key": KEY}
EVENT = {"id": "e1", "name": "Product Added", "user_id": "u1"}
TRACK = {"type": "track", "event": "Product Added", "userId": "u1", "messageId": "m1"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """An ingest that has not reached Kafka: a call that is in order gets as far as 503 `unavailable`."""
    spool = Spool(tmp_path / "spool.sqlite", SpoolSettings())
    ingest = Ingest(
        keys=Keys([STORED, BROWSER_STORED, STORED_PAGE]),
        secrets=Secrets([]),
        network_key=b"hides-the-networks",
        publisher=Publisher(
            Sender(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test"),
            PublishSettings(),
            InFlight(),
            spool,
            Switch(Closed()),
        ),
        gate=Gate(RateSettings(), InFlightSettings()),
        readiness=Readiness({"kafka"}),
        limits=Limits(body_bytes=10_000),
        clock=lambda: datetime.now(UTC),
        new_id=new_event_id,
    )
    transport = httpx2.ASGITransport(create_app(ingest))
    async with httpx2.AsyncClient(transport=transport, base_url="http://ingest.test") as client:
        yield client
    await spool.close()


def is_error(answer: httpx2.Response, status: int, code: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["code"], set(body)) == (status, code, {"code", "message"})


async def test_before_kafka_is_reached_calls_are_told_to_come_again(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/events", json=EVENT, headers=AUTH)
    assert is_error(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "call",
    [
        {"headers": AUTH, "json": {"batch": [TRACK]}},
        {"auth": (KEY, ""), "json": {"batch": [TRACK]}},
        {"params": {"writeKey": KEY}, "json": {"batch": [TRACK]}},
        {"json": {"batch": [TRACK], "writeKey": KEY}},
        {"json": {"batch": [{**TRACK, "writeKey": KEY}]}},
        {"json": {"batch": [TRACK], "writeKey": KEY}, "headers": {"Content-Type": "text/plain"}},
    ],
    ids=["header", "basic", "query", "body", "first-item", "text-plain"],
)
async def test_a_key_is_found_in_each_of_its_places(http: httpx2.AsyncClient, call: dict[str, Any]) -> None:
    assert is_error(await http.post("/v1/batch", **call), 503, "unavailable")


@pytest.mark.parametrize("path", [route.path for route in HOT_ROUTES])
async def test_without_a_key_and_with_a_wrong_one_every_route_gives_the_same_answer(
    http: httpx2.AsyncClient, path: str
) -> None:
    answers = [
        await http.post(path, json=EVENT),
        await http.post(path, json=EVENT, headers={"X-Write-Key": "spwk_wrong"}),
        await http.post(path, json={**EVENT, "writeKey": "spwk_wrong"}),
        await http.post(path, content=b"{no json"),
    ]
    assert all(is_error(answer, 401, "unauthorized") for answer in answers)
    assert len({answer.content for answer in answers}) == 1


async def test_a_wrong_key_in_a_stronger_place_is_not_mended_by_a_right_one_in_a_weaker(
    http: httpx2.AsyncClient,
) -> None:
    body = {"batch": [TRACK], "writeKey": KEY}
    assert is_error(await http.post("/v1/batch", json=body, auth=("wrong", "")), 401, "unauthorized")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b'{"id": "e1",, }', 400, "malformed"),
        (b'{"id": "e1", "name": "n", "properties": {"x": NaN}}', 400, "malformed"),
        (b'{"id": "e1", "name": "a\\u0000"}', 400, "bad_text"),
        (b'{"id": "e1", "name": "n", "traits": {"x": "\\ud83d"}}', 400, "bad_text"),
        (b'{"id": "e1", "name": "n", "traits": {"x": "\xff"}}', 400, "malformed"),
        (b'{"name": "n"}', 400, "missing_id"),
        (b'{"id": "e1"}', 400, "missing_name"),
        (b'{"id": "e1", "name": "n", "properties": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "too_deep"),
        (b"[" * 5000, 400, "malformed"),
        (b"1", 400, "invalid"),
        (b" " * 10_001, 413, "too_large"),
        (b"[" + b",".join([b"{}"] * 2501) + b"]", 413, "too_many_events"),
    ],
)
async def test_what_can_t_be_taken_is_named(http: httpx2.AsyncClient, content: bytes, status: int, code: str) -> None:
    assert is_error(await http.post("/v1/events", content=content, headers=AUTH), status, code)


async def test_gzip_is_read_whatever_the_content_type_says(http: httpx2.AsyncClient) -> None:
    headers = {**AUTH, "Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    packed = gzip.compress(json.dumps(EVENT).encode())
    assert is_error(await http.post("/v1/events", content=packed, headers=headers), 503, "unavailable")
    assert is_error(await http.post("/v1/events", content=packed[:-9], headers=headers), 400, "malformed")
    bomb = gzip.compress(b"\0" * 1_000_000)
    assert is_error(await http.post("/v1/events", content=bomb, headers=headers), 413, "too_large")


async def test_an_unknown_encoding_is_named(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/events", content=b"x", headers={**AUTH, "Content-Encoding": "br"})
    assert is_error(answer, 415, "unsupported_encoding")


async def test_a_body_in_chunks_without_a_length_is_counted(http: httpx2.AsyncClient) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b" " * 1000
        yield json.dumps(EVENT).encode()

    assert is_error(await http.post("/v1/events", content=chunks(2), headers=AUTH), 503, "unavailable")
    assert is_error(await http.post("/v1/events", content=chunks(11), headers=AUTH), 413, "too_large")


async def test_paths_and_methods_that_are_not_there_answer_in_the_same_shape(http: httpx2.AsyncClient) -> None:
    assert is_error(await http.post("/v1/nothing"), 404, "not_found")
    assert is_error(await http.get("/v1/events"), 405, "method_not_allowed")


async def test_a_page_may_ask_before_it_calls(http: httpx2.AsyncClient) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,rsa-x",
    }
    answer = await http.options("/v1/batch", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,rsa-x"
    assert answer.headers["access-control-max-age"] == "900"
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_a_page_can_read_errors_too(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/events", json=EVENT, headers={"Origin": "https://shop.example"})
    assert is_error(answer, 401, "unauthorized")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-origin" not in (await http.post("/v1/events", json=EVENT)).headers


async def test_a_page_that_a_key_is_not_for_is_told_so_wherever_the_key_stands(http: httpx2.AsyncClient) -> None:
    evil, shop = {"Origin": "https://evil.example"}, {"Origin": "https://shop.example"}
    in_body = {"batch": [TRACK], "writeKey": PAGE_KEY}
    for call in (
        {"headers": {"X-Write-Key": PAGE_KEY, **evil}, "json": {"batch": [TRACK]}},
        {"headers": evil, "json": in_body},
    ):
        answer = await http.post("/v1/batch", **call)
        assert is_error(answer, 403, "origin_not_allowed")
        assert answer.headers["access-control-allow-origin"] == "https://evil.example"
    assert is_error(await http.get(f"/v1/projects/{PAGE_KEY}/settings", headers=evil), 403, "origin_not_allowed")
    assert is_error(await http.post("/v1/batch", json=in_body, headers=shop), 503, "unavailable")
    asked = {**evil, "Access-Control-Request-Method": "POST"}
    assert (await http.options("/v1/batch", headers=asked)).status_code == 200, "a preflight has no key"


async def test_what_is_counted_holds_no_key_and_no_address(http: httpx2.AsyncClient) -> None:
    secret = {**EVENT, "email": "secret@shop.example", "wrong": 1}
    await http.post("/v1/events", json=secret, params={"writeKey": KEY})
    counted = (await http.get("/metrics")).text
    assert 'stagepost_ingest_requests_total{route="/v1/events",status="400"}' in counted
    assert 'stagepost_ingest_events_rejected_total{code="unknown_field",storefront="shop"}' in counted
    assert KEY not in counted
    assert "secret@shop.example" not in counted


def test_ids_that_we_make_are_uuids_of_their_time() -> None:
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    made = [new_event_id(at) for _ in range(100)]
    assert len(set(made)) == 100
    assert {uuid[14] for uuid in made} == {"7"}
    assert {uuid[19] for uuid in made} <= set("89ab")
    assert {int(uuid.replace("-", "")[:12], 16) for uuid in made} == {int(at.timestamp() * 1000)}


@pytest.mark.parametrize("path", SETTINGS_PATHS)
async def test_a_client_that_asks_where_to_send_to_is_told_here(http: httpx2.AsyncClient, path: str) -> None:
    asked = path.format(key=KEY)
    answer = await http.get(asked, headers={"Origin": "https://shop.example"})
    told = answer.json()["integrations"]["Segment.io"]
    assert answer.status_code == 200
    assert (told["apiKey"], told["apiHost"], told["protocol"]) == (KEY, "ingest.test/v1", "http")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "events.shop.example"}
    told = (await http.get(asked, headers=proxied)).json()["integrations"]["Segment.io"]
    assert (told["apiHost"], told["protocol"]) == ("events.shop.example/v1", "https")
    crooked = {"X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "evil.example/x?"}
    told = (await http.get(asked, headers=crooked)).json()["integrations"]["Segment.io"]
    assert (told["apiHost"], told["protocol"]) == ("ingest.test/v1", "http")
    assert is_error(await http.get(path.format(key="spwk_wrong")), 401, "unauthorized")


async def test_what_a_client_reports_of_itself_is_answered_and_not_kept(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/v1/m", content=b'{"series": []}')).status_code == 200


@pytest.mark.parametrize("path", [route.path for route in PIXEL_ROUTES])
async def test_a_pixel_s_call_is_taken_by_its_key_and_looking_for_it_is_none(
    http: httpx2.AsyncClient, path: str
) -> None:
    said = {"event": "Product Viewed", "anonymousId": "a1"}
    assert is_error(await http.get(path, params=said), 401, "unauthorized")
    assert is_error(await http.get(path, params={**said, "writeKey": KEY}), 503, "unavailable")
    assert is_error(await http.get(path, params={"writeKey": KEY}), 400, "missing_id")
    assert (await http.head(path, params={**said, "writeKey": KEY})).status_code == 200


async def test_a_write_key_stands_in_for_google_s_secret(http: httpx2.AsyncClient) -> None:
    said = {"client_id": "c", "events": [{"name": "view_cart"}, {}]}
    assert is_error(await http.post("/mp/collect", json=said, params={"api_secret": KEY}), 503, "unavailable")
    assert is_error(await http.post("/mp/collect", json=said, params={"api_secret": "x"}), 401, "unauthorized")


async def test_a_call_that_is_only_looked_at_says_what_is_wrong_with_it(http: httpx2.AsyncClient) -> None:
    said = {"client_id": "c", "events": [{"name": "view_cart"}, {}]}
    answer = await http.post("/debug/mp/collect", json=said, params={"api_secret": KEY})
    assert answer.status_code == 200
    (message,) = answer.json()["validationMessages"]
    assert (message["fieldPath"], message["validationCode"]) == ("events[1]", "MISSING_NAME")


async def test_a_browser_s_key_says_nothing_of_the_catalogue(http: httpx2.AsyncClient) -> None:
    said = {"product_id": "p-17", "name": "Mug"}
    assert is_error(
        await http.post("/v1/products", json=said, headers={"X-Write-Key": BROWSER_KEY}), 403, "server_key_needed"
    )
    assert is_error(await http.post("/v1/products", json=said, headers=AUTH), 503, "unavailable")
