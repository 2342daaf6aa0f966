"""Shopify's products: each with all its variants. What is no longer sold is gone from the catalogue."""

from collections.abc import Mapping
from typing import Any

from ingest.dialects.documents import Document
from ingest.dialects.products import NAMELESS, as_line, as_link, as_price, is_id
from ingest.dialects.reading import Call, Refusal
from services.contracts.products import Product, ProductGone, Variant

_SIZE, _COLOUR, _STYLE = ("size",), ("color", "colour"), ("style", "material")


def product_of(document: Document, call: Call) -> Product | ProductGone | Refusal:
    """`status` says whether it is sold; the shop's address is the storefront's to say."""
    product_id = document.id("id")
    if product_id is None or not is_id(product_id):
        return NAMELESS
    if document.text("status") in ("draft", "archived"):
        return ProductGone(storefront=call.storefront, product_id=product_id)
    path = None if (handle := document.text("handle")) is None else as_link(f"/products/{handle}")
    images = {image.id("id"): image.text("src") for image in document.parts("images")}
    options = {name.lower(): n for n, one in enumerate(document.parts("options"), 1) if (name := one.text("name"))}
    listed = [(number, one) for one in document.parts("variants") if (number := one.id("id")) is not None]
    variants = tuple(_variant(number, one, path, images, options) for number, one in listed)
    alone = variants[0] if len(variants) == 1 else None
    prices, before = {one.price for one in variants}, {one.compare_at_price for one in variants}
    return Product(
        storefront=call.storefront,
        product_id=product_id,
        name=as_line(document.text("title")),
        sku=alone.sku if alone else None,
        url=path,
        image_url=as_link(document.part("image").text("src") or next((src for src in images.values() if src), None)),
        price=prices.pop() if len(prices) == 1 else None,
        compare_at_price=before.pop() if len(before) == 1 else None,
        available=any(one.available for one in variants) if variants else None,
        stock=alone.stock if alone else None,
        category=as_line(document.text("product_type")),
        brand=as_line(document.text("vendor")),
        updated_at=document.moment("updated_at", "created_at"),
        variants=variants,
    )


def _variant(
    number: str, said: Document, path: str | None, images: Mapping[str | None, str | None], options: Mapping[str, int]
) -> Variant:
    """One that is not tracked, or is sold on when it has run out, can always be had."""
    stock = said.amount("inventory_quantity")
    tracked = said.text("inventory_management") is not None and said.text("inventory_policy") != "continue"

    def option(names: tuple[str, ...]) -> Any:  # noqa: ANN401  a text or nothing
        position = next((options[name] for name in names if name in options), None)
        return None if position is None else as_line(said.text(f"option{position}"))

    title = as_line(said.text("title"))
    return Variant(
        id=number,
        name=None if title == "Default Title" else title,
        sku=as_line(said.text("sku")),
        url=None if path is None else f"{path}?variant={number}",
        image_url=as_link(images.get(said.id("image_id"))),
        price=as_price(said.amount("price")),
        compare_at_price=as_price(said.amount("compare_at_price")),
        available=not tracked or stock is None or stock > 0,
        stock=None if stock is None else int(stock),
        size=option(_SIZE),
        colour=option(_COLOUR),
    )
