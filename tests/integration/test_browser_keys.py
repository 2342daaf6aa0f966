"""What a web page's key can't do, tried on the whole stack: anybody who opens a shop's page has that key.

A browser may stop mail; it may not start or aim it beyond one.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]

_networks = count(1)


class Page:
    """A browser in a network of its own (a /24 of this machine's loopback), with a key that anybody can read."""

    def __init__(self, http: httpx.AsyncClient, visit: Visit, key: str) -> None:
        self._http, self._visit, self._key = http, visit, key
        self.device = f"device-{uuid4().hex[:8]}"

    async def say(self, name: str, /, **fields: Any) -> str:  # noqa: ANN401  any JSON
        """The event's id."""
        event = {"id": uuid4().hex, "name": name, "anonymous_id": self.device, **fields}
        answer = await self._http.post(
            f"{self._visit.stack['ingest']}/v1/events",
            json=event,
            headers={"X-Write-Key": self._key, "X-Forwarded-For": f"198.51.{uuid4().int % 256}.7"},
        )
        assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}
        return str(event["id"])

    async def leave_a_cart(self, email: str, **product: Any) -> None:  # noqa: ANN401  any JSON
        await self.say("Product Added", email=email, properties={"cart_id": uuid4().hex, **FERN, **product})


@asynccontextmanager
async def opened(visit: Visit, key: str) -> AsyncIterator[Page]:
    transport = httpx.AsyncHTTPTransport(local_address=f"127.200.{next(_networks)}.1")
    async with httpx.AsyncClient(transport=transport, timeout=30) as http:
        yield Page(http, visit, key)


@pytest.fixture
async def page(visit: Visit) -> AsyncIterator[Page]:
    async with opened(visit, visit.stack["browser_key"]) as page:
        yield page


async def outcomes(visit: Visit, **who: str) -> list[tuple[str, str, str | None]]:
    """Follow-up, status and reason of each message to a customer that exists."""
    (customer,) = await visit.customers(**who)
    answer = await visit.http.get(
        f"{visit.stack['notifier']}/v1/customers/{customer['id']}/messages",
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    return [(m["follow_up"], m["status"], m["reason"]) for m in answer.json()["messages"]]


async def body_to(visit: Visit, address: str) -> str:
    """All parts of the one mail that this address got."""
    listed = await visit.http.get(f"{visit.stack['mailbox']}/api/v1/messages", params={"limit": 500})
    (found,) = [m for m in listed.json()["messages"] if m["To"][0]["Address"] == address]
    mail = (await visit.http.get(f"{visit.stack['mailbox']}/api/v1/message/{found['ID']}")).json()
    return f"{mail['Subject']}\n{mail['Text']}\n{mail['HTML']}"


async def test_a_page_is_no_cannon_for_mail_to_strangers(visit: Visit, page: Page, eventually: Eventually) -> None:
    """From one network, whatever X-Forwarded-For says, under another device for each address."""
    strangers = [f"stranger-{number}-{visit.run}@example.com" for number in range(12)]
    for stranger in strangers:
        page.device = f"device-{uuid4().hex[:8]}"
        await page.leave_a_cart(stranger)
    settled = [[("abandoned-cart", "sent", None)], [("abandoned-cart", "withheld", "claim_capped")]]

    async def all_decided() -> bool:
        for stranger in strangers:
            if not await visit.customers(email=stranger) or await outcomes(visit, email=stranger) not in settled:
                return False
        return True

    await eventually(all_decided, within=60)
    assert sum([len(await visit.mails(stranger)) for stranger in strangers]) == 5
    async with opened(visit, visit.stack["browser_key"]) as neighbour:
        await neighbour.leave_a_cart(f"neighbour-{visit.run}@example.com")
    await eventually(lambda: one_mail(visit, f"neighbour-{visit.run}@example.com"))


async def one_mail(visit: Visit, address: str) -> bool:
    return len(await visit.mails(address)) == 1


async def test_a_newcomer_of_a_shop_whose_pages_alone_speak_is_reminded_exactly_once(
    visit: Visit, page: Page, eventually: Eventually
) -> None:
    await page.leave_a_cart(visit.email)
    await eventually(lambda: one_mail(visit, visit.email))
    await page.leave_a_cart(visit.email)

    async def second_is_withheld() -> bool:
        return ("abandoned-cart", "withheld", "claim_spent") in await outcomes(visit, email=visit.email)

    await eventually(second_is_withheld)
    assert await one_mail(visit, visit.email)


async def test_nothing_that_a_page_writes_comes_into_a_mail(visit: Visit, page: Page, eventually: Eventually) -> None:
    evil = "https://evil.example"
    await page.say("Customer Identified", email=visit.email, traits={"first_name": "Click evil.example"})
    await page.leave_a_cart(
        visit.email,
        name="You have won, see evil.example",
        price=0.01,
        url=evil,
        image_url=f"{evil}/x.png",
        cart_url=evil,
    )
    await eventually(lambda: one_mail(visit, visit.email))
    body = await body_to(visit, visit.email)
    assert "evil" not in body
    assert "won" not in body
    assert "0.01" not in body
    assert "fern-and-fable.example" in body


async def test_a_forged_order_ends_the_cart_and_does_nothing_else(
    visit: Visit, page: Page, eventually: Eventually
) -> None:
    await visit.post("Customer Identified", email=visit.email)
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})
    await page.say("Order Completed", user_id=visit.user, properties={"order_id": f"o-{visit.run}", "total": 99_999})

    async def ended() -> bool:
        return await visit.stage("cart") == "ordered"

    await eventually(ended)
    (customer,) = await visit.customers()
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (0, "0.00")
    assert customer["tracks"]["order"] == []
    assert await visit.stage("lifecycle") == "consideration"
    await visit.post("Order Completed", properties={"order_id": f"real-{visit.run}", "total": 20, "currency": "EUR"})
    await eventually(lambda: one_mail(visit, visit.email))
    assert [(follow_up, status) for follow_up, status, _ in await outcomes(visit, user_id=visit.user)] == [
        ("thank-you", "sent")
    ], "the real order alone is thanked for"


