"""Ingest before clients that mean it no good, or know no better: right answers, bounded memory, alive afterwards."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

import httpx
import msgspec
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from ingests import Ground, Ingest
from mutations import bent, broken
from schemathesis import checks

from ingest.routes import HOT_ROUTES
from services.contracts.keys import KeyKind, new_write_key

Eventually = Callable[..., Awaitable[None]]

NOISY, QUIET, BROWSER = (
    new_write_key(*of) for of in (("noisy", KeyKind.SERVER), ("quiet", KeyKind.SERVER), ("noisy", KeyKind.BROWSER))
)
SECRET = "12345678"
MEBIBYTE = 1_048_576
ROOM = 32 * MEBIBYTE
GROWTH = 3 * ROOM
"""Bytes that the process may grow by in all this: its room, twice while a body is decoded, and what it warms up."""
RATE, BURST = 100, 1000
SEED = 6
CONFORMING = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
OURS = {route.path for route in HOT_ROUTES}


@pytest.fixture(scope="module")
async def ingest(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Ingest:
    folder = tmp_path_factory.mktemp("hostile")
    keys = folder / "write-keys.json"
    keys.write_bytes(msgspec.json.encode([stored for _, stored in (NOISY, QUIET, BROWSER)]))
    secrets = [
        {"storefront": "noisy", "platform": platform, "secret": SECRET} for platform in ("shopify", "woocommerce")
    ]
    return await ground.ingest(
        folder / "state",
        STAGEPOST_WRITE_KEYS_FILE=str(keys),
        STAGEPOST_WEBHOOK_SECRETS=json.dumps(secrets),
        STAGEPOST_LIMITS__BODY_TIME="2s",
        STAGEPOST_IN_FLIGHT__MAX_BYTES=str(ROOM),
    )


@pytest.fixture
def process(ingest: Ingest) -> psutil.Process:
    """Ingest itself, below the guard that ends it with us."""
    assert ingest.process is not None
    started = psutil.Process(ingest.process.pid)
    return next((child for child in started.children(recursive=True) if "ingest" in child.cmdline()), started)


@contextlib.asynccontextmanager
async def bounded_memory(process: psutil.Process) -> AsyncIterator[None]:
    """Looked at all the time, not just when all is over."""
    before = highest = process.memory_info().rss
    done = asyncio.Event()

    async def look() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        done.set()
        await looking
    assert highest - before < GROWTH, f"it grew by {(highest - before) / MEBIBYTE:.0f} MiB"


async def is_alive(ingest: Ingest, http: httpx.AsyncClient) -> bool:
    body = {"id": "alive", "name": "Probe", "user_id": "u1"}
    answer = await http.post(f"{ingest.url}/v1/events", json=body, headers={"X-Write-Key": QUIET[0]})
    return answer.status_code == 200 and "could not be answered" not in ingest.said


def event(properties: bytes) -> bytes:
    return b'{"id": "e1", "name": "Probe", "user_id": "u1", "properties": {"x": ' + properties + b"}}"


BOMB = gzip.compress(b"[" + b" " * 20 * MEBIBYTE + b"]")
TAKEN = (200, "")
BODIES: dict[str, tuple[bytes, dict[str, str], tuple[int, str]]] = {
    "empty": (b"", {}, (400, "malformed")),
    "blank": (b" \n", {}, (400, "malformed")),
    "no-json": (b"a=1&b=2", {}, (400, "malformed")),
    "cut-short": (event(b"1")[:-1], {}, (400, "malformed")),
    "null": (b"null", {}, (400, "invalid")),
    "nulls": (b"[" + b",".join([b"null"] * 500) + b"]", {}, TAKEN),
    "nothing": (b"[]", {}, TAKEN),
    "nan": (event(b"NaN"), {}, (400, "malformed")),
    "infinity": (event(b"-Infinity"), {}, (400, "malformed")),
    "over-a-double": (event(b"1e999"), {}, (400, "invalid")),
    "nul": (event(b'"a\\u0000b"'), {}, (400, "bad_text")),
    "nul-byte": (event(b'"a\x00b"'), {}, (400, "malformed")),
    "half-a-pair": (event(b'"\\ud83d"'), {}, (400, "bad_text")),
    "not-utf-8": (event(b'"\xff\xfe"'), {}, (400, "malformed")),
    "utf-16": (event(b"1").decode().encode("utf-16"), {}, (400, "malformed")),
    "huge-integer": (event(b"9" * 400), {}, (400, "invalid")),
    "same-key-twice": (event(b'1, "x": 2'), {}, TAKEN),
    "deep": (event(b"[" * 40 + b"]" * 40), {}, (400, "too_deep")),
    "very-deep": (event(b"[" * 15_000 + b"]" * 15_000), {}, (400, "malformed")),
    "endlessly-deep": (b"[" * 4_000_000, {}, (400, "malformed")),
    "too-long": (b" " * (4 * MEBIBYTE + 1), {}, (413, "too_large")),
    "too-many": (b"[" + b",".join([b"{}"] * 2501) + b"]", {}, (413, "too_many_events")),
    "tiny-values": (b"[" + b",".join([b"0"] * 2_000_000) + b"]", {}, (413, "too_many_values")),
    "truncated-gzip": (gzip.compress(event(b"1"))[:-5], {"Content-Encoding": "gzip"}, (400, "malformed")),
    "no-gzip": (event(b"1"), {"Content-Encoding": "gzip"}, (400, "malformed")),
    "gzip-of-gzip": (gzip.compress(gzip.compress(event(b"1"))), {"Content-Encoding": "gzip"}, (400, "malformed")),
    "gzip-said-twice": (gzip.compress(b"{}"), {"Content-Encoding": "gzip, gzip"}, (415, "unsupported_encoding")),
    "brotli": (b"x", {"Content-Encoding": "br"}, (415, "unsupported_encoding")),
    "bomb": (BOMB, {"Content-Encoding": "gzip"}, (413, "too_large")),
    "claims-2-gb": (b"", {"Content-Length": str(2**31)}, (413, "too_large")),
    "claims-more-than-a-number": (b"", {"Content-Length": "9" * 19}, (413, "too_large")),
    "a-large-head": (event(b"1"), {"X-Large": "x" * 40_000}, (431, "headers_too_large")),
}  # fmt: skip


async def said_to(url: str, head: dict[str, str], pieces: AsyncIterator[bytes] | None = None) -> tuple[int, str]:
    """Status and code of a call that is written as it stands, with no client's care."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = [f"{name}: {value}" for name, value in {"Host": "x", "Connection": "close", **head}.items()]
        writer.write("\r\n".join(["POST /v1/events HTTP/1.1", *lines, "", ""]).encode())

        async def write() -> None:
            with contextlib.suppress(ConnectionError):
                async for piece in pieces or nothing():
                    writer.write(piece)
                    await writer.drain()

        writing = asyncio.create_task(write())
        async with asyncio.timeout(20):
            said = await reader.read()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    finally:
        writer.close()
    answer, _, body = said.partition(b"\r\n\r\n")
    return int(answer.split()[1]), json.loads(body).get("code", "")


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def key_and(headers: dict[str, str], key: str, body: bytes) -> dict[str, str]:
    return {"X-Write-Key": key, "Content-Length": str(len(body)), **headers}


