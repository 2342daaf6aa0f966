"""The sample shop in a real browser, with Segment's own analytics.js and with the small client: it ends in mails."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from playwright.async_api import Page, expect
from visiting import Visit

Eventually = Callable[..., Awaitable[None]]
CHECKOUT = Counter(
    {
        ("Page Viewed", "Home"): 1,
        ("Page Viewed", "Product"): 1,
        ("Product Viewed", "boston-fern"): 1,
        ("Product Added", "boston-fern"): 2,
        ("Page Viewed", "Cart"): 1,
        ("Cart Viewed", None): 1,
        ("Page Viewed", "Checkout"): 1,
        ("Checkout Started", None): 1,
        ("Customer Identified", None): 1,
    }
)
"""What a visitor who goes `to_the_checkout` and leaves an address has done."""


async def test_whoever_leaves_an_address_and_a_cart_is_reminded_once(
    page: Page, shop_url: str, visit: Visit, eventually: Eventually
) -> None:
    start = datetime.now(UTC)
    await to_the_checkout(page, shop_url)
    await leave(page, visit.email)
    left = datetime.now(UTC)

    async def reminded() -> bool:
        return len(await visit.mails()) >= 1

    await eventually(reminded)
    (customer,) = await visit.customers(email=visit.email)
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["abandoned"]
    happened = await visit.did(email=visit.email)
    assert told_by(happened) == CHECKOUT
    assert all(start <= datetime.fromisoformat(event["at"]) <= left for event in happened)
    assert {event["said_by"] for event in happened} == {"browser"}
    assert len({event["event_id"] for event in happened}) == len(happened)
    (text,) = await texts(visit)
    assert "Boston fern in a clay pot" in text, "as the shop's server calls it"
    assert "€24.90" in text


async def test_whoever_buys_is_thanked_and_the_order_is_the_server_s_word(
    page: Page, shop_url: str, visit: Visit, eventually: Eventually
) -> None:
    await to_the_checkout(page, shop_url)
    await leave(page, visit.email)
    await page.get_by_role("button", name="Place the order").click()
    await expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
    order = await page.locator("#order").inner_text()

    async def thanked() -> bool:
        found = await visit.customers(email=visit.email)
        return bool(found) and "thank-you" in {message["follow_up"] for message in await sent(visit)}

    await eventually(thanked)
    (customer,) = await visit.customers(email=visit.email)
    assert [(row["key"], row["stage"]) for row in customer["tracks"]["order"]] == [(order, "placed")]
    assert {cart["stage"] for cart in customer["tracks"]["cart"]} == {"ordered"}
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "49.80")
    ordered = [event for event in await visit.did(email=visit.email) if event["name"] == "Order Completed"]
    assert [event["said_by"] for event in ordered] == ["server"]
    assert await page.locator("#count").inner_text() == "0"


async def test_what_the_small_client_could_not_send_comes_once_when_it_can(
    unsteady: Page, shop_as_it_lies: str, visit: Visit, eventually: Eventually
) -> None:
    calls = f"{visit.stack['ingest']}/**"
    await unsteady.route(calls, lambda route: route.fulfill(status=503))
    await to_the_checkout(unsteady, shop_as_it_lies)
    await unsteady.unroute(calls)
    await leave(unsteady, visit.email)

    async def told() -> bool:
        return len(await visit.did(email=visit.email)) >= CHECKOUT.total()

    await eventually(told)
    assert told_by(await visit.did(email=visit.email)) == CHECKOUT


async def to_the_checkout(page: Page, shop_url: str) -> None:
    """Two Boston ferns in the cart."""
    await page.goto(shop_url)
    await page.get_by_role("link", name="Boston fern").click()
    await page.get_by_role("button", name="Add to cart").click()
    await page.get_by_role("link", name="your cart").click()
    await page.get_by_role("button", name="One more of Boston fern").click()
    await page.get_by_role("link", name="To the checkout").click()


async def leave(page: Page, email: str) -> None:
    await page.get_by_label("Your email").fill(email)
    await page.get_by_label("Your email").blur()


async def texts(visit: Visit) -> list[str]:
    box = visit.stack["mailbox"]
    listed = (await visit.http.get(f"{box}/api/v1/messages", params={"limit": 500})).json()["messages"]
    ids = [message["ID"] for message in listed if message["To"][0]["Address"] == visit.email]
    return [(await visit.http.get(f"{box}/api/v1/message/{id_}")).json()["Text"] for id_ in ids]


async def sent(visit: Visit) -> list[dict[str, str]]:
    (customer,) = await visit.customers(email=visit.email)
    answer = await visit.http.get(
        f"{visit.stack['notifier']}/v1/customers/{customer['id']}/messages",
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    return [message for message in answer.json()["messages"] if message["status"] == "sent"]


def told_by(happened: list[dict[str, Any]]) -> Counter[tuple[str, str | None]]:
    return Counter(
        (event["name"], event["properties"].get("name" if event["name"] == "Page Viewed" else "product_id"))
        for event in happened
    )
