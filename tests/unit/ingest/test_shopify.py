"""What Shopify's webhooks say in our vocabulary: its own payloads, and each rule by itself."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platforms import RECEIVED, as_asgi, decided, events_in, prepared, shopify_headers

from ingest.decide import Decision
from ingest.dialects.shopify import TOPICS, delivery_of, open_delivery
from services.contracts.dead_letters import decode_dead_letter
from services.contracts.events import Event
from services.contracts.identity import Who
from services.contracts.privacy import PrivacyKind, decode_request
from services.contracts.topics import PRIVACY

ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "email": "ada@shop.example",
    "created_at": "2026-11-22T10:00:00+01:00",
    "updated_at": "2026-11-22T10:20:00+01:00",
    "cart_token": "cart-1",
    "checkout_token": "checkout-1",
    "financial_status": "paid",
    "total_price": "30.00",
    "subtotal_price": "25.00",
    "total_tax": "3.99",
    "currency": "EUR",
    "customer": {"id": 115310627314723954, "first_name": "Ada", "email": "old@shop.example"},
    "line_items": [{"product_id": 1, "title": "Mug", "price": "12.50", "quantity": 2}],
    "shipping_address": [],
}


def told(topic: str, document: object, **headers: str) -> Decision:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decided(open_delivery(prepared(raw), as_asgi(shopify_headers(topic, raw, "secret", **headers))))


def first(topic: str, document: object, **headers: str) -> Event:
    return events_in(told(topic, document, **headers))[0]


def named(topic: str, document: object, name: str) -> Event:
    (event,) = [event for event in events_in(told(topic, document)) if event.name == name]
    return event


@pytest.fixture
def sample(shared_data: Callable[[str], str]) -> Callable[[str, str], Event]:
    """The first event of one of Shopify's own payloads, sent under a topic."""
    return lambda name, topic: first(topic, shared_data(f"webhooks/shopify_docs_2025-10__{name}.json").encode())


def test_a_cart_is_the_whole_cart_and_names_its_token_only(sample: Callable[[str, str], Event]) -> None:
    event = sample("carts_update", "carts/update")
    assert (event.name, event.who) == ("Cart Updated", Who(cart_token="exampleCartId"))
    assert event.occurred_at == datetime(2022, 1, 1, tzinfo=UTC)
    assert event.properties == {
        "cart_token": "exampleCartId",
        "currency": "USD",
        "products": [
            {
                "product_id": "788032119674292900",
                "variant_id": "704912205188288500",
                "sku": "example-shirt-s",
                "name": "Example T-Shirt - Small",
                "brand": "Acme",
                "price": 19.99,
                "quantity": 3,
            }
        ],
    }


def test_a_checkout_joins_its_cart_to_an_address_and_brings_the_way_back(sample: Callable[[str, str], Event]) -> None:
    event = sample("checkouts_create", "checkouts/create")
    assert event.name == "Checkout Started"
    assert event.who == Who(
        user_id="603851970716743400", email="example@email.com", cart_token="eeafa272cebfd4b22385bc4b645e762c"
    )
    wanted = {"checkout_id": "123123123", "value": 421.88, "revenue": 398.0, "tax": 23.88, "currency": "USD"}
    assert wanted.items() <= event.properties.items()
    assert event.properties["abandoned_checkout_url"].startswith("https://checkout.local/")
    assert [product["quantity"] for product in event.properties["products"]] == [1, 1]
    assert event.traits == {"first_name": "John", "last_name": "Smith"}


def test_an_order_that_was_voided_is_no_sale(sample: Callable[[str, str], Event]) -> None:
    event = sample("orders_create", "orders/create")
    assert (event.name, event.properties["order_id"]) == ("Order Cancelled", "820982911946154500")
    assert (event.properties["total"], event.properties["shipping"]) == (359.97, 10.0)
    assert event.who == Who(user_id="115310627314723950", email="jon@example.com")


def test_a_refund_is_one_to_however_many_subscriptions_it_is_delivered() -> None:
    raw = json.dumps({"id": 509562969, "order_id": 7}).encode()
    found = {
        event.id
        for webhook_id in ("w1", "w2")
        for event in events_in(
            decided(
                open_delivery(raw, as_asgi(shopify_headers("refunds/create", raw, "secret", webhook_id=webhook_id)))
            )
        )
    }
    assert found == {"shopify:refund:509562969"}


def test_a_refund_is_the_money_that_went_back_and_finds_its_customer_by_the_order(
    sample: Callable[[str, str], Event],
) -> None:
    event = sample("refunds_create", "refunds/create")
    assert (event.name, event.who) == ("Order Refunded", Who(cart_token="order:820982911946154500"))
    assert (event.properties["total"], event.properties["currency"]) == (85.0, "USD")
    assert len(event.properties["products"]) == 3


