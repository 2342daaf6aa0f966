"""Shopify's webhooks: which topic says what. docs/ingest.md has the table for people.

An order's own id is a weak name of its customer, of the kind `cart_token`: refunds and parcels name only the order, and
so find whoever bought it, whichever comes first.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from ingest.dialects import shopify_customers, shopify_products
from ingest.dialects.canonical import Said, as_moment
from ingest.dialects.documents import Document, Told, buyer_of, order_name, read_by_topic, there
from ingest.dialects.products import gone_of
from ingest.dialects.reading import Body, Call
from ingest.dialects.shopify_customers import person_of
from services.contracts.events import Name
from services.contracts.identity import Who

LONGEST_ID: Final = 100
"""Characters of a Webhook-Id that is taken as it is; theirs are UUIDs."""
UNSOLD: Final = frozenset({"voided", "expired"})
"""Financial statuses of an order that nobody will pay: the authorisation was taken back or ran out."""
BACK: Final = frozenset({"success", "pending"})
"""Statuses of a refund's transaction whose money went back or is on its way."""

_PLAIN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the headers say of one delivery. They are not signed: nothing that decides whose call it is stands here."""

    topic: str
    id: str
    """Of the Webhook-Id, the same when it is delivered again. Event-Id is shared by many and tells nothing apart."""
    triggered_at: datetime | None
    shop: str | None


def delivery_of(headers: Mapping[bytes, bytes], raw: bytes) -> Delivery:
    """Headers in both styles, with `X-` and without."""

    def header(name: str) -> str | None:
        value = headers.get(f"shopify-{name}".encode()) or headers.get(f"x-shopify-{name}".encode())
        return value.decode("latin-1").strip() or None if value else None

    topic, given = (header("topic") or "").lower(), header("webhook-id")
    if given is None or len(given) > LONGEST_ID or not _PLAIN.fullmatch(given):
        given = hashlib.sha256(f"{topic}\0{given}\0".encode() + raw).hexdigest()
    return Delivery(
        topic=topic, id=f"shopify:{given}", triggered_at=as_moment(header("triggered-at")), shop=header("shop-domain")
    )


def open_delivery(raw: bytes, headers: Mapping[bytes, bytes]) -> Body:
    """Never raises: what is signed and not understood is kept."""
    delivery = delivery_of(headers, raw)
    read = partial(read_by_topic, delivery=delivery, topics=TOPICS)
    return Body(items=(raw,), single=False, document=delivery.topic[:100], read=read)


Reader = Callable[[Document, Delivery, Call], list[Told]]


def _said(
    delivery: Delivery,
    call: Call,
    name: str,
    who: Who,
    at: datetime | None,
    properties: dict[str, Any],
    traits: dict[str, Any] | None = None,
    also: str = "",
) -> Said:
    """`also` tells a second event of one delivery from its first."""
    return Said(
        id=f"{delivery.id}{also}",
        name=name,
        who=who,
        occurred_at=at or delivery.triggered_at or call.received_at,
        properties=properties,
        traits=traits or {},
        context=there(platform="shopify", topic=delivery.topic, shop=delivery.shop),
    )


def _cart(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    token = document.text("token", "id")
    lines = document.parts("line_items")
    currency = next((code for line in lines if (code := _shop_money(line, "price_set").text("currency_code"))), None)
    properties = there(cart_token=token, currency=currency, products=[_product(line) for line in lines])
    at = document.moment("updated_at", "created_at")
    return [_said(delivery, call, Name.CART_UPDATED, Who(cart_token=token), at, properties)]


def _checkout(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """A checkout that is completed starts no more: its order says the rest."""
    token = document.text("token")
    cart = document.text("cart_token") or (None if token is None else f"checkout:{token}")
    who, traits = person_of(document, cart_token=cart)
    properties = {
        **_amounts(document),
        **there(
            checkout_id=token,
            cart_token=cart,
            value=document.amount("total_price"),
            abandoned_checkout_url=document.text("abandoned_checkout_url"),
            locale=document.text("customer_locale"),
        ),
    }
    completed = document.moment("completed_at")
    name = "Checkout Started" if completed is None else "Checkout Step Completed"
    at = completed or document.moment("updated_at", "created_at")
    return [
        _said(delivery, call, name, who, at, properties, traits),
        *_consented(document, delivery, call, who, at, token),
    ]


def _order(document: Document, delivery: Delivery, call: Call, *, name: str, at: tuple[str, ...]) -> list[Told]:
    """`name` and the fields that say when, unless the order's own status says that it is no sale."""
    order = document.id("id")
    checkout = document.text("checkout_token")
    cart = document.text("cart_token") or (None if checkout is None else f"checkout:{checkout}")
    who, traits = person_of(document, cart_token=cart)
    moment = document.moment(*at, "created_at")
    if document.moment("cancelled_at") or document.text("financial_status") in UNSOLD:
        name, moment = Name.ORDER_CANCELLED, document.moment("cancelled_at") or moment
    properties = {
        **_amounts(document),
        **there(
            order_id=order,
            checkout_id=checkout,
            cart_token=cart,
            order_number=document.text("name"),
            order_status_url=document.text("order_status_url"),
            financial_status=document.text("financial_status"),
            fulfillment_status=document.text("fulfillment_status"),
            cancel_reason=document.text("cancel_reason"),
            locale=document.text("customer_locale"),
            source=document.text("source_name"),
            test=True if document.true("test") else None,
        ),
    }
    told: list[Told] = [_said(delivery, call, name, who, moment, properties, traits)]
    if order is not None:  # ties the order's own name to whoever bought it
        named = buyer_of(who, order)
        told.append(_said(delivery, call, Name.CUSTOMER_IDENTIFIED, named, moment, {}, also="/customer"))
    return [*told, *_consented(document, delivery, call, who, document.moment("created_at"), order)]


