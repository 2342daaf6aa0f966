"""What WooCommerce's webhooks say in our vocabulary: its own payloads, and each rule by itself."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platforms import RECEIVED, as_asgi, decided, events_in, prepared, woocommerce_headers

from ingest.decide import Decision
from ingest.dialects.woocommerce import SOLD, TOPICS, open_delivery
from services.contracts.events import Event
from services.contracts.identity import Who

ORDER: dict[str, Any] = {
    "id": 727,
    "status": "processing",
    "currency": "EUR",
    "total": "29.35",
    "total_tax": "1.35",
    "shipping_total": "10.00",
    "date_created": "2026-11-22T06:28:02",
    "date_created_gmt": "2026-11-22T09:28:02",
    "date_paid_gmt": "2026-11-22T09:29:00",
    "date_modified_gmt": "2026-11-22T09:29:30",
    "customer_id": 26,
    "billing": {"email": "ada@shop.example", "first_name": "Ada", "phone": ""},
    "line_items": [{"product_id": 93, "variation_id": 0, "name": "Mug", "quantity": 2, "price": 9, "total": "18.00"}],
    "refunds": [],
}


def told(topic: str, document: object) -> Decision:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decided(open_delivery(prepared(raw), as_asgi(woocommerce_headers(topic, raw, "secret"))))


def events(topic: str, document: object) -> list[Event]:
    decision = told(topic, document)
    assert decision.rejected == ()
    return events_in(decision)


def named(document: dict[str, Any], name: str) -> Event:
    (event,) = [event for event in events("order.updated", document) if event.name == name]
    return event


def test_the_order_of_a_guest_is_a_sale(shared_data: Callable[[str], str]) -> None:
    raw = shared_data("webhooks/woocommerce_docs_v3__order_processing.json").encode()
    sale, identified = events("order.created", raw)
    assert (sale.name, sale.who) == ("Order Completed", Who(email="john.doe@example.com", phone="(555) 555-5555"))
    assert sale.occurred_at == datetime(2017, 3, 22, 19, 28, 8, tzinfo=UTC)
    wanted = {"order_id": "727", "total": 29.35, "revenue": 18.0, "shipping": 10.0, "tax": 1.35, "currency": "USD"}
    assert wanted.items() <= sale.properties.items()
    assert sale.properties["products"] == [
        {"product_id": "93", "name": "Woo Single #1", "price": 3, "quantity": 2},
        {
            "product_id": "22",
            "variant_id": "23",
            "sku": "Bar3",
            "name": "Ship Your Idea \N{EN DASH} Color: Black, Size: M Test",
            "price": 12,
            "quantity": 1,
        },
    ]
    assert identified.who.cart_token == "order:727"


def test_a_completed_order_tells_of_its_sale_its_parcel_and_its_refunds(shared_data: Callable[[str], str]) -> None:
    order = json.loads(shared_data("webhooks/woocommerce_docs_v3__orders_list.json"))[1]
    found = {event.id: event for event in events("order.updated", order)}
    assert sorted(event.name for event in found.values()) == [
        "Customer Identified",
        "Order Completed",
        "Order Refunded",
        "Order Refunded",
        "Order Shipped",
    ]
    assert found["woocommerce:refund:723:726"].properties["total"] == 10.0
    assert {event.who.user_id for event in found.values()} == {"26"}
    shipped = found["woocommerce:order:723:completed"]
    assert shipped.occurred_at == datetime(2017, 3, 21, 19, 54, 51, tzinfo=UTC)


def test_a_refund_by_itself_is_the_one_that_its_order_tells_of(shared_data: Callable[[str], str]) -> None:
    (event,) = events("refund.created", shared_data("webhooks/woocommerce_docs_v3__order_refund.json").encode())
    assert (event.id, event.name) == ("woocommerce:refund:723:726", "Order Refunded")
    assert (event.properties["total"], event.who) == (10.0, Who(cart_token="order:723"))


def test_a_customer_is_identified(shared_data: Callable[[str], str]) -> None:
    (event,) = events("customer.created", shared_data("webhooks/woocommerce_docs_v3__customer.json").encode())
    assert event.who == Who(user_id="25", email="john.doe@example.com", phone="(555) 555-5555")
    assert (event.traits["first_name"], event.traits["country"]) == ("John", "US")
    assert event.occurred_at == datetime(2017, 3, 21, 19, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "name", "at"),
    [
        *((status, "Order Completed", "09:29:00") for status in sorted(SOLD)),
        ("pending", "Checkout Started", "09:28:02"),
        ("checkout-draft", "Checkout Started", "09:28:02"),
        ("failed", "Payment Failed", "09:29:30"),
        ("cancelled", "Order Cancelled", "09:29:30"),
        ("awaiting-pickup", "Order Completed", "09:29:00"),
    ],
)
def test_the_status_says_what_an_order_is(status: str, name: str, at: str) -> None:
    event = events("order.updated", {**ORDER, "status": status})[0]
    assert (event.name, f"{event.occurred_at:%H:%M:%S}") == (name, at)


def test_what_is_not_paid_yet_is_dated_when_it_was_placed() -> None:
    unpaid = {**ORDER, "date_paid_gmt": None}
    on_hold = events("order.updated", {**unpaid, "status": "on-hold"})[0]
    assert (on_hold.name, on_hold.occurred_at.second) == ("Order Completed", 2)
    assert events("order.updated", {**unpaid, "status": "awaiting-pickup"})[0].name == "Order Updated"


@pytest.mark.parametrize(
    ("price", "taken"), [(16.666666666666668, 16.6667), (0.0033333333333333335, 0.0033), (4.35, 4.35), ("12.50", 12.5)]
)
def test_a_price_that_was_divided_is_taken_to_four_places(price: float | str, taken: float) -> None:
    line = {"product_id": 93, "quantity": 3, "price": price}
    (product,) = events("order.created", {**ORDER, "line_items": [line]})[0].properties["products"]
    assert product == {"product_id": "93", "quantity": 3, "price": taken}


def test_a_guest_is_no_account_and_an_empty_phone_is_none() -> None:
    assert events("order.created", {**ORDER, "customer_id": 0})[0].who == Who(email="ada@shop.example")
    assert events("order.created", ORDER)[0].who == Who(user_id="26", email="ada@shop.example")


def test_an_order_that_is_refunded_without_a_refund_is_so_as_a_whole() -> None:
    event = named({**ORDER, "status": "refunded"}, "Order Refunded")
    assert "total" not in event.properties


def test_a_deleted_order_is_cancelled_for_whoever_placed_it() -> None:
    (event,) = events("order.deleted", {"id": 727})
    assert (event.name, event.who) == ("Order Cancelled", Who(cart_token="order:727"))
    assert event.properties == {"order_id": "727"}


def test_copies_are_told_apart_by_topic_resource_change_and_body_and_by_nothing_else() -> None:
    one = events("order.updated", ORDER)[0].id
    assert events("order.updated", ORDER)[0].id == one
    others = [
        events("order.created", ORDER)[0].id,
        events("order.updated", {**ORDER, "id": 728})[0].id,
        events("order.updated", {**ORDER, "date_modified_gmt": "2026-11-22T09:29:31"})[0].id,
        events("order.updated", {**ORDER, "total": "1.00"})[0].id,
    ]
    assert len({one, *others}) == 5


def test_of_two_copies_with_one_time_the_one_changed_later_sorts_last() -> None:
    earlier = events("order.updated", ORDER)[0]
    later = events("order.created", {**ORDER, "date_modified_gmt": "2026-11-22T09:29:59"})[0]
    assert (later.occurred_at, later.id > earlier.id) == (earlier.occurred_at, True)


def test_what_is_not_understood_is_kept_and_no_error() -> None:
    for topic, raw, code in (
        ("action.woocommerce_add_to_cart", b"{}", "unknown_topic"),
        ("order.created", b"{", "malformed"),
        ("order.created", b"[]", "invalid"),
    ):
        decision = told(topic, raw)
        assert [rejected.refusal.code for rejected in decision.rejected] == [code]
        assert len(decision.letters) == 1


NAMES = sorted({*ORDER, "_links", "up", "href", "amount", "meta_data", "coupon_lines", "code", "date_completed_gmt"})
WORDS = st.sampled_from(["completed", "refunded", "12.50", "2026-11-22T09:00:00", "/orders/7", "0", "9999-12-31"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(st.sampled_from(sorted(TOPICS)), st.dictionaries(st.sampled_from(NAMES), VALUES) | VALUES)
def test_whatever_the_json_each_document_is_taken_or_kept(topic: str, document: Any) -> None:  # noqa: ANN401  any JSON
    decision = told(topic, document)
    assert decision.received == 1
    assert len(decision.rejected) == len(decision.letters)
    for event in events_in(decision):
        assert event.occurred_at <= event.received_at == RECEIVED