async def test_every_strange_body_gets_its_answer_and_costs_no_memory(
    ingest: Ingest, http: httpx.AsyncClient, process: psutil.Process
) -> None:
    async with bounded_memory(process):
        answers = {
            name: await said_to(ingest.url, key_and(headers, NOISY[0], body), whole(body))
            for name, (body, headers, _) in BODIES.items()
        }
        assert answers == {name: expected for name, (_, _, expected) in BODIES.items()}
        bombs = (
            said_to(ingest.url, key_and({"Content-Encoding": "gzip"}, NOISY[0], BOMB), whole(BOMB)) for _ in range(30)
        )
        assert {status for status, _ in await asyncio.gather(*bombs)} <= {413, 503}
    assert await is_alive(ingest, http)


async def test_who_is_not_known_learns_nothing_about_bodies(ingest: Ingest) -> None:
    for name, (body, headers, _) in BODIES.items():
        if name != "a-large-head":
            answer = await said_to(ingest.url, key_and(headers, "spwk_wrong", body), whole(body))
            assert answer == (401, "unauthorized"), name


async def test_endless_chunks_are_cut_off(ingest: Ingest, http: httpx.AsyncClient, process: psutil.Process) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"10000\r\n" + b" " * 65_536 + b"\r\n"

    async with bounded_memory(process):
        with contextlib.suppress(ConnectionError):  # it may be gone before its answer is read
            head = {"X-Write-Key": NOISY[0], "Transfer-Encoding": "chunked"}
            assert await said_to(ingest.url, head, endless()) == (413, "too_large")
    assert await is_alive(ingest, http)