def _consented(
    document: Document, delivery: Delivery, call: Call, who: Who, at: datetime | None, of: str | None
) -> list[Told]:
    """The tick at the checkout. One that is missing takes nothing back: Shopify keeps who has subscribed before."""
    if not document.true("buyer_accepts_marketing") or who.email is None or of is None:
        return []
    subscribed = _said(delivery, call, Name.EMAIL_SUBSCRIBED, who, at, {"email": who.email})
    return [shopify_customers.with_id(subscribed, f"shopify:consent:{of}")]  # once, however often it is repeated


def _deleted_order(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    order = document.id("id")
    who = Who(cart_token=order_name(order))
    return [_said(delivery, call, Name.ORDER_CANCELLED, who, None, there(order_id=order))]


def _refund(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """The money that went back, which is not the price of what came back: shops keep fees and refund in part.

    Its id is the refund's own, so that two subscriptions to the topic take it off once.
    """
    order = document.id("order_id")
    lines = document.parts("refund_line_items")
    back = [
        one for one in document.parts("transactions") if one.text("kind") == "refund" and one.text("status") in BACK
    ]
    shop_money = [_shop_money(line, "subtotal_set") for line in lines]
    currency = next((code for money in shop_money if (code := money.text("currency_code"))), None)
    products = [{**_product(line.part("line_item")), **there(quantity=line.amount("quantity"))} for line in lines]
    properties = there(
        order_id=order,
        refund_id=document.id("id"),
        total=sum((_transacted(one) for one in back), Decimal()),
        currency=currency or next((code for one in back if (code := one.text("currency"))), None),
        reason=document.text("note"),
        products=products,
    )
    at = document.moment("processed_at", "created_at")
    said = _said(delivery, call, Name.ORDER_REFUNDED, Who(cart_token=order_name(order)), at, properties)
    number = document.id("id")
    return [said if number is None else shopify_customers.with_id(said, f"shopify:refund:{number[:100]}")]


def _transacted(transaction: Document) -> Decimal:
    """In the shop's currency where it says so."""
    return _shop_money(transaction, "amount_set").amount("amount") or transaction.amount("amount") or Decimal()


def _fulfilment(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    order = document.id("order_id")
    status, shipped = document.text("status"), document.text("shipment_status")
    name = "Order Shipped"
    if status in {"cancelled", "error", "failure"}:
        name = Name.ORDER_UPDATED
    elif shipped == "delivered":
        name = "Order Delivered"
    properties = there(
        order_id=order,
        fulfillment_status=status,
        shipment_status=shipped,
        carrier=document.text("tracking_company"),
        tracking_number=document.text("tracking_number"),
        tracking_url=document.text("tracking_url"),
    )
    if name != Name.ORDER_UPDATED:  # what an Order Updated lists would be taken for the whole order
        properties["products"] = [_product(line) for line in document.parts("line_items")]
    who = Who(email=document.text("email"), cart_token=order_name(order))
    at = document.moment("created_at") if delivery.topic.endswith("/create") else document.moment("updated_at")
    return [_said(delivery, call, name, who, at, properties)]


def _amounts(document: Document) -> dict[str, Any]:
    """Of a checkout or an order, in the shop's currency. `revenue` is without shipping and tax."""
    lines = document.parts("line_items")
    revenue = document.amount("subtotal_price")
    if revenue is not None and document.true("taxes_included"):
        revenue -= sum((_sum(line.parts("tax_lines"), "price") for line in lines), Decimal())
    shipping = _shop_money(document, "total_shipping_price_set").amount("amount")
    if shipping is None and document.parts("shipping_lines"):
        shipping = _sum(document.parts("shipping_lines"), "price")
    return there(
        total=document.amount("total_price"),
        subtotal=document.amount("subtotal_price"),
        revenue=revenue,
        shipping=shipping,
        tax=document.amount("total_tax"),
        discount=document.amount("total_discounts"),
        coupon=next((code for one in document.parts("discount_codes") if (code := one.text("code"))), None),
        currency=document.text("currency"),
        products=[_product(line) for line in lines],
    )


def _sum(parts: list[Document], name: str) -> Decimal:
    return sum((part.amount(name) or Decimal() for part in parts), Decimal())


def _shop_money(document: Document, name: str) -> Document:
    return document.part(name).part("shop_money")


def _product(line: Document) -> dict[str, Any]:
    return there(
        product_id=line.id("product_id"),
        variant_id=line.id("variant_id"),
        sku=line.text("sku"),
        name=line.text("title", "presentment_title", "name"),
        variant=line.text("variant_title"),
        brand=line.text("vendor"),
        price=line.amount("price"),
        quantity=line.amount("quantity"),
    )


def _customer(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    who, traits = shopify_customers.customer_of(document)
    at = document.moment("created_at" if delivery.topic.endswith("/create") else "updated_at")
    identified = _said(delivery, call, Name.CUSTOMER_IDENTIFIED, who, at, {}, traits)
    return [identified, *_marketing(document, delivery, call)]


def _marketing(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """Consent at the time when it was given: repeated with every change of a customer, it undoes no later word."""
    consent = shopify_customers.consent_of(document)
    if consent is None:
        return []
    said = _said(delivery, call, consent.name, consent.who, consent.at, there(email=consent.who.email))
    return [said if consent.id is None else shopify_customers.with_id(said, consent.id)]


def _consent(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    who = shopify_customers.named_in_consent(document)
    return [
        _said(delivery, call, Name.CUSTOMER_IDENTIFIED, who, None, {}),
        *_marketing(document, delivery, call),
    ]


def _privacy(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    return [shopify_customers.privacy_request(document, delivery.topic, delivery.id, call)]


def _product_said(document: Document, delivery: Delivery, call: Call) -> list[Told]:  # noqa: ARG001  as all readers
    return [shopify_products.product_of(document, call)]


def _product_gone(document: Document, delivery: Delivery, call: Call) -> list[Told]:  # noqa: ARG001  as all readers
    return [gone_of(document.id("id"), call)]


TOPICS: Final[dict[str, Reader]] = {
    "carts/create": _cart,
    "carts/update": _cart,
    "checkouts/create": _checkout,
    "checkouts/update": _checkout,
    "orders/create": partial(_order, name=Name.ORDER_COMPLETED, at=("created_at",)),
    "orders/updated": partial(_order, name=Name.ORDER_UPDATED, at=("updated_at",)),
    "orders/paid": partial(_order, name=Name.ORDER_UPDATED, at=("updated_at",)),
    "orders/partially_fulfilled": partial(_order, name=Name.ORDER_UPDATED, at=("updated_at",)),
    "orders/fulfilled": partial(_order, name="Order Shipped", at=("updated_at",)),
    "orders/cancelled": partial(_order, name=Name.ORDER_CANCELLED, at=("cancelled_at", "updated_at")),
    "orders/delete": _deleted_order,
    "refunds/create": _refund,
    "fulfillments/create": _fulfilment,
    "fulfillments/update": _fulfilment,
    "customers/create": _customer,
    "customers/update": _customer,
    "customers/enable": _customer,
    "customers/disable": _customer,
    "customers_marketing_consent/update": _consent,
    "customers_email_marketing_consent/update": _consent,
    "products/create": _product_said,
    "products/update": _product_said,
    "products/delete": _product_gone,
    **dict.fromkeys(shopify_customers.PRIVACY_TOPICS, _privacy),
}
