"""No reminder after buying, and never a second mail about one thing, with real processes in every unlucky order.

A reminder is due eight seconds after a cart counts as abandoned: what happens meanwhile is up to each test. Beside a
buyer somebody leaves a cart and buys nothing: that they are reminded shows that reminders go.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import pytest
from faults_proxy import Trap
from visiting import FERN, Visit

from tests.integration.notifier_process import PARTS, Notifiers, Sink

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

SHOP = Path(__file__).resolve().parents[1] / "faults" / "shop"
PATIENT = """
abandoned-cart:
  when: {track: cart, entered: abandoned}
  until: {left: abandoned}
  purpose: marketing
  wait: 8s
  template: abandoned-cart
  max_age: 24h
thank-you:
  when: {track: order, entered: confirmed}
  until: {entered: [cancelled]}
  purpose: transactional
  template: thank-you
  max_age: 24h
"""
TAKEN_OVER_AFTER = timedelta(seconds=10)
"""Kafka's session timeout: so long nobody reads the partitions of a notifier that stands still."""
LOOKS_AT_THE_CUSTOMER = b"SELECT notifier.customers.id, notifier.customers.sequence "
"""What the mark begins with."""


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(SHOP, folder, dirs_exist_ok=True)
    (folder / "followups.yaml").write_text(PATIENT, encoding="utf-8")
    stack = start_stack("--shop", str(folder), "--only", PARTS, "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


class People:
    """Those of one test, by what they are about to do."""

    def __init__(self, http: httpx.AsyncClient, ground: Stack, notifiers: Notifiers, eventually: Eventually) -> None:
        self.buyer, self.browser = Visit(http, ground.endpoints), Visit(http, ground.endpoints)
        self.notifiers = notifiers
        self.eventually = eventually

    async def fill_carts(self) -> None:
        for one in (self.buyer, self.browser):
            await fill_cart(one)

    async def buy(self) -> datetime:
        """When it was acknowledged, at the latest."""
        await order(self.buyer, f"order-{self.buyer.user}")
        return datetime.now(UTC)

    async def rows(self, visitor: Visit) -> list[Any]:
        return await self.notifiers.sql(
            "SELECT m.id, m.status, m.due_at FROM notifier.messages m JOIN notifier.instances i USING (instance) "
            "WHERE i.key = $1 AND m.follow_up = 'abandoned-cart'",
            f"cart-{visitor.user}",
        )

    async def due_at(self, visitor: Visit) -> datetime:
        (row,) = await self.rows(visitor)
        at: datetime = row["due_at"]
        return at

    async def reminders(self, visitor: Visit, smtp: Sink) -> int:
        """How many were received."""
        return sum([smtp.received[str(row["id"])] for row in await self.rows(visitor)])

    async def come_to(self, status: str, *visitors: Visit) -> None:
        async def all_have() -> bool:
            return all([[row["status"] for row in await self.rows(one)] == [status] for one in visitors])

        await self.eventually(all_have, within=90)

    async def ends_well(self, smtp: Sink) -> None:
        await self.come_to("cancelled", self.buyer)
        await self.come_to("sent", self.browser)
        assert await self.reminders(self.buyer, smtp) == 0
        assert await self.reminders(self.browser, smtp) == 1


async def fill_cart(visitor: Visit, **who: str) -> None:
    properties = {"cart_id": f"cart-{visitor.user}", **FERN}
    await visitor.post("Product Added", **{"email": visitor.email, **who}, properties=properties)


async def order(visitor: Visit, name: str, **fields: str) -> None:
    properties = {"order_id": name, "total": 10, "products": [FERN]}
    await visitor.post("Order Completed", email=visitor.email, properties=properties, **fields)


@pytest.fixture
def people(http: httpx.AsyncClient, ground: Stack, notifiers: Notifiers, eventually: Eventually) -> People:
    return People(http, ground, notifiers, eventually)


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def until(at: datetime) -> None:
    while datetime.now(UTC) < at:  # noqa: ASYNC110  time itself
        await asyncio.sleep(0.1)


async def test_an_order_while_the_reminder_is_queued(people: People, notifiers: Notifiers, smtp: Sink) -> None:
    await notifiers.start(smtp)
    await smtp.go_away()
    await people.fill_carts()
    await people.come_to("pending", people.buyer, people.browser)
    await until(await people.due_at(people.buyer))
    await people.buy()
    await people.come_to("cancelled", people.buyer)
    await smtp.listen()
    await people.ends_well(smtp)


async def test_an_order_while_the_reminder_is_claimed(people: People, notifiers: Notifiers, smtp: Sink) -> None:
    async def buy_meanwhile() -> None:
        await people.buy()
        await people.come_to("cancelled", people.buyer)

    proxy = notifiers.proxy()
    await proxy.start()
    try:
        await notifiers.start(smtp, postgres=proxy)
        await fill_cart(people.buyer)
        trap = proxy.set(Trap(words=LOOKS_AT_THE_CUSTOMER, act=buy_meanwhile, deliver=True))
        await asyncio.wait_for(trap.sprung.wait(), 90)
        await fill_cart(people.browser)
        await people.ends_well(smtp)
    finally:
        await notifiers.end()
        await proxy.close()


async def test_an_order_that_waits_on_the_topic_while_the_engine_stands_still(
    people: People, notifiers: Notifiers, smtp: Sink, ground: Stack
) -> None:
    """Fault 32: the reminder falls due meanwhile, and what the notifier heard last is seconds old."""
    await notifiers.start(smtp)
    await people.fill_carts()
    await people.come_to("pending", people.buyer, people.browser)
    due_at = await people.due_at(people.buyer)
    with standing_still(ground.pid("stage_engine")):
        assert await people.buy() < due_at
        await until(due_at + timedelta(seconds=3))
        assert await people.reminders(people.buyer, smtp) == 0
    await people.ends_well(smtp)


async def test_an_order_that_waits_for_a_notifier_that_stands_still_beside_another(
    people: People, notifiers: Notifiers, smtp: Sink, http: httpx.AsyncClient, ground: Stack, eventually: Eventually
) -> None:
    """Fault 32: half of the partitions are not read when the reminders fall due, and the other notifier sends."""
    several = [People(http, ground, notifiers, eventually) for _ in range(6)]
    buyers = [one.buyer for one in several]
    first = await notifiers.start(smtp, POSTGRES__TRANSACTION_TIMEOUT="5s")
    await notifiers.start(smtp)
    await fill_cart(people.browser)
    await people.come_to("sent", people.browser)
    for buyer in buyers:
        await fill_cart(buyer)
    await people.come_to("pending", *buyers)
    await until(await people.due_at(buyers[0]) - TAKEN_OVER_AFTER + timedelta(seconds=3))
    first.signal(signal.SIGSTOP)
    for one in several:
        assert await one.buy() < await one.due_at(one.buyer)
    await people.come_to("cancelled", *buyers)
    assert [await people.reminders(buyer, smtp) for buyer in buyers] == [0] * 6


async def test_an_order_while_no_notifier_runs_and_a_backlog_waits(
    people: People, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    first = await notifiers.start(smtp)
    await smtp.go_away()
    await people.fill_carts()
    await people.come_to("pending", people.buyer, people.browser)
    await until(await people.due_at(people.buyer) + timedelta(seconds=3))
    await first.kill()
    await people.buy()

    async def has_ordered() -> bool:
        return await people.buyer.stage("cart") == "ordered"

    await eventually(has_ordered)
    await smtp.listen()
    await notifiers.start(smtp)
    await people.ends_well(smtp)


async def test_a_guest_who_logs_in_at_any_time_is_reminded_once(
    http: httpx.AsyncClient, ground: Stack, people: People, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    """Fault 33: before the cart counts as abandoned, while the reminder is planned, and when it is there."""
    guests = [Visit(http, ground.endpoints) for _ in range(3)]
    early, meanwhile, late = guests
    await notifiers.start(smtp)
    for guest in guests:
        await say(guest, "Product Added", properties={"cart_id": f"cart-{guest.user}", **FERN})
    await say(early, "Customer Identified", user_id=early.user)
    await people.come_to("pending", meanwhile)
    await say(meanwhile, "Customer Identified", user_id=meanwhile.user)
    await people.come_to("sent", *guests)
    await say(late, "Customer Identified", user_id=late.user)

    async def all_are_known_by_name() -> bool:
        """To the notifier too."""
        found = [await guest.customers() for guest in guests]
        if not all(found):
            return False
        held = await notifiers.sql(
            "SELECT i.key FROM notifier.instances i WHERE i.customer_id = ANY($1::uuid[]) AND i.track = 'cart'",
            [one[0]["id"] for one in found],
        )
        return {row["key"] for row in held} == {f"cart-{guest.user}" for guest in guests}

    await eventually(all_are_known_by_name, within=60)
    await eventually(lambda: nothing_is_to_go(notifiers), within=60)
    assert [smtp.recipients[guest.email] for guest in guests] == [1, 1, 1]


async def test_news_of_an_earlier_order_thanks_nobody_twice(
    http: httpx.AsyncClient, ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    """Fault 34: it lets another rule confirm the later order, before its thanks went out or after."""
    thanked, waiting = (Visit(http, ground.endpoints) for _ in range(2))
    await notifiers.start(smtp)
    await order(thanked, f"{thanked.user}-2")

    async def is_thanked() -> bool:
        return smtp.recipients[thanked.email] == 1

    await eventually(is_thanked, within=60)
    await smtp.go_away()
    await order(waiting, f"{waiting.user}-2")
    await eventually(lambda: hold_orders(notifiers, waiting, 1), within=60)
    for one in (thanked, waiting):
        await order(one, f"{one.user}-1", occurred_at=(datetime.now(UTC) - timedelta(days=2)).isoformat())
    for one in (thanked, waiting):
        await eventually(lambda one=one: hold_orders(notifiers, one, 2), within=60)
    await smtp.listen()
    await eventually(lambda: nothing_is_to_go(notifiers), within=60)
    assert (smtp.recipients[thanked.email], smtp.recipients[waiting.email]) == (1, 1)


async def say(guest: Visit, name: str, **fields: Any) -> None:  # noqa: ANN401  any JSON
    """Of a device and an address, and of a user only where `fields` name one."""
    event = {"id": uuid4().hex, "name": name, "anonymous_id": f"device-{guest.user}", "email": guest.email, **fields}
    answer = await guest.http.post(
        f"{guest.stack['ingest']}/v1/events", json=event, headers={"X-Write-Key": guest.stack["write_key"]}
    )
    assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}


async def hold_orders(notifiers: Notifiers, visitor: Visit, many: int) -> bool:
    """Whether the notifier has heard of so many of their orders."""
    found = await notifiers.sql(
        "SELECT 1 FROM notifier.instances WHERE track = 'order' AND key LIKE $1", f"{visitor.user}-%"
    )
    return len(found) == many


async def nothing_is_to_go(notifiers: Notifiers) -> bool:
    return not {"pending", "claimed", "sending", "retry"} & (await notifiers.statuses()).keys()
