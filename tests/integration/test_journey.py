"""From a storefront's call to the customer's inbox, through real Kafka, Postgres and SMTP."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from platforms import shopify_headers
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]


async def test_a_cart_left_behind_is_reminded_once(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Customer Identified", email=visit.email, traits={"first_name": "Ann"})
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)
    assert await visit.stage("cart") == "abandoned"
    assert await visit.stage("lifecycle") == "consideration"
    (message,) = await visit.messages()
    assert (message["follow_up"], message["status"]) == ("abandoned-cart", "sent")


async def test_an_order_in_time_stops_the_reminder_and_is_thanked(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Customer Identified", email=visit.email)
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})
    await visit.post(
        "Order Completed",
        properties={"order_id": f"o-{visit.run}", "total": "49.80", "currency": "EUR", "products": [FERN]},
    )

    async def thanked() -> bool:
        return len(await visit.mails()) == 1

    await eventually(thanked)
    (customer,) = await visit.customers()
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["ordered"]
    assert [order["stage"] for order in customer["tracks"]["order"]] == ["placed"]
    assert customer["tracks"]["lifecycle"][0]["stage"] == "purchase"
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "49.80")
    assert {m["follow_up"] for m in await visit.messages()} == {"thank-you"}


async def test_a_visitor_who_logs_in_is_one_customer_with_one_journey(visit: Visit, eventually: Eventually) -> None:
    device = f"device-{visit.run}"
    await visit.post("Product Viewed", user_id=None, anonymous_id=device, properties={"product_id": "fern"})

    async def known_by_device() -> bool:
        return len(await visit.customers(anonymous_id=device)) == 1

    await eventually(known_by_device)
    (before,) = await visit.customers(anonymous_id=device)
    await visit.post("Customer Identified", anonymous_id=device, email=visit.email)

    async def joined() -> bool:
        found = await visit.customers()
        return bool(found) and found[0]["tracks"]["lifecycle"][0]["stage"] == "interest"

    await eventually(joined)
    (after,) = await visit.customers()
    assert (await visit.customers(anonymous_id=device))[0]["id"] == after["id"]
    assert after["identities"]["anonymous_id"] == [device]
    answer = await visit.http.get(
        f"{visit.stack['stage_engine']}/v1/customers/{before['id']}",
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    assert answer.json()["id"] == after["id"], "the id of a former root keeps resolving"


async def test_events_in_any_order_and_twice_end_in_the_same_state(visit: Visit, eventually: Eventually) -> None:
    start = datetime.now(UTC) - timedelta(days=2)

    def at(minutes: int) -> str:
        return (start + timedelta(minutes=minutes)).isoformat()

    order = {"order_id": f"o-{visit.run}", "total": 10}
    viewed = {"id": f"v-{visit.run}", "occurred_at": at(0)}
    await visit.post("Order Completed", occurred_at=at(20), properties=order)
    await visit.post("Product Added", occurred_at=at(10), properties={"cart_id": f"c-{visit.run}", **FERN})
    await visit.post("Product Viewed", **viewed)
    await visit.post("Product Viewed", **viewed)

    async def folded() -> bool:
        found = await visit.customers()
        return bool(found) and found[0]["facts"]["views_7d"] == 1 and found[0]["tracks"]["cart"] != []

    await eventually(folded)
    (customer,) = await visit.customers()
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["ordered"]
    assert customer["tracks"]["lifecycle"][0]["stage"] == "purchase"
    (then,) = await visit.customers(user_id=visit.user, at=at(15))
    assert then["tracks"]["lifecycle"][0]["stage"] == "consideration"
    assert then["tracks"]["cart"][0]["stage"] == "abandoned"
    assert await visit.mails() == [], "two days later nobody is mailed about it"


async def test_an_unknown_event_is_kept(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Moon Landed", properties={"crater": "Tycho"})

    async def kept() -> bool:
        found = await visit.customers()
        return bool(found) and found[0]["tracks"]["lifecycle"][0]["stage"] == "awareness"

    await eventually(kept)
    (customer,) = await visit.customers()
    answer = await visit.http.get(
        f"{visit.stack['stage_engine']}/v1/customers/{customer['id']}/timeline",
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    assert [i["properties"] for i in answer.json()["timeline"] if i["kind"] == "event"] == [{"crater": "Tycho"}]


async def test_operators_routes_refuse_a_write_key_and_no_key(visit: Visit) -> None:
    url = f"{visit.stack['stage_engine']}/v1/stages"
    assert (await visit.http.get(url)).status_code == 401
    refused = await visit.http.get(url, headers={"Authorization": f"Bearer {visit.stack['write_key']}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_a_shopify_order_its_parcel_and_its_refund_are_one_customer_s(
    visit: Visit, eventually: Eventually
) -> None:
    """The refund names nobody, comes to two subscriptions, and before the order: it is taken off once."""
    order, customer = int(visit.run, 16) + 10**15, int(visit.run, 16)
    now = datetime.now(UTC)

    async def said(topic: str, delivery: str, document: dict[str, object]) -> None:
        raw = json.dumps(document).encode()
        answer = await visit.http.post(
            f"{visit.stack['ingest']}/v1/webhooks/shopify/{visit.stack['storefront']}",
            content=raw,
            headers=shopify_headers(topic, raw, visit.stack["webhook_secret"], webhook_id=f"{delivery}-{visit.run}"),
        )
        assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}

    back = {"kind": "refund", "status": "success", "amount": "9.90", "currency": "EUR"}
    refund = {"id": order + 1, "order_id": order, "transactions": [back], "processed_at": now.isoformat()}
    await said("refunds/create", "r1", refund)
    await said("refunds/create", "r2", refund)
    await said("fulfillments/create", "f1", {"id": order + 2, "order_id": order, "created_at": now.isoformat()})
    await said(
        "orders/create",
        "o1",
        {
            "id": order,
            "email": visit.email,
            "created_at": (now - timedelta(minutes=1)).isoformat(),
            "financial_status": "paid",
            "total_price": "49.80",
            "subtotal_price": "49.80",
            "currency": "EUR",
            "customer": {"id": customer, "first_name": "Ann"},
            "line_items": [{"product_id": 7, "title": "Boston fern", "quantity": 2, "price": "24.90"}],
        },
    )

    async def counted() -> bool:
        found = await visit.customers(user_id=str(customer))
        return [one["facts"].get("revenue") for one in found] == ["39.90"]

    await eventually(counted)
    (found,) = await visit.customers(user_id=str(customer))
    assert found["facts"]["orders"] == 1
    assert [one["key"] for one in found["tracks"]["order"]] == [str(order)]
    assert found["identities"]["email"] == [visit.email]
