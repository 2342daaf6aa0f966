"""WooCommerce's products; a variation is a document of its own that names its product. What is hidden is gone."""

import html
from datetime import datetime

from ingest.dialects.documents import Document
from ingest.dialects.products import NAMELESS, as_line, as_link, as_price, is_id
from ingest.dialects.reading import Call, Refusal
from services.contracts.products import Product, ProductGone


def product_of(document: Document, call: Call) -> Product | ProductGone | Refusal:
    own, parent = document.id("id"), document.id("parent_id")
    if own is None or not is_id(own):
        return NAMELESS
    product_id, variant = (parent, own) if document.text("type") == "variation" and parent else (own, None)
    if document.text("status") not in ("publish", None):
        return ProductGone(storefront=call.storefront, product_id=product_id, variant=variant)
    stock, state = document.amount("stock_quantity"), document.text("stock_status")
    return Product(
        storefront=call.storefront,
        product_id=product_id,
        variant=variant,
        name=_plain(document.text("name")),
        sku=as_line(document.text("sku")),
        url=as_link(document.text("permalink")),
        image_url=as_link(
            next((src for image in document.parts("images") if (src := image.text("src"))), None)
            or document.part("image").text("src")
        ),
        price=as_price(document.amount("price")),
        compare_at_price=as_price(document.amount("regular_price")) if document.true("on_sale") else None,
        available=None if state is None else state != "outofstock",
        stock=None if stock is None else int(stock),
        size=_attribute(document, "size"),
        colour=_attribute(document, "color", "colour"),
        category=_plain(next((name for one in document.parts("categories") if (name := one.text("name"))), None)),
        brand=_plain(next((name for one in document.parts("brands") if (name := one.text("name"))), None)),
        updated_at=_changed(document),
    )


def _changed(document: Document) -> datetime | None:
    return document.moment("date_modified_gmt", "date_created_gmt")


def _attribute(document: Document, *names: str) -> str | None:
    """Of a variation one `option`; a product lists all that there are, and has none of its own."""
    said = (one for one in document.parts("attributes") if (one.text("name") or "").lower() in names)
    return as_line(next((option for one in said if (option := one.text("option"))), None))


def _plain(text: str | None) -> str | None:
    return None if text is None else as_line(html.unescape(text))
