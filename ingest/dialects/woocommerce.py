"""WooCommerce's webhooks: which topic says what. docs/ingest.md has the table for people.

It sends each document once: what is lost is lost, and after five errors it stops. All of an order's life comes through
`order.updated` with the whole order, so each copy says again what it says of the past, under the same ids.
"""

import hashlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from ingest.dialects import woocommerce_products
from ingest.dialects.canonical import Said
from ingest.dialects.documents import Document, Told, buyer_of, order_name, read_by_topic, there
from ingest.dialects.products import gone_of
from ingest.dialects.reading import Body, Call
from services.contracts.events import Name
from services.contracts.identity import Who

SOLD: Final = frozenset({"processing", "on-hold", "completed", "refunded"})
UNPAID: Final = frozenset({"pending", "checkout-draft", "auto-draft"})
"""On its way to the payment, or left there."""
GONE: Final = frozenset({"cancelled", "trash"})

_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
_ORDER_IN_LINK = re.compile(r"/orders/([0-9]{1,20})/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the headers say, which are not signed. Delivery-ID is left out: it is not of one delivery only."""

    topic: str
    source: str | None
    digest: str
    """Of the body."""

    def id_of(self, document: Document) -> str:
        """From the source, the topic, the resource, when it was changed last, and the body.

        Copies of one order with one time then sort as they were changed, so that the latest gives the amounts.
        """
        changed = document.text("date_modified_gmt", "date_modified") or ""
        resource = document.id("id") or ""
        source = hashlib.sha256((self.source or "").encode()).hexdigest()[:8]
        return f"woocommerce:{source}:{resource[:40]}:{changed[:40]}:{self.topic[:60]}:{self.digest}"


def open_unsigned(raw: bytes) -> Body | None:
    """The form that a new webhook is tried with. It says nothing, and nothing less than a 200 lets it be saved."""
    if not _PING.fullmatch(raw):
        return None
    return Body(items=(), single=False, document="ping", read=lambda raw, call: ())  # noqa: ARG005  nothing is read


def open_delivery(raw: bytes, headers: Mapping[bytes, bytes]) -> Body:
    """Never raises: what is signed and not understood is kept."""

    def header(name: bytes) -> str:
        return headers.get(b"x-wc-webhook-" + name, b"").decode("latin-1").strip()

    delivery = Delivery(
        topic=header(b"topic").lower() or f"{header(b'resource')}.{header(b'event')}".lower(),
        source=header(b"source") or None,
        digest=hashlib.sha256(raw).hexdigest()[:32],
    )
    read = partial(read_by_topic, delivery=delivery, topics=TOPICS)
    return Body(items=(raw,), single=False, document=delivery.topic[:100], read=read)


Reader = Callable[[Document, Delivery, Call], list[Told]]


def _said(
    delivery: Delivery,
    event_id: str,
    name: str,
    who: Who,
    at: datetime,
    properties: dict[str, Any],
    traits: dict[str, Any] | None = None,
) -> Said:
    return Said(
        id=event_id,
        name=name,
        who=who,
        occurred_at=at,
        properties=properties,
        traits=traits or {},
        context=there(platform="woocommerce", topic=delivery.topic, source=delivery.source),
    )


def _gmt(document: Document, name: str) -> datetime | None:
    """`*_gmt` has no Z and is UTC; the one beside it is the shop's local time, which nobody can place."""
    return document.moment(f"{name}_gmt")


def _order(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """What the order's status says of it, and what it tells of its past: the parcel, the refunds."""
    order, status = document.id("id"), document.text("status") or ""
    who, traits = _person(document)
    created = _gmt(document, "date_created") or call.received_at
    changed = _gmt(document, "date_modified") or created
    properties = {**_amounts(document), **there(order_id=order, order_number=document.text("number"), status=status)}
    name, at = _name_of(document, status, created=created, changed=changed)
    told: list[Told] = [_said(delivery, delivery.id_of(document), name, who, at, properties, traits)]
    if order is None:
        return told
    named = buyer_of(who, order)
    told.append(_said(delivery, f"woocommerce:order:{order}:customer", Name.CUSTOMER_IDENTIFIED, named, created, {}))
    shipped = _gmt(document, "date_completed")
    if status == "completed" and shipped is not None:
        told.append(_said(delivery, f"woocommerce:order:{order}:completed", "Order Shipped", who, shipped,
                          there(order_id=order)))  # fmt: skip
    return [*told, *_refunds(document, delivery, who, order, changed)]


def _name_of(document: Document, status: str, *, created: datetime, changed: datetime) -> tuple[str, datetime]:
    """A sale is dated when it was paid, else placed: a copy that comes a year later is no sale of that day."""
    paid = _gmt(document, "date_paid")
    match status:
        case _ if status in SOLD:
            return Name.ORDER_COMPLETED, paid or created
        case _ if status in UNPAID:
            return "Checkout Started", created
        case _ if status in GONE:
            return Name.ORDER_CANCELLED, changed
        case "failed":
            return "Payment Failed", changed
    return (Name.ORDER_COMPLETED, paid) if paid is not None else (Name.ORDER_UPDATED, changed)  # a plugin's own status


def _refunds(document: Document, delivery: Delivery, who: Who, order: str, changed: datetime) -> list[Told]:
    """Each under an id of its own, since every later copy of the order lists them all again."""
    told: list[Told] = []
    for refund in document.parts("refunds"):
        number, total = refund.id("id"), refund.amount("total")
        if number is None or total is None:
            continue
        properties = there(
            order_id=order,
            refund_id=number,
            total=abs(total),
            currency=document.text("currency"),
            reason=refund.text("reason", "refund"),
        )
        event_id = f"woocommerce:refund:{order}:{number}"
        told.append(_said(delivery, event_id, Name.ORDER_REFUNDED, who, changed, properties))
    if not told and document.text("status") == "refunded":  # all of it, as far as anybody says
        properties = there(order_id=order, currency=document.text("currency"))
        told.append(_said(delivery, f"woocommerce:refund:{order}", Name.ORDER_REFUNDED, who, changed, properties))
    return told


def _refund(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """A refund by itself, which only plugins send: under the id that the order's own copies give it."""
    href = next((link.text("href") or "" for link in document.part("_links").parts("up")), "")
    linked = _ORDER_IN_LINK.search(href)
    order = document.id("order_id", "parent_id") or (linked[1] if linked else None)
    properties = there(
        order_id=order,
        refund_id=document.id("id"),
        total=document.amount("amount"),
        currency=document.text("currency"),
        reason=document.text("reason"),
    )
    event_id = f"woocommerce:refund:{order}:{document.id('id')}"
    who = Who(cart_token=order_name(order))
    at = _gmt(document, "date_created") or call.received_at
    return [_said(delivery, event_id, Name.ORDER_REFUNDED, who, at, properties)]


def _deleted_order(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    """Only an id comes: the order's own, which leads to whoever placed it."""
    order = document.id("id")
    who = Who(cart_token=order_name(order))
    at = call.received_at
    return [_said(delivery, delivery.id_of(document), Name.ORDER_CANCELLED, who, at, there(order_id=order))]


def _customer(document: Document, delivery: Delivery, call: Call) -> list[Told]:
    billing = document.part("billing")
    who = Who(
        user_id=document.id("id"),
        email=document.text("email") or billing.text("email"),
        phone=billing.text("phone"),
    )
    traits = {
        **_names(document, billing),
        **there(
            email=who.email,
            phone=who.phone,
            username=document.text("username"),
            role=document.text("role"),
            city=billing.text("city"),
            country=billing.text("country"),
            created_at=document.text("date_created_gmt"),
        ),
    }
    at = _gmt(document, "date_modified") or _gmt(document, "date_created") or call.received_at
    return [_said(delivery, delivery.id_of(document), Name.CUSTOMER_IDENTIFIED, who, at, {}, traits)]


def _product_said(document: Document, delivery: Delivery, call: Call) -> list[Told]:  # noqa: ARG001  as all readers
    return [woocommerce_products.product_of(document, call)]


def _product_gone(document: Document, delivery: Delivery, call: Call) -> list[Told]:  # noqa: ARG001  as all readers
    return [gone_of(document.id("id"), call)]


def _nothing(document: Document, delivery: Delivery, call: Call) -> list[Told]:  # noqa: ARG001  as all readers
    return []


def _person(order: Document) -> tuple[Who, dict[str, Any]]:
    """A guest has the customer 0: the address of the bill is all that names them."""
    billing = order.part("billing")
    who = Who(user_id=order.id("customer_id"), email=billing.text("email"), phone=billing.text("phone"))
    return who, _names(billing)


def _names(*parts: Document) -> dict[str, Any]:
    first = (part.text("first_name") for part in parts)
    last = (part.text("last_name") for part in parts)
    return there(first_name=next(filter(None, first), None), last_name=next(filter(None, last), None))


def _amounts(order: Document) -> dict[str, Any]:
    """`revenue` is what the lines cost after discounts, without shipping and tax."""
    lines = order.parts("line_items")
    totals = [total for line in lines if (total := line.amount("total")) is not None]
    return there(
        total=order.amount("total"),
        revenue=sum(totals, Decimal()) if totals else None,
        shipping=order.amount("shipping_total"),
        tax=order.amount("total_tax"),
        discount=order.amount("discount_total"),
        coupon=next((code for one in order.parts("coupon_lines") if (code := one.text("code"))), None),
        currency=order.text("currency"),
        payment_method=order.text("payment_method"),
        products=[_product(line) for line in lines],
    )


def _product(line: Document) -> dict[str, Any]:
    return there(
        product_id=line.id("product_id"),
        variant_id=line.id("variation_id"),
        sku=line.text("sku"),
        name=None if (name := line.text("name")) is None else html.unescape(name),
        price=line.amount("price"),
        quantity=line.amount("quantity"),
        image_url=line.part("image").text("src"),
    )


TOPICS: Final[dict[str, Reader]] = {
    "order.created": _order,
    "order.updated": _order,
    "order.restored": _order,
    "order.deleted": _deleted_order,
    "refund.created": _refund,
    "order_refund.created": _refund,
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _nothing,
    "product.created": _product_said,
    "product.updated": _product_said,
    "product.restored": _product_said,
    "product.deleted": _product_gone,
    **dict.fromkeys(("coupon.created", "coupon.updated", "coupon.deleted", "coupon.restored"), _nothing),
}