def test_a_parcel_is_shipped_and_then_delivered(
    sample: Callable[[str, str], Event], shared_data: Callable[[str], str]
) -> None:
    event = sample("fulfillments_create", "fulfillments/create")
    assert event.name == "Order Shipped"
    assert event.who == Who(email="jon@example.com", cart_token="order:820982911946154500")
    assert event.properties["tracking_url"].startswith("https://www.ups.com/")
    document = json.loads(shared_data("webhooks/shopify_docs_2025-10__fulfillments_create.json"))
    assert first("fulfillments/update", {**document, "shipment_status": "delivered"}).name == "Order Delivered"
    assert first("fulfillments/update", {**document, "status": "cancelled"}).name == "Order Updated"


def test_a_customer_is_identified(sample: Callable[[str, str], Event]) -> None:
    event = sample("customers_create", "customers/create")
    assert (event.name, event.who) == ("Customer Identified", Who(user_id="706405506930370000", email="bob@biller.com"))
    assert event.traits["first_name"] == "Bob"
    assert "phone" not in event.traits


@pytest.mark.parametrize(
    "status", ["pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded"]
)
def test_an_order_counts_as_sold_once_it_is_placed(status: str) -> None:
    event = first("orders/create", {**ORDER, "financial_status": status})
    assert (event.name, event.properties["financial_status"]) == ("Order Completed", status)
    assert event.occurred_at == datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.mark.parametrize("change", [{"financial_status": "voided"}, {"financial_status": "expired"}])
@pytest.mark.parametrize("topic", ["orders/create", "orders/updated", "orders/paid"])
def test_an_order_that_nobody_will_pay_is_cancelled_whatever_brings_the_word(
    topic: str, change: dict[str, str]
) -> None:
    assert first(topic, {**ORDER, **change}).name == "Order Cancelled"


def test_later_words_of_an_order_are_updates_at_their_own_time() -> None:
    for topic in ("orders/paid", "orders/updated", "orders/partially_fulfilled"):
        event = first(topic, ORDER)
        assert (event.name, event.occurred_at.minute) == ("Order Updated", 20)
    assert first("orders/fulfilled", ORDER).name == "Order Shipped"
    assert first("orders/cancelled", {**ORDER, "cancelled_at": "2026-11-22T09:10:00Z"}).name == "Order Cancelled"
    deleted = first("orders/delete", {"id": 820982911946154508})
    assert (deleted.name, deleted.who) == ("Order Cancelled", Who(cart_token="order:820982911946154508"))


def test_an_order_ties_its_own_id_to_its_customer() -> None:
    event = named("orders/create", ORDER, "Customer Identified")
    assert event.who == Who(
        user_id="115310627314723954", email="ada@shop.example", cart_token="order:820982911946154508"
    )


def test_ids_past_2_to_the_53_stay_whole() -> None:
    event = first("orders/create", ORDER)
    assert event.properties["order_id"] == "820982911946154508"
    assert event.who.user_id == "115310627314723954"


def test_revenue_leaves_out_tax_that_prices_include() -> None:
    line = {"product_id": 1, "price": "25.00", "quantity": 1, "tax_lines": [{"price": "3.99"}]}
    gross = {**ORDER, "taxes_included": True, "line_items": [line]}
    assert first("orders/create", gross).properties["revenue"] == 21.01
    assert first("orders/create", ORDER).properties["revenue"] == 25.0


def test_a_completed_checkout_starts_no_more() -> None:
    checkout = {"token": "t", "completed_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:10:00Z"}
    event = first("checkouts/update", checkout)
    assert (event.name, event.occurred_at.minute) == ("Checkout Step Completed", 0)


def test_a_checkout_without_a_cart_and_its_order_name_one_cart() -> None:
    checkout, order = {"token": "t"}, {**ORDER, "cart_token": None, "checkout_token": "t"}
    assert first("checkouts/create", checkout).who.cart_token == "checkout:t"
    assert first("orders/create", order).who.cart_token == "checkout:t"


def test_the_tick_at_the_checkout_is_consent_once_and_its_absence_says_nothing() -> None:
    ticked = {**ORDER, "buyer_accepts_marketing": True}
    subscribed = [named(topic, ticked, "Email Subscribed") for topic in ("orders/create", "orders/updated")]
    assert {event.id for event in subscribed} == {"shopify:consent:820982911946154508"}
    assert subscribed[0].who.email == "ada@shop.example"
    unticked = events_in(told("orders/create", {**ORDER, "buyer_accepts_marketing": False}))
    assert not [event for event in unticked if event.name.startswith("Email")]


