"""How long after an order's acknowledgement its reminder may still go out: on a running stack, over many carts.

    python tests/bench/bench_window.py [CARTS]

Needs a running `stagepost up --shop tests/integration/shop`, whose carts count as abandoned after two seconds. Each is
ordered at a moment of its own around then, so that orders meet their reminders at every place on the way. The window is
the longest time by which a reminder came after its order had been acknowledged. The baseline is the time that the
thanks of the same orders took.
"""

import asyncio
import json
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx

ENDPOINTS = Path(os.environ.get("STAGEPOST_HOME", ".stagepost")) / "endpoints.json"
ABANDONED_AFTER = 2.0
AROUND = 3.0
"""Seconds after that in which the orders lie."""
AT_ONCE = 20
SETTLED = 30
"""Seconds without a new mail."""


class Shop:
    def __init__(self, http: httpx.AsyncClient, endpoints: dict[str, str]) -> None:
        self.http = http
        self.endpoints = endpoints
        self.acknowledged: dict[str, datetime] = {}

    async def post(self, name: str, user: str, properties: dict[str, Any]) -> None:
        who = {"user_id": user, "email": f"{user}@example.com"}
        answer = await self.http.post(
            f"{self.endpoints['ingest']}/v1/events",
            json={"id": uuid4().hex, "name": name, "properties": properties, **who},
            headers={"X-Write-Key": self.endpoints["write_key"]},
        )
        answer.raise_for_status()

    async def visit(self, pause: float) -> None:
        user = f"window-{uuid4().hex[:12]}"
        fern = {"product_id": "fern", "name": "Boston fern", "price": 24.9, "quantity": 1}
        await self.post("Product Added", user, {"cart_id": f"cart-{user}", **fern})
        await asyncio.sleep(pause)
        await self.post("Order Completed", user, {"order_id": f"order-{user}", "total": 24.9, "products": [fern]})
        self.acknowledged[f"{user}@example.com"] = datetime.now(UTC)

    async def mails(self) -> tuple[dict[str, datetime], dict[str, datetime]]:
        """When a reminder came and when thanks, by address, of those who have one."""
        reminders: dict[str, datetime] = {}
        thanks: dict[str, datetime] = {}
        answer = await self.http.get(
            f"{self.endpoints['mailbox']}/api/v1/messages", params={"limit": 4 * len(self.acknowledged)}
        )
        for mail in answer.json()["messages"]:
            if (address := mail["To"][0]["Address"]) in self.acknowledged:
                kind = thanks if mail["Subject"].startswith("Thank") else reminders
                kind[address] = datetime.fromisoformat(mail["Created"])
        return reminders, thanks

    def after_the_order(self, came: dict[str, datetime]) -> list[float]:
        """Seconds from an order's acknowledgement to its mail, of what came later, shortest first."""
        waited = [(at - self.acknowledged[address]).total_seconds() for address, at in came.items()]
        return sorted(seconds for seconds in waited if seconds > 0)


async def main(endpoints: dict[str, str], carts: int) -> None:
    rng = random.Random(1)  # noqa: S311  any will do
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        shop = Shop(http, endpoints)
        for _ in range(0, carts, AT_ONCE):
            pauses = [ABANDONED_AFTER + rng.uniform(-0.5, AROUND) for _ in range(AT_ONCE)]
            await asyncio.gather(*(shop.visit(pause) for pause in pauses))
        found: tuple[dict[str, datetime], ...] = ()
        while (now := await shop.mails()) != found:
            found = now
            await asyncio.sleep(SETTLED)
    reminders, thanks = found
    late, thanked = shop.after_the_order(reminders), shop.after_the_order(thanks)
    orders = len(shop.acknowledged)
    print(f"{orders} orders, {len(thanks)} thanked: {len(reminders)} reminded, {len(late)} of them after the order")
    if late:
        most, middle, usual = late[-1], median(late), median(thanked)
        print(f"the window: {most:.2f} s at most, {middle:.2f} s in the middle; thanks took {usual:.2f} s")
        print(f"of the time that thanks take: {most / usual:.2f} at most, {middle / usual:.2f} in the middle")


if __name__ == "__main__":
    asyncio.run(main(json.loads(ENDPOINTS.read_text(encoding="utf-8")), int(sys.argv[1]) if len(sys.argv) > 1 else 400))
