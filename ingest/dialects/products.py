"""`POST /v1/products`: a shop's catalogue in our own shape, one product or a list."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import msgspec

from ingest.dialects.canonical import Given, as_moment, as_text
from ingest.dialects.reading import UNREADABLE, Body, Call, Outcome, Refusal, one_or_list, unreadable
from services.contracts.products import Product, ProductGone

MAX_ID: Final = 200
"""Characters of a product's and a variant's id."""
MAX_TEXT: Final = 500
MAX_LINK: Final = 2_000
MAX_PRICE: Final = Decimal("1e12")
_PLACES: Final = Decimal("0.0001")
NAMELESS: Final = Refusal("missing_id", "the document names no product: it has no `id`, or one that is too long")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CURRENCY = re.compile(r"[A-Za-z]{3}")


class NativeProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`deleted: true` needs only the id, and the variant where it is about one."""

    product_id: Given = None
    variant: Given = None
    name: str | None = None
    url: str | None = None
    image_url: str | None = None
    price: Decimal | None = None
    compare_at_price: Decimal | None = None
    currency: str | None = None
    available: bool | None = None
    stock: int | None = None
    sku: Given = None
    size: Given = None
    colour: Given = None
    style: Given = None
    category: str | None = None
    brand: str | None = None
    updated_at: str | None = None
    deleted: bool = False


_product = msgspec.json.Decoder(NativeProduct)


def open_body(raw: bytes) -> Body:
    """Raises BadRequest for a body that is no JSON."""
    return one_or_list(raw, read_item)


def read_item(raw: bytes, call: Call) -> Outcome:
    try:
        item = _product.decode(raw)
    except UNREADABLE as error:
        return unreadable(error, raw, known=NativeProduct.__struct_fields__, of="a product")
    product_id, variant = as_text(item.product_id), as_text(item.variant)
    if product_id is None:
        return Refusal("missing_id", "`product_id` is missing: the id that the shop's events call this product by")
    if not (is_id(product_id) and (variant is None or is_id(variant))):
        return Refusal("bad_id", f"an id has at most {MAX_ID} characters, and none of control")
    if item.deleted:
        return (ProductGone(storefront=call.storefront, product_id=product_id, variant=variant),)
    updated_at = call.received_at if item.updated_at is None else as_moment(item.updated_at)
    return _fault(item, updated_at) or (_said(item, call, product_id, variant, updated_at),)


def _fault(item: NativeProduct, updated_at: datetime | None) -> Refusal | None:
    if updated_at is None:
        return Refusal("bad_time", "`updated_at` must be RFC 3339: 2026-11-22T09:30:00Z")
    for name in ("price", "compare_at_price"):
        price: Decimal | None = getattr(item, name)
        if price is not None and as_price(price) is None:
            return Refusal("invalid", f"`{name}` must be an amount from 0 to {MAX_PRICE:,f}, as in 12.50")
    if item.currency is not None and as_currency(item.currency) is None:
        return Refusal("invalid", "`currency` must have the three letters of ISO 4217, as in EUR")
    for name in ("url", "image_url"):
        link: str | None = getattr(item, name)
        if link is not None and as_link(link) is None:
            return Refusal("bad_url", f"`{name}` must be http or https, or a path of the shop that begins with /")
    return None


def _said(item: NativeProduct, call: Call, product_id: str, variant: str | None, at: datetime | None) -> Product:
    return Product(
        storefront=call.storefront,
        product_id=product_id,
        variant=variant,
        name=as_line(item.name),
        sku=as_line(as_text(item.sku)),
        url=as_link(item.url),
        image_url=as_link(item.image_url),
        price=as_price(item.price),
        compare_at_price=as_price(item.compare_at_price),
        currency=as_currency(item.currency),
        available=item.available,
        stock=item.stock,
        size=as_line(as_text(item.size)),
        colour=as_line(as_text(item.colour)),
        style=as_line(as_text(item.style)),
        category=as_line(item.category),
        brand=as_line(item.brand),
        updated_at=at,
    )


def gone_of(product_id: str | None, call: Call) -> ProductGone | Refusal:
    """What a platform has deleted: only its id comes."""
    if product_id is None or not is_id(product_id):
        return NAMELESS
    return ProductGone(storefront=call.storefront, product_id=product_id)


def is_id(value: str) -> bool:
    return len(value) <= MAX_ID and not _CONTROL.search(value)


def as_line(text: str | None) -> str | None:
    """One line, not too long; None for nothing."""
    return None if text is None else " ".join(_CONTROL.sub(" ", text).split())[:MAX_TEXT] or None


def as_price(price: Decimal | None) -> Decimal | None:
    """To four places; None for what is none."""
    if price is None or not price.is_finite() or not 0 <= price <= MAX_PRICE:
        return None
    return price.quantize(_PLACES) if price.as_tuple().exponent < -4 else price  # type: ignore[operator]  # noqa: PLR2004  finite, so a number; _PLACES


def as_currency(code: str | None) -> str | None:
    return code.upper() if code is not None and _CURRENCY.fullmatch(code) else None


def as_link(link: str | None) -> str | None:
    """What a mail may lead to: http or https, or a path of the shop's own. `//host` would be another's."""
    if link is None or len(link) > MAX_LINK or not link.isprintable() or "\\" in link or " " in link:
        return None
    if link.startswith("/"):
        return None if link.startswith("//") else link
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.hostname else None