async def test_a_body_that_comes_in_too_slowly_is_given_up(ingest: Ingest) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b"1\r\n \r\n"
            await asyncio.sleep(0.2)

    head = {"X-Write-Key": NOISY[0], "Transfer-Encoding": "chunked"}
    assert await said_to(ingest.url, head, slow()) == (503, "too_slow")


async def test_many_large_bodies_at_once_fill_their_storefront_s_room_and_nobody_else_s(
    ingest: Ingest, http: httpx.AsyncClient, process: psutil.Process
) -> None:
    async def most_of_one() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield b" " * 65_536
        await asyncio.sleep(20)  # until it is given up

    head = {"X-Write-Key": NOISY[0], "Content-Length": str(4 * MEBIBYTE)}
    async with bounded_memory(process):
        calls = [asyncio.create_task(said_to(ingest.url, head, most_of_one())) for _ in range(30)]
        while not any(call.done() for call in calls):
            assert await is_alive(ingest, http)
        assert await ingest.metric(http, "stagepost_ingest_in_flight_bytes") <= ROOM / 2 + 65_536
        outcomes = Counter(await asyncio.gather(*calls))
    assert set(outcomes) == {(503, "busy"), (503, "too_slow")}
    assert await ingest.metric(http, "stagepost_ingest_in_flight_bytes") == 0


