"""The shop's catalogue as mails need it: of what only a browser named, what the shop's own server says it is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from notifier.shown import amount, quantity
from services.contracts.changes import Subject
from services.contracts.products import Product, Variant
from services.contracts.storefront import Storefront

ORDERS: Final = "order"
TOLD: Final = ("name", "price", "url", "image_url")
"""What an item says of itself where a server told it; the catalogue says the rest."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A product, or one variant of it with all that it has of its product. `variant` is how people call it."""

    product_id: str
    variant_id: str | None = None
    variant: str | None = None
    sku: str | None = None
    name: str | None = None
    url: str | None = None
    image_url: str | None = None
    price: Decimal | None = None
    compare_at_price: Decimal | None = None
    currency: str | None = None
    available: bool | None = None
    stock: int | None = None


def entries_of(product: Product) -> list[Entry]:
    """The product's own, and one for each variant."""
    whole = Entry(
        product_id=product.product_id,
        variant_id=product.variant,
        variant=product.variant and (_called(product) or product.variant),
        sku=product.sku,
        name=product.name,
        url=product.url,
        image_url=product.image_url,
        price=product.price,
        compare_at_price=product.compare_at_price,
        currency=product.currency,
        available=product.available,
        stock=product.stock,
    )
    return [whole, *(_variant_of(whole, variant) for variant in product.variants)]


def _variant_of(whole: Entry, variant: Variant) -> Entry:
    said = {
        name: value
        for name in ("sku", "url", "image_url", "price", "compare_at_price", "available", "stock")
        if (value := getattr(variant, name)) is not None
    }
    return msgspec.structs.replace(
        whole, variant_id=variant.id, variant=variant.name or _called(variant), **{"sku": None, **said}
    )


def _called(said: Product | Variant) -> str | None:
    return " / ".join(part for part in (said.size, said.colour) if part) or None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Of one storefront, as much of it as was asked for."""

    entries: Sequence[Entry]

    def find(self, item: Mapping[str, Any]) -> Entry | None:
        """By product and variant, else by product, else by stock number; Google's and others' ids may be one of those.

        A variant that is not known is taken for its product.
        """
        product_id, sku, variant = (_text(item.get(name)) for name in ("product_id", "sku", "variant"))
        of_it = [entry for entry in self.entries if product_id and entry.product_id == product_id]
        numbers = {number for number in (sku, product_id) if number}
        exact = [entry for entry in of_it or self.entries if sku and entry.sku == sku and entry.variant_id]
        called = [entry for entry in of_it if variant and variant in (entry.variant_id, entry.variant, entry.sku)]
        plain = [entry for entry in of_it if entry.variant_id is None]
        elsewhere = [
            entry
            for entry in (() if of_it else self.entries)
            if entry.sku in numbers or (product_id and entry.variant_id == product_id)
        ]
        return next(iter((*called, *exact, *plain, *elsewhere)), None)


def asked_for(subject: Subject) -> set[str]:
    """The ids and numbers by which the items may stand in a catalogue."""
    return {
        text
        for item in subject.items
        for name in ("product_id", "sku")
        if not _told(item) and (text := _text(item.get(name)))
    }


def filled(subject: Subject, track: str, catalogue: Catalogue, storefront: Storefront) -> Subject:
    """The subject, with what the catalogue says of items of which no server told all.

    A value that was the sum of what had a price is the sum of all then, or none. What an order cost, and each thing in
    it, is the order's own word. Amounts without a currency are in the storefront's; one in another than the subject's
    is none. Text of a browser's never comes into a mail: an item that only a browser named has the catalogue's variant,
    or none.
    """
    if not catalogue.entries:
        return subject
    named = [(item, None if _told(item) else catalogue.find(item)) for item in subject.items]
    if track == ORDERS:
        return msgspec.structs.replace(subject, items=[_named(item, entry, storefront) for item, entry in named])
    currency = subject.currency
    if currency is None and not any("price" in item for item in subject.items):
        currency = next((entry.currency for _, entry in named if entry and entry.currency), None)
    items = [_priced(_named(item, entry, storefront), entry, currency, storefront) for item, entry in named]
    if subject.value is not None and amount(subject.value) != _sum(one for one in subject.items if "price" in one):
        return msgspec.structs.replace(subject, items=items, currency=currency)
    summed = _sum(items)
    value = None if summed is None else format(summed, "f")
    return msgspec.structs.replace(subject, items=items, value=value, currency=currency)


def _told(item: Mapping[str, Any]) -> bool:
    return all(item.get(name) is not None for name in TOLD)


def _named(item: dict[str, Any], entry: Entry | None, storefront: Storefront) -> dict[str, Any]:
    if entry is None:
        return item
    said = {
        "name": entry.name,
        "url": _absolute(entry.url, storefront.url),
        "image_url": _absolute(entry.image_url, storefront.url),
    }
    kept = item
    if item.get("name") is None:
        kept = {name: value for name, value in item.items() if name != "variant"}
        said["variant"] = entry.variant
    return kept | {name: value for name, value in said.items() if value is not None and kept.get(name) is None}


def _priced(item: dict[str, Any], entry: Entry | None, currency: str | None, storefront: Storefront) -> dict[str, Any]:
    if entry is None or entry.price is None or item.get("price") is not None:
        return item
    comparable = (entry.currency or storefront.currency) == (currency or storefront.currency)
    return item | {"price": format(entry.price, "f")} if comparable else item


def _absolute(link: str | None, address: str) -> str | None:
    return f"{address.rstrip('/')}{link}" if link is not None and link.startswith("/") else link


def _sum(items: Iterable[Mapping[str, Any]]) -> Decimal | None:
    """Of all, where each has a price."""
    lines = [(amount(item.get("price")), quantity(item.get("quantity"))) for item in items]
    prices = [price * count for price, count in lines if price is not None]
    return sum(prices, Decimal()) if prices and len(prices) == len(lines) else None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and str(value) else None
