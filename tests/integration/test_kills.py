"""kill -9 of any one service under traffic, and its restart: no event is lost, no mail is sent twice."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest
from visiting import FERN

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

KILLED = ("ingest", "stage_engine", "notifier", "kafka", "postgres")
VISITORS_A_KILL = 6


@pytest.fixture(scope="module")
def battered(start_stack: Callable[..., Any]) -> Iterator[Stack]:
    """A stack of our own, since its parts are killed."""
    stack = start_stack("--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


class Crowd:
    """Visitors who each leave one cart behind and complete one order; what was acknowledged is remembered."""

    def __init__(self, http: httpx.AsyncClient, endpoints: dict[str, str]) -> None:
        self.http = http
        self.endpoints = endpoints
        self.acknowledged: list[str] = []
        self.addresses: list[str] = []

    async def visit(self) -> None:
        user = f"user-{uuid.uuid4().hex[:10]}"
        who = {"user_id": user, "email": f"{user}@example.com"}
        await self._post("Order Completed", who, {"order_id": f"order-{user}", "total": 10, "products": [FERN]})
        await self._post("Product Added", who, {"cart_id": f"cart-{user}", **FERN})
        self.addresses.append(who["email"])

    async def _post(self, name: str, who: dict[str, str], properties: dict[str, Any]) -> None:
        """As a good client does: again with the same id until it is acknowledged."""
        event = {"id": uuid.uuid4().hex, "name": name, "properties": properties, **who}
        while True:
            try:
                answer = await self.http.post(
                    f"{self.endpoints['ingest']}/v1/events",
                    json=event,
                    headers={"X-Write-Key": self.endpoints["write_key"]},
                )
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(event["id"])
                return
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.1)

    async def mails(self) -> Counter[tuple[str, bool]]:
        """How many each address has, thank-yous apart from reminders."""
        answer = await self.http.get(f"{self.endpoints['mailbox']}/api/v1/messages", params={"limit": 5000})
        found = [(m["To"][0]["Address"], m["Subject"].startswith("Thank")) for m in answer.json()["messages"]]
        return Counter(mail for mail in found if mail[0] in self.addresses)


async def test_killing_any_one_service_loses_nothing_and_sends_nothing_twice(
    battered: Stack, http: httpx.AsyncClient, eventually: Eventually
) -> None:
    crowd = Crowd(http, battered.endpoints)
    for part in KILLED:
        before = battered.pid(part)
        visits = [asyncio.create_task(crowd.visit()) for _ in range(VISITORS_A_KILL)]
        battered.kill(part)
        await asyncio.gather(*visits, crowd.visit())

        async def is_back(part: str = part, before: int = before) -> bool:
            return bool(battered.pid(part) != before)

        await eventually(is_back, within=60)

    async def all_stored() -> bool:
        try:
            connection = await asyncpg.connect(battered.endpoints["postgres"])
        except (asyncpg.CannotConnectNowError, OSError):  # it was killed last and recovers
            return False
        try:
            stored = await connection.fetch("SELECT event_id FROM reporting.events")
        finally:
            await connection.close()
        return set(crowd.acknowledged) <= {row["event_id"] for row in stored}

    await eventually(all_stored, within=60)
    expected = Counter((address, thanked) for address in crowd.addresses for thanked in (True, False))

    async def all_mailed() -> bool:
        return bool(await crowd.mails() >= expected)

    await eventually(all_mailed, within=120)
    assert await crowd.mails() == expected
