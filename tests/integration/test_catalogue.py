"""The catalogue: from a shop's server over Kafka into the notifier's own table, and from there into mails."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from visiting import Visit

from notifier import catalogue_store
from notifier.tables import products
from services.contracts.products import Product, ProductGone, Variant
from services.postgres import create_engine, reading, transaction
from services.settings import PostgresSettings
from tests.integration.notifier_world import database

Eventually = Callable[..., Awaitable[None]]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHIRT = Product(
    storefront="shop",
    product_id="17",
    name="Shirt",
    updated_at=NOON,
    variants=(Variant(id="8", sku="S-8", price=Decimal("20.00")), Variant(id="9", sku="S-9", price=Decimal("21.00"))),
)


@pytest.fixture
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with database(postgres) as found:
        yield found


async def save(engine: AsyncEngine, *said: Product | ProductGone) -> None:
    async with transaction(engine) as connection:
        await catalogue_store.save(connection, said)


async def found(engine: AsyncEngine, *names: str, storefront: str = "shop") -> list[tuple[str | None, Decimal | None]]:
    async with reading(engine) as connection:
        catalogues = await catalogue_store.load(connection, {storefront: names})
    return [(entry.variant_id, entry.price) for one in catalogues.values() for entry in one.entries]


WHOLE = [(None, None), ("8", Decimal("20.00")), ("9", Decimal("21.00"))]


async def test_a_product_is_found_with_its_variants_and_each_by_its_number(engine: AsyncEngine) -> None:
    await save(engine, SHIRT)
    assert await found(engine, "17") == WHOLE
    assert await found(engine, "S-8") == await found(engine, "8") == [("8", Decimal("20.00"))]
    assert await found(engine, "17", "S-8", "nothing") == WHOLE
    assert await found(engine, "17", storefront="other") == []


async def test_what_is_said_later_stands_in_place_of_all_that_was_said(engine: AsyncEngine) -> None:
    await save(engine, SHIRT)
    later = Product(storefront="shop", product_id="17", updated_at=NOON + timedelta(hours=1), price=Decimal(5))
    await save(engine, later)
    assert await found(engine, "17", "8") == [(None, Decimal(5))]
    await save(engine, SHIRT)
    assert await found(engine, "17") == [(None, Decimal(5))], "a platform may deliver what is older later"
    await save(engine, later, SHIRT)
    assert await found(engine, "17") == [(None, Decimal(5))]


async def test_what_is_gone_is_gone_and_may_come_back(engine: AsyncEngine) -> None:
    own = Product(storefront="shop", product_id="17", variant="red", price=Decimal(7))
    await save(engine, SHIRT, own, ProductGone(storefront="shop", product_id="17"))
    assert await found(engine, "17") == [("red", Decimal(7))], "a variant said by itself is gone by itself"
    await save(engine, ProductGone(storefront="shop", product_id="17", variant="red"), SHIRT)
    assert await found(engine, "17") == WHOLE


async def test_a_browser_s_cart_is_reminded_of_by_the_catalogue_s_name_and_price(
    visit: Visit, eventually: Eventually
) -> None:
    """As analytics.js tells it, with a public key: what its page calls the thing comes into no mail."""
    fern, forged = f"fern-{visit.run}", "Call 0900-SCAM"
    said = {"product_id": fern, "name": "Boston fern", "price": "24.90", "currency": "EUR", "url": "/plants/fern"}
    await post(visit, "/v1/products", visit.stack["write_key"], said)
    notifier = create_engine(PostgresSettings(dsn=visit.stack["postgres"]), application="test")

    async def read() -> bool:
        async with reading(notifier) as connection:
            one = sa.select(sa.func.count()).where(products.c.product_id == fern)
            return await connection.scalar(one) == 1

    await eventually(read)
    await notifier.dispose()
    browser = visit.stack["browser_key"]
    who = {"anonymousId": f"device-{visit.run}"}
    await post(visit, "/v1/i", browser, {**who, "traits": {"email": visit.email}, "messageId": f"i-{visit.run}"})
    added = {"product_id": fern, "name": forged, "variant": forged, "price": 0.01, "url": "https://evil.example",
             "quantity": 2}  # fmt: skip
    await post(visit, "/v1/t", browser,
               {**who, "event": "Product Added", "properties": added, "messageId": f"t-{visit.run}"})  # fmt: skip

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)
    mail = await mail_to(visit)
    for part in (mail["Text"], mail["HTML"]):
        assert "Boston fern" in part
        assert "24.90" in part
        assert forged not in part
        assert "evil.example" not in part
    assert "https://fern-and-fable.example/plants/fern" in mail["HTML"]


async def post(visit: Visit, path: str, key: str, body: dict[str, Any]) -> None:
    answer = await visit.http.post(
        f"{visit.stack['ingest']}{path}",
        content=json.dumps({**body, "writeKey": key} if path != "/v1/products" else body),
        headers={"Content-Type": "text/plain", **({"X-Write-Key": key} if path == "/v1/products" else {})},
    )
    assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}


async def mail_to(visit: Visit) -> dict[str, Any]:
    """The one that came."""
    box = visit.stack["mailbox"]
    listed = (await visit.http.get(f"{box}/api/v1/messages", params={"limit": 500})).json()["messages"]
    (id_,) = [one["ID"] for one in listed if one["To"][0]["Address"] == visit.email]
    found: dict[str, Any] = (await visit.http.get(f"{box}/api/v1/message/{id_}")).json()
    return found
