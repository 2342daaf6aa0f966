"""Who is told to come again, as the app answers it. Without Kafka: what may go on gets as far as 503 `unavailable`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import httpx2
import pytest

from ingest.app import Ingest, create_app
from ingest.breaker import Closed
from ingest.gate import Gate
from ingest.limits import Limits
from ingest.progress import InFlight
from ingest.publish import Publisher
from ingest.room import CALL_BYTES
from ingest.service import new_event_id
from ingest.settings import InFlightSettings, PublishSettings, RateSettings, SpoolSettings
from ingest.signatures import Secrets
from ingest.spool import Spool
from ingest.storefronts import Keys
from ingest.switch import Switch
from services.contracts.keys import KeyKind, new_write_key
from services.contracts.webhook_secrets import Platform, WebhookSecret
from services.kafka import Sender
from services.process import Readiness
from services.settings import KafkaSettings

NOISY, QUIET, BROWSER = (
    new_write_key(*of) for of in (("noisy", KeyKind.SERVER), ("quiet", KeyKind.SERVER), ("noisy", KeyKind.BROWSER))
)
RATES = RateSettings(storefront_events=10, storefront_burst=100, client_events=1, client_burst=10)
MEBIBYTE = 1_048_576


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Calls:
    """To one ingest, from any address."""

    def __init__(self, ingest: Ingest, clock: Clock) -> None:
        self.clock = clock
        self._app = create_app(ingest)

    async def post(
        self, key: str | None, *, events: int = 1, client: str = "203.0.113.9", size: int = 0, in_body: bool = False
    ) -> httpx2.Response:
        said = [{"type": "track", "event": "Probe", "userId": "u1", "messageId": f"m{n}"} for n in range(events)]
        body = {"batch": said, "context": {"x": "y" * size}, **({"writeKey": key} if in_body else {})}
        return await self.send("/v1/batch", json.dumps(body).encode(), {} if in_body else {"X-Write-Key": key}, client)

    async def send(self, path: str, body: bytes, headers: dict[str, str], client: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(self._app, client=(client, 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://ingest.test") as http:
            return await http.post(path, content=body, headers=headers)


Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Calls]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def one(rates: RateSettings = RATES, in_flight: InFlightSettings | None = None) -> AsyncIterator[Calls]:
        spool, clock = Spool(tmp_path / "spool.sqlite", SpoolSettings()), Clock()
        sender = Sender(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test")
        ingest = Ingest(
            keys=Keys([NOISY[1], QUIET[1], BROWSER[1]]),
            secrets=Secrets([WebhookSecret(storefront="noisy", platform=Platform.WOOCOMMERCE, secret="12345678")]),
            network_key=b"0123456789abcdef",
            publisher=Publisher(sender, PublishSettings(), InFlight(), spool, Switch(Closed())),
            gate=Gate(rates, in_flight or InFlightSettings()),
            readiness=Readiness({"kafka"}),
            limits=Limits(event_bytes=MEBIBYTE),
            clock=clock,
            new_id=new_event_id,
        )
        yield Calls(ingest, clock)
        await spool.close()

    return one


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


THROUGH = (503, "unavailable")


async def test_a_burst_over_the_limit_is_told_when_to_come_again_and_the_others_are_answered(opened: Open) -> None:
    async with opened() as calls:
        assert code(await calls.post(NOISY[0], events=150)) == THROUGH
        answer = await calls.post(NOISY[0])
        assert code(answer) == (429, "storefront_too_fast")
        assert answer.headers["retry-after"] == "6"
        assert code(await calls.post(QUIET[0])) == THROUGH
        calls.clock.now += timedelta(seconds=6)
        assert code(await calls.post(NOISY[0])) == THROUGH


@pytest.mark.parametrize("in_body", [False, True], ids=["header", "body"])
async def test_the_rate_holds_wherever_the_key_is(opened: Open, in_body: bool) -> None:  # noqa: FBT001  a parameter of the test
    async with opened() as calls:
        assert code(await calls.post(NOISY[0], events=100, in_body=in_body)) == THROUGH
        assert code(await calls.post(NOISY[0], in_body=in_body)) == (429, "storefront_too_fast")


async def test_a_client_of_a_web_page_is_slowed_down_alone(opened: Open) -> None:
    async with opened() as calls:
        assert code(await calls.post(BROWSER[0], events=12)) == THROUGH
        answer = await calls.post(BROWSER[0])
        assert code(answer) == (429, "client_too_fast")
        assert answer.headers["retry-after"] == "3"
        assert code(await calls.post(BROWSER[0], client="203.0.113.10")) == THROUGH
        assert code(await calls.post(NOISY[0])) == THROUGH  # a shop's server is no browser, wherever it stands


async def test_addresses_of_one_ipv6_household_are_one_client(opened: Open) -> None:
    async with opened() as calls:
        assert code(await calls.post(BROWSER[0], events=12, client="2001:db8::1")) == THROUGH
        assert code(await calls.post(BROWSER[0], client="2001:db8:0:ff::2")) == (429, "client_too_fast")


async def test_a_large_body_of_who_is_too_fast_is_not_even_read(opened: Open) -> None:
    async with opened() as calls:
        await calls.post(NOISY[0], events=150)
        answer = await calls.post(NOISY[0], size=200_000)
        assert (*code(answer), answer.headers["connection"]) == (429, "storefront_too_fast", "close")
        assert "connection" not in (await calls.post(NOISY[0])).headers


async def test_each_event_that_a_call_becomes_counts(opened: Open) -> None:
    looked = {"client_id": "a", "events": [{"name": "view_item", "params": {"items": [{"item_id": "1"}] * 20}}]}
    async with opened() as calls:
        for path, client in (("/mp/collect", "203.0.113.1"), ("/debug/mp/collect", "203.0.113.2")):
            await calls.send(f"{path}?api_secret={BROWSER[0]}", json.dumps(looked).encode(), {}, client)
            assert (await calls.post(BROWSER[0], client=client)).status_code == 429
        assert (await calls.post(BROWSER[0], client="203.0.113.3")).status_code == 503


async def test_garbage_counts_too(opened: Open) -> None:
    async with opened() as calls:
        for _ in range(12):
            answer = await calls.send("/v1/batch", b"{", {"X-Write-Key": BROWSER[0]}, "203.0.113.9")
            assert answer.status_code == 400
        assert code(await calls.post(BROWSER[0])) == (429, "client_too_fast")


async def test_a_webhook_counts_and_is_never_refused_for_its_speed(opened: Open) -> None:
    """WooCommerce sends it once; what is not taken is lost."""
    async with opened() as calls:
        for _ in range(120):
            answer = await calls.send("/v1/webhooks/woocommerce/noisy", b"webhook_id=7", {}, "203.0.113.9")
            assert code(answer) == THROUGH
        assert code(await calls.post(NOISY[0])) == (429, "storefront_too_fast")


async def test_without_room_calls_are_told_to_come_again_and_another_storefront_has_its_own(opened: Open) -> None:
    room = InFlightSettings(max_bytes=2 * MEBIBYTE, storefront_share=0.5)
    async with opened(in_flight=room) as calls:
        assert code(await calls.post(NOISY[0], size=MEBIBYTE // 2)) == THROUGH
        answer = await calls.post(NOISY[0], size=MEBIBYTE)
        assert code(answer) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        assert code(await calls.post(NOISY[0], size=MEBIBYTE // 2)) == THROUGH  # what it took is free again


async def test_bodies_that_come_in_slowly_take_room_only_as_they_come(opened: Open) -> None:
    room = InFlightSettings(max_bytes=2 * MEBIBYTE, storefront_share=0.5)
    async with opened(in_flight=room) as calls:
        many = MEBIBYTE // CALL_BYTES - 1
        going = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            await going.wait()
            yield b"{}"

        async def claims(number: int) -> int:
            transport = httpx2.ASGITransport(calls._app, client=("203.0.113.9", number))  # noqa: SLF001  the same app
            async with httpx2.AsyncClient(transport=transport, base_url="http://ingest.test") as http:
                headers = {"X-Write-Key": NOISY[0], "Content-Length": "1000000"}
                return (await http.post("/v1/batch", content=slow(), headers=headers)).status_code

        waiting = [asyncio.create_task(claims(number)) for number in range(many)]
        while code(await calls.post(NOISY[0])) != (503, "busy"):  # noqa: ASYNC110  until all have come in
            await asyncio.sleep(0)
        assert code(await calls.post(QUIET[0])) == THROUGH
        going.set()
        assert set(await asyncio.gather(*waiting)) == {400}


async def test_what_is_held_back_is_counted(opened: Open) -> None:
    async with opened() as calls:
        await calls.post(NOISY[0], events=150)
        await calls.post(NOISY[0])
        transport = httpx2.ASGITransport(calls._app)  # noqa: SLF001  the same app
        async with httpx2.AsyncClient(transport=transport, base_url="http://ingest.test") as http:
            counted = (await http.get("/metrics")).text
    assert 'stagepost_ingest_held_back_total{limit="storefront",storefront="noisy"}' in counted
    assert "stagepost_ingest_in_flight_bytes 0.0" in counted
