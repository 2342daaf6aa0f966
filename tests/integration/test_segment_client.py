"""`segment-analytics-python` 2.4.0, unmodified: only its host is ours."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segment.analytics.client import Client
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]


async def test_an_unmodified_segment_client_drives_a_cart_to_a_reminder(visit: Visit, eventually: Eventually) -> None:
    with client_of(visit) as client:
        client.identify(visit.user, {"email": visit.email, "firstName": "Ann"})
        client.track(visit.user, "Product Viewed", {"product_id": "fern"})
        client.track(visit.user, "Product Added", {"cart_id": f"c-{visit.run}", **FERN})

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)
    (customer,) = await visit.customers()
    assert customer["identities"]["email"] == [visit.email]
    assert customer["traits"]["firstName"] == "Ann"
    assert customer["facts"]["views_7d"] == 1
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["abandoned"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_every_call_arrives_once_as_the_right_customer_s_and_in_its_time(
    visit: Visit,
    eventually: Eventually,
    packed: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    start = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)
    device = f"device-{visit.run}"

    def at(minutes: int) -> datetime:
        return start + timedelta(minutes=minutes)

    def shop() -> None:
        with client_of(visit, gzip=packed) as client:
            client.page(anonymous_id=device, name="Home", timestamp=at(0))
            client.track(
                anonymous_id=device, event="Product Viewed", properties={"product_id": "fern"}, timestamp=at(1)
            )
            client.identify(visit.user, {"email": visit.email}, anonymous_id=device, timestamp=at(2))
            client.group(visit.user, "gardeners", {"size": 12}, timestamp=at(3))
            client.track(visit.user, "Completed Order", {"order_id": 1001, "total": "25.00"}, timestamp=at(4))
            client.alias(f"former-{visit.run}", visit.user, timestamp=at(5))

    await asyncio.to_thread(shop)
    names = [
        "Page Viewed",
        "Product Viewed",
        "Customer Identified",
        "Group Joined",
        "Order Completed",
        "Identity Aliased",
    ]

    async def all_came() -> bool:
        return len(await visit.did()) >= len(names) and bool(await visit.customers(user_id=f"former-{visit.run}"))

    await eventually(all_came)
    happened = await visit.did()
    assert [(event["name"], datetime.fromisoformat(event["at"])) for event in happened] == [
        (name, at(minute)) for minute, name in enumerate(names)
    ]
    (customer,) = await visit.customers()
    assert set(customer["identities"]["user_id"]) == {visit.user, f"former-{visit.run}"}
    assert customer["identities"]["email"] == [visit.email]
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "25.00")


@contextmanager
def client_of(visit: Visit, **options: Any) -> Iterator[Client]:  # noqa: ANN401  whatever it takes
    """Sends all that it was given by the end; what it failed to send fails the test."""
    faults: list[object] = []
    client = Client(
        visit.stack["write_key"],
        host=visit.stack["ingest"],
        on_error=lambda error, batch: faults.append((error, batch)),
        upload_interval=0.1,
        **options,
    )
    yield client
    client.shutdown()
    assert faults == []
