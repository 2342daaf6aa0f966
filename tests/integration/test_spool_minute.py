"""Kafka away for a whole minute, as two kinds of clients and the stage engine live through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from ingests import Ground, Ingest, Shop, open_ground, open_shops
from segment.analytics.client import Client

Eventually = Callable[..., Awaitable[None]]

AWAY = 60
"""Seconds."""


@pytest.fixture(scope="module")
async def ground(start_stack: Callable[..., Any]) -> AsyncIterator[Ground]:
    """With an engine, who alone can tell whether anything counted twice."""
    async with open_ground(start_stack, "stage_engine") as made:
        yield made


class SegmentShop:
    """An unmodified `segment-analytics-python`, in the thread that it would have in a shop."""

    def __init__(self, ground: Ground, ingest: Ingest) -> None:
        self.user = uuid4().hex
        self.said = 0
        self.failures: list[object] = []
        self._client = Client(
            ground.stack.endpoints["write_key"],
            host=ingest.url,
            gzip=True,
            on_error=lambda *fault: self.failures.append(fault),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        closing = Event()

        def talk() -> None:
            while not closing.wait(0.05):
                self._client.track(self.user, "Product Viewed", {"product_id": str(self.said)})
                self.said += 1
            self._client.shutdown()

        talking = Thread(target=talk)
        talking.start()
        try:
            yield
        finally:
            closing.set()
            await asyncio.to_thread(talking.join)


@pytest.mark.long
async def test_a_minute_without_kafka_under_load_is_no_client_s_business_and_every_event_counts_once(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    ingest = await ground.ingest(tmp_path / "state")
    shops = [Shop(ground, http, name="Product Viewed", pace=0.05) for _ in range(8)]
    segment = SegmentShop(ground, ingest)

    async def views(user: str) -> int:
        answer = await http.get(
            f"{ground.stack.endpoints['stage_engine']}/v1/customers",
            params={"user_id": user, "storefront": ground.stack.endpoints["storefront"]},
            headers={"Authorization": f"Bearer {ground.stack.endpoints['operator_key']}"},
        )
        return sum(customer["facts"]["views_7d"] for customer in answer.json()["customers"])

    async def said_and_counted() -> list[tuple[int, int]]:
        expected = [(shop.user, len(shop.acknowledged)) for shop in shops] + [(segment.user, segment.said)]
        return [(said, await views(user)) for user, said in expected]

    async with open_shops(ingest, *shops), segment.open():
        await asyncio.sleep(5)
        with ground.away():
            await asyncio.sleep(AWAY)
            spooled = await ingest.metric(http, "stagepost_ingest_spool_records")
        await eventually(lambda: ingest.is_drained(http), within=60)
        await asyncio.sleep(5)
    assert [answer for shop in shops for answer in shop.refusals] == []
    assert segment.failures == []
    assert spooled > AWAY * 10

    async def all_is_counted() -> bool:
        return all(said <= counted for said, counted in await said_and_counted())

    await eventually(all_is_counted, within=60)
    counts = await said_and_counted()
    assert [counted for _, counted in counts] == [said for said, _ in counts]
    print(f"said and counted: {counts}; in the spool at its fullest: {spooled:.0f}")  # noqa: T201  `make proof` shows it