def calls_of(shared: Callable[[str], str]) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers of what real clients and platforms sent."""
    for name in ("analytics-next-1.84.3-jsdom", "node-clients", "segment-analytics-python-2.4.0"):
        for line in shared(f"clients/{name}.jsonl").splitlines():
            capture = json.loads(line)
            if (path := capture["path"]) in OURS:  # there are other vendors' clients in these files
                yield path, capture["body"].encode(), {"X-Write-Key": NOISY[0]}
    for topic, name in (("carts/update", "carts_update"), ("checkouts/create", "checkouts_create"),
                        ("customers/create", "customers_create"), ("fulfillments/create", "fulfillments_create"),
                        ("orders/create", "orders_create"), ("refunds/create", "refunds_create")):  # fmt: skip
        body = shared(f"webhooks/shopify_docs_2025-10__{name}.json").encode()
        yield "/v1/webhooks/shopify/noisy", body, {"X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": name}
    for topic, name in (("order.updated", "order_processing"), ("customer.updated", "customer")):
        body = shared(f"webhooks/woocommerce_docs_v3__{name}.json").encode()
        yield "/v1/webhooks/woocommerce/noisy", body, {"X-WC-Webhook-Topic": topic, "X-WC-Webhook-Source": "https://x"}


async def test_no_mutation_of_what_real_clients_sent_is_a_fault_of_ours(
    ingest: Ingest, http: httpx.AsyncClient, process: psutil.Process, shared_data: Callable[[str], str]
) -> None:
    random = Random(SEED)  # noqa: S311  the same every time
    answers: Counter[int] = Counter()
    limit = asyncio.Semaphore(8)

    async def send(path: str, body: bytes, headers: dict[str, str]) -> None:
        signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
        signed = {"X-Shopify-Hmac-Sha256": signature, "X-WC-Webhook-Signature": signature} if "webhooks" in path else {}
        async with limit:
            answer = await http.post(f"{ingest.url}{path}", content=body, headers={**headers, **signed})
        answers[answer.status_code] += 1
        assert answer.status_code in (200, 400, 413), (path, body, answer.text)

    calls = list(calls_of(shared_data))
    async with bounded_memory(process), asyncio.TaskGroup() as sending:
        for path, body, headers in calls:
            sending.create_task(send(path, body, headers))
            for _ in range(25):
                sending.create_task(send(path, broken(body, random), headers))
                sending.create_task(send(path, bent(body, random), headers))
    assert answers.total() == 51 * len(calls)
    assert answers[200] > len(calls)
    assert answers[400] > len(calls)
    assert await is_alive(ingest, http)


async def test_every_answer_is_as_the_openapi_document_says(ingest: Ingest, http: httpx.AsyncClient) -> None:
    """To calls that it allows, and to calls that it does not; with a good key and with any."""
    written = (await http.get(f"{ingest.url}/openapi.json")).json()
    await asyncio.to_thread(keep_to, schemathesis.openapi.from_dict(written), ingest.url)
    assert await is_alive(ingest, http)


def keep_to(document: schemathesis.BaseSchema, url: str) -> None:
    tried = set[str]()
    for found in document.get_all_operations():
        operation = found.ok()
        same = json.dumps([operation.definition.raw.get(part) for part in ("parameters", "requestBody", "responses")])
        if same in tried:  # the same by another name
            continue
        tried.add(same)
        for mode in schemathesis.GenerationMode:
            with contextlib.suppress(Unsatisfiable):  # who may say nothing can say nothing wrong
                keep_to_one(operation, mode, url)


def keep_to_one(operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode, url: str) -> None:
    calls = count()

    @settings(
        max_examples=4, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(operation.as_strategy(generation_mode=mode))
    def answers_as_written(case: schemathesis.Case) -> None:
        if next(calls) % 4:
            case.headers.pop("Authorization", None)
            case.headers["X-Write-Key"] = NOISY[0]
        case.call_and_validate(base_url=url, checks=CONFORMING)

    answers_as_written()


async def test_a_burst_over_one_storefront_s_limit_leaves_the_others_answered(
    ground: Ground, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Fault 26: 10,000 events over it."""
    keys = tmp_path / "write-keys.json"
    keys.write_bytes(msgspec.json.encode([NOISY[1], QUIET[1]]))
    ingest = await ground.ingest(
        tmp_path / "state",
        STAGEPOST_WRITE_KEYS_FILE=str(keys),
        STAGEPOST_RATES__STOREFRONT_EVENTS=str(RATE),
        STAGEPOST_RATES__STOREFRONT_BURST=str(BURST),
    )

    async def post(key: str, number: int, events: int) -> httpx.Response:
        said = [{"id": f"{number}-{n}", "name": "Probe", "user_id": "u1"} for n in range(events)]
        return await http.post(f"{ingest.url}/v1/events", json=said, headers={"X-Write-Key": key})

    async def noise(number: int) -> httpx.Response:
        async with connections:
            return await post(NOISY[0], number, 20)

    connections = asyncio.Semaphore(32)
    running = asyncio.get_running_loop()
    began = running.time()
    burst = [asyncio.create_task(noise(number)) for number in range((BURST + 10_000) // 20)]
    quiet = []
    while not all(call.done() for call in burst):
        quiet.append((await post(QUIET[0], len(quiet), 1)).status_code)
    took = running.time() - began
    noisy = [call.result() for call in burst]
    assert set(quiet) == {200}
    through = 20 * sum(answer.status_code == 200 for answer in noisy)
    assert BURST <= through <= BURST + RATE * (took + 1) + 20
    refused = [answer for answer in noisy if answer.status_code != 200]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "storefront_too_fast")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    counted = (await http.get(f"{ingest.url}/metrics")).text
    assert f'stagepost_ingest_held_back_total{{limit="storefront",storefront="noisy"}} {len(refused)}.0' in counted
