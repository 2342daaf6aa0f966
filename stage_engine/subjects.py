"""What an instance is about: which cart or order an event belongs to, and its contents after the event. Pure.

Of what a browser says only product, variant and quantity are kept: text, prices, pictures and links that end in a mail
come from a server's events or the catalogue.
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.contracts.changes import Subject
from services.contracts.events import MESSAGE_EVENTS, Event, Name, Rank, SaidBy, rank_of
from stage_engine.history import Entry
from stage_engine.model.model import Per, Track
from stage_engine.money import currency_of, first_amount, lines_of, lines_value, money, quantity
from stage_engine.orders import ORDER_EVENTS, amounts, order_key, said_id

MAX_LINES = 100
MAX_TEXT = 500
MAX_COMMENT = 1_000
"""Characters of what somebody wrote; a state is stored with every batch."""
NAMED = ("product_id", "sku", "variant")
TOLD = ("name", "price", "url", "image_url")
WORDS = {Name.SURVEY_ANSWERED: "comment", "Support Case Opened": "subject"}
"""What is said in a customer's own words, and under which name."""
NOT_OF_A_CART = frozenset({"Product Added to Wishlist", "Product Removed from Wishlist", "Cart Shared"})

NOBODYS = MESSAGE_EVENTS | {Name.STAGE_SET}


def is_cart_event(name: str) -> bool:
    return rank_of(name) in (Rank.CART, Rank.CHECKOUT) and name not in NOT_OF_A_CART


def is_order_event(name: str) -> bool:
    return name in ORDER_EVENTS


def is_own(per: Per, name: str) -> bool:
    """Whether such an event is an instance's own: it may begin one, changes its contents, and `idle` counts from it.

    What is said by our own mail or by an operator is nobody's doing, and an order ends carts without being one of their
    events.
    """
    match per:
        case Per.CUSTOMER:
            return name not in NOBODYS
        case Per.CART:
            return is_cart_event(name)
        case Per.CHECKOUT:
            return rank_of(name) is Rank.CHECKOUT
        case Per.ORDER:
            return is_order_event(name)


def cart_key(entry: Entry) -> str:
    """Its id, the token that a checkout joins it by, else the device's, else the customer's own: for ever the same."""
    return named_cart(entry.event) or said_id(entry.event.who.anonymous_id) or entry.belongs_to.value


def named_cart(event: Event) -> str | None:
    """The cart that an event says it is about, where it says so."""
    said = (event.properties.get("cart_id"), event.properties.get("cart_token"), event.who.cart_token)
    return next((found for value in said if (found := said_id(value))), None)


def checkouts_named(event: Event) -> tuple[str, ...]:
    """The checkout and the order that an event is about: what Checkout Started calls one, its steps call the other."""
    said = (said_id(event.properties.get(name)) for name in ("checkout_id", "order_id"))
    return tuple(dict.fromkeys(found for found in said if found))


def key_of(per: Per, entry: Entry) -> str:
    match per:
        case Per.CUSTOMER:
            return ""
        case Per.CART:
            return cart_key(entry)
        case Per.CHECKOUT:
            return next(iter(checkouts_named(entry.event)), None) or cart_key(entry)
        case Per.ORDER:
            return order_key(entry.event)


def subject_after(subject: Subject, track: Track, entry: Entry) -> Subject:
    """The contents after the event, which is one of the instance's own.

    A customer's own track that begins with a look at a product is about the one looked at last; one that begins with
    what they say, about what they said last.
    """
    match track.per:
        case Per.CUSTOMER:
            return _own_after(subject, track.begins_on or frozenset(), entry.event)
        case Per.CART | Per.CHECKOUT:
            return _cart_after(subject, entry.event)
        case Per.ORDER:
            return _order_after(subject, entry.event)


def _own_after(subject: Subject, begins_on: AbstractSet[str], event: Event) -> Subject:
    if event.name not in begins_on:
        return subject
    if event.name in WORDS:
        said = event.properties.get(WORDS[event.name]) if _trusted(event) else None
        return msgspec.structs.replace(subject, comment=_text(said, MAX_COMMENT))
    return _look_after(subject, event) if event.name == Name.PRODUCT_VIEWED else subject


def _look_after(subject: Subject, event: Event) -> Subject:
    known = next((line for line in subject.items if _line_key(line) == _line_key(event.properties)), None)
    line = _line(event.properties, event, known, 1)
    return Subject(
        items=[line],
        currency=(_trusted(event) and currency_of(event.properties)) or (subject.currency if known else None),
        url=line.get("url"),
    )


def holds_more(subject: Subject, event: Event) -> bool:
    """Whether a Cart Updated lists what this cart did not hold: a platform repeats the old contents after the sale."""
    held = _counts(subject.items)
    return any(count > held[key] for key, count in _counts(lines_of(event.properties)).items())