@pytest.mark.parametrize(
    ("consent", "names"),
    [
        ({"state": "subscribed", "consent_updated_at": "2026-01-02T03:04:05Z"}, ["Email Subscribed"]),
        ({"state": "unsubscribed", "consent_updated_at": "2026-01-02T03:04:05Z"}, ["Email Unsubscribed"]),
        ({"state": "not_subscribed"}, []),
        ({"state": "pending"}, []),
        ({"state": ["subscribed"]}, []),
    ],
)
def test_a_customers_consent_is_said_at_the_time_when_it_was_given(consent: dict[str, Any], names: list[str]) -> None:
    customer = {"id": 7, "email": "ada@shop.example", "created_at": "2020-01-01T00:00:00Z"}
    said = events_in(told("customers/update", {**customer, "email_marketing_consent": consent}))[1:]
    again = events_in(told("customers/update", {**customer, "email_marketing_consent": consent}, webhook_id="w2"))[1:]
    assert [event.name for event in said] == names
    assert [event.id for event in said] == [event.id for event in again]
    assert all(event.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) for event in said)


def test_a_yes_without_a_time_is_as_old_as_its_customer_and_undoes_no_later_no() -> None:
    customer = {"id": 7, "accepts_marketing": True, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2026-01-01"}
    assert named("customers/update", customer, "Email Subscribed").occurred_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("customers/data_request", PrivacyKind.ACCESS),
        ("customers/redact", PrivacyKind.ERASE),
        ("shop/redact", PrivacyKind.ERASE_STOREFRONT),
    ],
)
def test_what_a_law_asks_for_goes_to_its_own_topic(topic: str, kind: PrivacyKind) -> None:
    asked = {"shop_id": 1, "customer": {"id": 7, "email": "ada@shop.example"}, "orders_to_redact": [299938, 280263]}
    decision = told(topic, asked)
    (record,) = decision.records
    request = decode_request(record.value or b"")
    assert (record.topic, request.kind, request.who) == (PRIVACY, kind, Who(user_id="7", email="ada@shop.example"))
    assert request.orders == ("299938", "280263")
    assert decision.answer == {"received": 1, "accepted": 1, "rejected": []}


def test_a_delivery_is_told_by_its_webhook_id_and_not_by_its_event_id() -> None:
    one = first("orders/create", ORDER, webhook_id="w1", event_id="e1")
    again = first("orders/create", ORDER, webhook_id="w1", event_id="e2")
    other = first("orders/create", ORDER, webhook_id="w2", event_id="e1")
    assert one.id == again.id == "shopify:w1"
    assert other.id == "shopify:w2"


def test_both_styles_of_headers_say_the_same() -> None:
    older, newer = (as_asgi(shopify_headers("carts/update", b"{}", "s", style=s)) for s in ("X-Shopify-", "Shopify-"))
    assert delivery_of(older, b"{}") == delivery_of(newer, b"{}")
    assert delivery_of(newer, b"{}").topic == "carts/update"


@pytest.mark.parametrize("given", ["", "x" * 5000, "a\x00b", "a\rb"])
def test_a_webhook_id_that_is_none_is_made_from_the_body(given: str) -> None:
    ids = {first("orders/create", {**ORDER, "id": number}, webhook_id=given).id for number in (1, 2, 1)}
    assert len(ids) == 2


def test_what_is_not_understood_is_kept_and_no_error() -> None:
    for topic, raw, code in (
        ("themes/publish", b"{}", "unknown_topic"),
        ("orders/create", b"{", "malformed"),
        ("orders/create", b"[]", "invalid"),
        ("orders/create", b'{"email": "a\\u0000"}', "bad_text"),
    ):
        decision = told(topic, raw)
        assert [rejected.refusal.code for rejected in decision.rejected] == [code]
        (letter,) = [decode_dead_letter(record.value or b"") for record in decision.records]
        assert (letter.code, letter.raw, letter.source) == (code, raw, f"/v1/webhooks {topic}")


def test_an_order_of_a_thousand_lines_is_taken() -> None:
    event = first("orders/create", {**ORDER, "line_items": ORDER["line_items"] * 1000, "note": "x" * 100_000})
    assert len(event.properties["products"]) == 1000


NAMES = sorted({*ORDER, "token", "transactions", "refund_line_items", "amount", "kind", "status", "shop_money", "state",
                "email_marketing_consent", "completed_at", "buyer_accepts_marketing", "orders_to_redact", "tax_lines",
                "taxes_included", "subtotal_set", "line_item", "order_id", "currency_code"})  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
WORDS = st.sampled_from(["refund", "success", "subscribed", "voided", "12.50", "2026-11-22T09:00:00Z", "9999-12-31"])
VALUES = st.recursive(
    LEAVES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(st.sampled_from(sorted(TOPICS)), st.dictionaries(st.sampled_from(NAMES), VALUES) | VALUES)
def test_whatever_the_json_each_document_is_taken_or_kept(topic: str, document: Any) -> None:  # noqa: ANN401  any JSON
    decision = told(topic, document)
    assert decision.received == 1
    assert decision.records
    assert len(decision.rejected) == len(decision.letters)
    for event in events_in(decision):
        assert event.occurred_at <= event.received_at == RECEIVED
        assert event.storefront == "shop"
