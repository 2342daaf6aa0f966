"""The demo itself: posts what the visitors do, waits until all of it has had its effect, and sums up."""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from rich.console import Console
from rich.table import Table

from services.contracts.storefront import Storefront
from services.devstack.demo.traffic import Visitor, Visitors, address, calls, device_id, read_visitors, user_id
from services.devstack.demo.watch import Seen, follow_changes, follow_mails
from services.errors import StagepostError
from services.shop import load_shop

PATIENCE = 60.0
"""Seconds after the last event within which every mail must have come; it takes a few."""


async def show(endpoints: dict[str, str], shop: Path, console: Console) -> None:
    """Raises StagepostError when what the demo promises does not happen."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        demo = Demo(client, endpoints, console, read_visitors(shop), secrets.token_hex(2))
        await demo.run(shop)


@dataclass(slots=True)
class Demo:
    """One run; `tag` makes its visitors' names its own."""

    client: httpx.AsyncClient
    endpoints: dict[str, str]
    console: Console
    visitors: Visitors
    tag: str
    seen: Seen = field(default_factory=Seen)

    async def run(self, shop: Path) -> None:
        storefront = load_shop(shop).storefronts[self.endpoints["storefront"]]
        self.say(f"\n[bold]{storefront.name}[/] opens. Its visitors:")
        for visitor in self.visitors.visitors:
            self.say(f"  {visitor.name:<6} {visitor.story}")
        self.say("\nWhat happens ([cyan]●[/] a customer moves, [magenta]✉[/] a mail arrives):")
        ready = asyncio.Event()
        watching = [
            asyncio.create_task(follow_changes(self.endpoints["kafka"], self.seen, self.say, self.name_of, ready)),
            asyncio.create_task(follow_mails(self.client, self.endpoints["mailbox"], self.seen, self.say)),
        ]
        acting = asyncio.create_task(self._act(storefront, ready))
        await asyncio.wait({acting, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in (acting, *watching):
            task.cancel()
        outcomes = await asyncio.gather(acting, *watching, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        await self._sum_up(acting.result())

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False)

    async def name_of(self, customer: UUID) -> str:
        """The visitor's name: each is known by a device from the first event on."""
        answer = await self._get("stage_engine", f"/v1/customers/{customer}")
        devices = answer["identities"]["anonymous_id"]
        return next((v.name for v in self.visitors.visitors if device_id(v, self.tag) in devices), "somebody")

    async def _act(self, storefront: Storefront, ready: asyncio.Event) -> int:
        """Posts each call at its time and waits for the effects; returns how many events were accepted."""
        await ready.wait()
        loop = asyncio.get_running_loop()
        began, accepted = loop.time(), 0
        for call in calls(self.visitors, storefront, self.tag):
            await asyncio.sleep(max(0.0, began + call.at - loop.time()))
            answer = await self.client.post(
                f"{self.endpoints['ingest']}/v1/events",
                json=call.event,
                headers={"X-Write-Key": self.endpoints["write_key"]},
            )
            answer.raise_for_status()
            accepted += answer.json()["accepted"]
        await self._settled()
        return accepted

    async def _settled(self) -> None:
        """Waits until the mails are there, and until nobody has a cart that may still be abandoned."""
        expected = Counter({address(v, self.tag): len(v.mails) for v in self.visitors.visitors if v.mails})
        try:
            async with asyncio.timeout(PATIENCE):
                while self._mailed() != expected or await self._open_carts():  # noqa: ASYNC110  others do the work
                    await asyncio.sleep(0.3)
        except TimeoutError:
            raise StagepostError(
                f"the demo's mails did not come as they should: missing {dict(expected - self._mailed())}, "
                f"too many {dict(self._mailed() - expected)}; the logs of this home say why"
            ) from None

    def _mailed(self) -> Counter[str]:
        return Counter(to for to, _ in self.seen.mails)

    async def _open_carts(self) -> bool:
        found = [customer for v in self.visitors.visitors for customer in await self._customers(v)]
        return any(cart["stage"] == "active" for customer in found for cart in customer["tracks"]["cart"])

    async def _customers(self, visitor: Visitor) -> list[dict[str, Any]]:
        answer = await self._get("stage_engine", "/v1/customers", user_id=user_id(visitor, self.tag))
        found: list[dict[str, Any]] = answer["customers"]
        return found

    async def _get(self, service: str, path: str, **query: str) -> Any:  # noqa: ANN401  any JSON
        answer = await self.client.get(
            f"{self.endpoints[service]}{path}",
            params=query,
            headers={"Authorization": f"Bearer {self.endpoints['operator_key']}"},
        )
        answer.raise_for_status()
        return answer.json()

    async def _sum_up(self, accepted: int) -> None:
        stages = Table("track", "stage", "moves into it", title="Moves by stage", title_justify="left")
        for (track, stage), count in sorted(self.seen.moves.items()):
            stages.add_row(track, stage, str(count))
        sent: Counter[str] = Counter()
        for visitor in self.visitors.visitors:
            for customer in await self._customers(visitor):
                answer = await self._get("notifier", f"/v1/customers/{customer['id']}/messages")
                sent.update(m["follow_up"] for m in answer["messages"] if m["status"] == "sent")
        mails = Table("follow-up", "sent", title="Mails by follow-up", title_justify="left")
        for follow_up, count in sorted(sent.items()):
            mails.add_row(follow_up, str(count))
        self.say(f"\n[bold]{accepted}[/] events accepted, [bold]{len(self.seen.mails)}[/] mails received.\n")
        self.console.print(stages)
        self.console.print(mails)
        hero = self.visitors.visitors[0]
        for customer in await self._customers(hero):
            await self._journey(hero.name, customer["id"])

    async def _journey(self, name: str, customer: str) -> None:
        answer = await self._get("stage_engine", f"/v1/customers/{customer}/timeline")
        journey = Table("time", "what", "why", title=f"{name}'s journey", title_justify="left")
        for item in answer["timeline"]:
            time = item["at"][11:19]
            if item["kind"] == "event":
                journey.add_row(time, item["name"], "", style="dim")
            else:
                journey.add_row(time, f"{item['track']}: {item['from'] or 'begins'} → {item['to']}", item["reason"])
        self.console.print(journey)