def _counts(lines: list[dict[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts[_line_key(line)] += quantity(line)
    return counts


def _cart_after(subject: Subject, event: Event) -> Subject:
    lines = {_line_key(line): line for line in subject.items}
    match event.name:
        case Name.PRODUCT_ADDED | "Wishlist Product Added to Cart":
            _add(lines, event)
        case Name.PRODUCT_REMOVED:
            _remove(lines, event)
        case Name.CART_UPDATED:
            lines = _listed(lines, event)
        case "Checkout Started" if lines_of(event.properties):
            lines = _listed(lines, event)
    return _with(subject, event, lines, url_names=("cart_url", "checkout_url", "abandoned_checkout_url"))


def _order_after(subject: Subject, event: Event) -> Subject:
    lines = {_line_key(line): line for line in subject.items}
    if event.name in (Name.ORDER_COMPLETED, Name.ORDER_UPDATED) and lines_of(event.properties):
        lines = _listed({}, event)
    after = _with(subject, event, lines, url_names=("order_url", "order_status_url"))
    total, _ = amounts(event)
    if event.name in (Name.ORDER_COMPLETED, Name.ORDER_UPDATED) and total is not None and _trusted(event):
        return msgspec.structs.replace(after, value=money(total))
    return msgspec.structs.replace(after, value=subject.value)


def _with(subject: Subject, event: Event, lines: dict[str, dict[str, Any]], *, url_names: tuple[str, ...]) -> Subject:
    items = list(lines.values())[:MAX_LINES]
    value = lines_value(items)
    said_url = next((u for n in url_names if (u := _link(event.properties.get(n)))), None) if _trusted(event) else None
    tracking_url = _link(event.properties.get("tracking_url")) if _trusted(event) else None
    return Subject(
        items=items,
        value=None if value is None else money(value),
        currency=(_trusted(event) and currency_of(event.properties)) or subject.currency,
        url=said_url or subject.url,
        tracking_url=tracking_url or subject.tracking_url,
    )


def _trusted(event: Event) -> bool:
    return event.said_by is SaidBy.SERVER


def _line_key(line: dict[str, Any]) -> str:
    return "\x00".join(_text(line.get(name)) or "" for name in NAMED)


def _line(properties: dict[str, Any], event: Event, known: dict[str, Any] | None, count: int) -> dict[str, Any]:
    """What may be kept of a product, over what a server told of it before."""
    told = {name: value for name in TOLD if known and (value := known.get(name)) is not None}
    if _trusted(event):
        price = first_amount(properties, "price")
        said = {
            "name": _text(properties.get("name")),
            "price": None if price is None else money(price),
            "url": _link(properties.get("url")),
            "image_url": _link(properties.get("image_url")),
        }
        told |= {name: value for name, value in said.items() if value is not None}
    named = {name: text for name in NAMED if (text := _text(properties.get(name)))}
    return {**named, **told, "quantity": count}


def _add(lines: dict[str, dict[str, Any]], event: Event) -> None:
    if not any(event.properties.get(name) for name in NAMED):
        for line in lines_of(event.properties):
            _put(lines, line, event)
        return
    _put(lines, event.properties, event)


def _put(lines: dict[str, dict[str, Any]], properties: dict[str, Any], event: Event) -> None:
    key = _line_key(properties)
    known = lines.get(key)
    before = quantity(known) if known else 0
    lines[key] = _line(properties, event, known, before + quantity(properties))


def _remove(lines: dict[str, dict[str, Any]], event: Event) -> None:
    """Without a quantity the line goes; a variant that was not said matches the product's only line."""
    key = _line_key(event.properties)
    if key not in lines:
        product = _text(event.properties.get("product_id")) or _text(event.properties.get("sku"))
        alike = [k for k, line in lines.items() if product and product in (line.get("product_id"), line.get("sku"))]
        if len(alike) != 1:
            return
        key = alike[0]
    left = quantity(lines[key]) - quantity(event.properties) if event.properties.get("quantity") is not None else 0
    if left > 0:
        lines[key] = {**lines[key], "quantity": left}
    else:
        del lines[key]


def _listed(known: dict[str, dict[str, Any]], event: Event) -> dict[str, dict[str, Any]]:
    """The event lists the whole of it."""
    lines: dict[str, dict[str, Any]] = {}
    for line in lines_of(event.properties):
        key = _line_key(line)
        before = quantity(lines[key]) if key in lines else 0
        lines[key] = _line(line, event, lines.get(key) or known.get(key), before + quantity(line))
    return lines


def _text(value: Any, most: int = MAX_TEXT) -> str | None:  # noqa: ANN401  any JSON
    if value is None or isinstance(value, (dict, list)):
        return None
    return str(value).strip()[:most] or None


def _link(value: Any) -> str | None:  # noqa: ANN401  any JSON
    """Only http and https; `javascript:` and friends never reach a mail."""
    if not isinstance(value, str) or len(value) > 2 * MAX_TEXT:
        return None
    try:
        parts = urlsplit(value.strip())
    except ValueError:
        return None
    return value.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def scope_of(subject: Subject) -> dict[str, Any]:
    """What a condition sees of a cart or an order."""
    return {
        "items": subject.items,
        "value": None if subject.value is None else Decimal(subject.value),
        "quantity": sum(quantity(line) for line in subject.items),
    }
