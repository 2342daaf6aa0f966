"""What is pasted into Shopify and put into WooCommerce, in as much of either as it sees."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import which

import pytest
from doc_walk import ROOT
from playwright.async_api import Page
from visiting import Visit

CLIENTS = Path(__file__).with_name("clients")
PIXEL = ROOT / "examples" / "shopify-pixel" / "pixel.js"
PLUGIN = ROOT / "examples" / "woocommerce" / "stagepost-carts.php"
Eventually = Callable[..., Awaitable[None]]


async def test_shopify_s_pixel_tells_a_visit_and_leaves_the_order_to_the_webhook(
    page: Page, web: str, web_root: Path, visit: Visit, eventually: Eventually
) -> None:
    pixel = PIXEL.read_text(encoding="utf-8")
    pixel = pixel.replace("https://events.shop.example", visit.stack["ingest"])
    pixel = pixel.replace("YOUR_BROWSER_KEY", visit.stack["browser_key"])
    scripts = ((CLIENTS / "shopify-sandbox.js").read_text(encoding="utf-8"), pixel)
    (web_root / "pixel.html").write_text(
        '<!doctype html><link rel="icon" href="data:,">' + "".join(f"<script>{script}</script>" for script in scripts),
        encoding="utf-8",
    )
    await page.goto(f"{web}/pixel.html")
    await page.evaluate("visit => playVisit(visit)", {"run": visit.run, "email": visit.email})
    expected = Counter(
        ("Page Viewed", "Products Searched", "Product Viewed", "Product Added", "Cart Viewed", "Checkout Started")
    ) + Counter({"Customer Identified": 1})
    visitor = {"anonymous_id": f"visitor-{visit.run}"}

    async def all_came() -> bool:
        return len(await visit.did(**visitor)) >= expected.total()

    await eventually(all_came)
    told = {event["name"]: event for event in await visit.did(**visitor)}
    assert Counter(event["name"] for event in await visit.did(**visitor)) == expected
    added = told["Product Added"]["properties"]
    assert (added["product_id"], added["sku"], added["price"], added["quantity"]) == ("632910392", "FERN-S", 24.9, 2)
    assert told["Checkout Started"]["properties"]["checkout_id"] == f"checkout-{visit.run}"
    (customer,) = await visit.customers(email=visit.email)
    assert customer["identities"]["anonymous_id"] == [visitor["anonymous_id"]]

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)


@pytest.mark.skipif(which("php") is None, reason="php is not installed; this test runs a plugin written in it")
async def test_woocommerce_s_plugin_tells_each_change_of_a_cart_once_and_whose_it_is(
    visit: Visit, eventually: Eventually
) -> None:
    running = await asyncio.create_subprocess_exec(
        "php",
        str(CLIENTS / "wordpress.php"),
        str(PLUGIN),
        env={
            **os.environ,
            "INGEST": visit.stack["ingest"],
            "WRITE_KEY": visit.stack["write_key"],
            "EMAIL": visit.email,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        printed, _ = await running.communicate()
    assert printed.decode().split() == ['{"received":1,"accepted":1,"rejected":[]}'] * 3

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)
    happened = await visit.did(email=visit.email)
    assert [event["name"] for event in happened] == ["Cart Updated"] * 3, (
        "the carts of the guest, once known, are theirs"
    )
    assert [[item["quantity"] for item in event["properties"]["products"]] for event in happened] == [[1], [2], [2]]
    (customer,) = await visit.customers(email=visit.email)
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["abandoned"]