async def test_a_known_account_s_address_is_not_a_page_s_to_change(
    visit: Visit, page: Page, eventually: Eventually
) -> None:
    attacker = f"attacker-{visit.run}@example.com"
    await visit.post("Customer Identified", email=visit.email)
    await page.say("Customer Identified", user_id=visit.user, email=attacker, traits={"email": attacker})
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})
    await eventually(lambda: one_mail(visit, visit.email))
    assert await visit.mails(attacker) == []


async def test_a_guest_s_orders_are_not_to_be_pulled_to_an_account(
    visit: Visit, page: Page, eventually: Eventually
) -> None:
    attacker, order = f"attacker-{visit.run}", {"order_id": f"o-{visit.run}", "total": 20, "currency": "EUR"}
    await visit.post("Order Completed", user_id=None, email=visit.email, properties=order)
    await page.say("Customer Identified", user_id=attacker, email=visit.email)
    await page.say("Identity Aliased", user_id=attacker, properties={"previous_id": visit.email})
    await page.say("Product Viewed", user_id=attacker, properties={"product_id": "last"})

    async def both_are_folded() -> bool:
        guests, attackers = await visit.customers(email=visit.email), await visit.customers(user_id=attacker)
        return bool(guests and attackers) and attackers[0]["facts"]["views_7d"] == 1

    await eventually(both_are_folded)
    (guest,), (thief,) = await visit.customers(email=visit.email), await visit.customers(user_id=attacker)
    assert guest["id"] != thief["id"]
    assert (guest["facts"]["orders"], thief["facts"]["orders"]) == (1, 0)
    assert thief["identities"]["email"] == []


async def test_what_only_a_server_may_say_becomes_a_dead_letter_and_a_page_may_only_unsubscribe(
    visit: Visit, page: Page, eventually: Eventually
) -> None:
    order = {"order_id": f"o-{visit.run}", "total": 20, "currency": "EUR"}
    await visit.post("Order Completed", email=visit.email, properties=order)
    await visit.post("Email Subscribed")
    await page.say("Email Unsubscribed", user_id=visit.user)
    forged = [
        await page.say(name, user_id=visit.user, properties={**order, **properties})
        for name, properties in (
            ("Order Refunded", {}),
            ("Order Cancelled", {}),
            ("Order Updated", {"total": 0}),
            ("Survey Answered", {"kind": "nps", "score": 10}),
            ("Message Bounced", {}),
            ("Message Complained", {}),
            ("Stage Set", {"track": "lifecycle", "stage": "advocacy"}),
            ("Email Subscribed", {}),
        )
    ]
    connection = await asyncpg.connect(visit.stack["postgres"])

    async def letters() -> list[str]:
        rows = await connection.fetch(
            "SELECT code, convert_from(raw, 'UTF8') AS raw FROM engine.dead_letters WHERE position($1 in raw) > 0",
            visit.user.encode(),
        )
        assert {row["code"] for row in rows} <= {"untrusted_source"}
        return [event_id for event_id in forged if any(event_id in row["raw"] for row in rows)]

    async def all_are_letters() -> bool:
        return await letters() == forged

    async def withdrawn() -> bool:
        (customer,) = await visit.customers()
        return bool(customer["consent"].get("email") is False)

    try:
        await eventually(all_are_letters)
    finally:
        await connection.close()
    await eventually(withdrawn)
    (customer,) = await visit.customers()
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "20.00")
    assert [order["stage"] for order in customer["tracks"]["order"]] == ["placed"]
    assert await visit.stage("lifecycle") == "purchase"


async def test_where_pages_are_trusted_their_orders_count_and_their_addresses_stay_claims(
    visit: Visit, eventually: Eventually
) -> None:
    environment = {**os.environ, "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": visit.stack["kafka"]}
    command = (sys.executable, "-m", "services", "keys", "create", "page-shop", "--kind", "browser")
    made = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    key = made.stdout.strip()

    async def known() -> bool:
        url = f"{visit.stack['ingest']}/v1/projects/{key}/settings"
        return (await visit.http.get(url)).status_code == 200

    await eventually(known, within=10)
    async with opened(visit, key) as page:
        for number in range(2):
            order = {"order_id": f"o{number}-{visit.run}", "total": 20, "currency": "EUR"}
            await page.say("Order Completed", email=visit.email, properties=order)
        await page.leave_a_cart(visit.email)

    async def counted() -> bool:
        found = await visit.customers(email=visit.email, storefront="page-shop")
        return bool(found) and found[0]["facts"]["orders"] == 2

    await eventually(counted)

    async def decided() -> bool:
        found = await outcomes(visit, email=visit.email, storefront="page-shop")
        return len(found) == 3 and {status for _, status, _ in found} == {"sent", "withheld"}

    await eventually(decided)
    assert await one_mail(visit, visit.email), "thanked once, and neither for the second order nor for the cart"
