"""Google Analytics 4's Measurement Protocol: one customer's events in one body, in Google's names."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from ingest.dialects.canonical import Given, Said, as_text, canonical_event
from ingest.dialects.reading import UNREADABLE, Body, Call, Outcome, Refusal, bad_body, not_json
from services.contracts.events import Event, Name
from services.contracts.identity import Who

NAMES: Final[dict[str, str]] = {
    "search": "Products Searched",
    "view_search_results": "Products Searched",
    "view_item_list": "Product List Viewed",
    "select_item": "Product Clicked",
    "view_item": "Product Viewed",
    "add_to_cart": "Product Added",
    "remove_from_cart": "Product Removed",
    "view_cart": "Cart Viewed",
    "begin_checkout": "Checkout Started",
    "add_shipping_info": "Checkout Step Completed",
    "add_payment_info": "Payment Info Entered",
    "purchase": "Order Completed",
    "refund": "Order Refunded",
    "add_to_wishlist": "Product Added to Wishlist",
    "view_promotion": "Promotion Viewed",
    "select_promotion": "Promotion Clicked",
    "page_view": Name.PAGE_VIEWED,
    "screen_view": Name.SCREEN_VIEWED,
}
"""Other names are kept as they are."""

ABOUT_ONE: Final = frozenset({"select_item", "view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"})
"""Ours of these are about one product each, so there is one for each of the `items`."""

ITEM: Final[dict[str, str]] = {
    "item_id": "product_id",
    "item_name": "name",
    "item_brand": "brand",
    "item_category": "category",
    "item_variant": "variant",
    "index": "position",
}
PROMOTION: Final[dict[str, str]] = {
    "promotion_name": "name",
    "creative_name": "creative",
    "creative_slot": "position",
}
PARAMETERS: Final[dict[str, str]] = {
    "transaction_id": "order_id",
    "search_term": "query",
    "item_list_id": "list_id",
    "item_list_name": "category",
    "shipping_tier": "shipping_method",
    "payment_type": "payment_method",
    "page_location": "url",
    "page_title": "title",
    "page_referrer": "referrer",
}

MOST_ITEMS: Final = 200
"""Google's own limit. Each of them repeats what the event says beside them."""

Time = int | float | str | None
"""Microseconds since 1970."""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    events: list[msgspec.Raw]
    client_id: Given = None
    app_instance_id: Given = None
    user_id: Given = None
    timestamp_micros: Time = None
    user_properties: dict[str, Any] | None = None
    consent: dict[str, Any] | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    name: Given = None
    params: dict[str, Any] | None = None
    timestamp_micros: Time = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the body says once for all its events. `repeated` are the events that stand in it more than once."""

    who: Who
    at: Time
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    repeated: frozenset[bytes] = frozenset()


_body = msgspec.json.Decoder(_Body)
_event = msgspec.json.Decoder(_Event)
_encode = msgspec.json.Encoder().encode


def open_body(raw: bytes) -> Body:
    """Raises BadRequest for a body that is no JSON, or has no `events`."""
    try:
        body = _body.decode(raw)
    except UNREADABLE as error:
        raise bad_body(error, raw) from None
    counts = Counter(bytes(item) for item in body.events)
    shared = Shared(
        who=Who(user_id=as_text(body.user_id), anonymous_id=as_text(body.client_id) or as_text(body.app_instance_id)),
        at=body.timestamp_micros,
        traits=_traits(body.user_properties or {}),
        context={"consent": body.consent} if body.consent else {},
        repeated=frozenset(item for item, count in counts.items() if count > 1),
    )
    beside = {"traits": shared.traits, **shared.context}
    return Body(
        items=body.events,
        single=False,
        read=partial(read_item, shared=shared),
        shared=_encode(beside) if any(beside.values()) else b"",
    )


def _traits(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Each is written as `{"value": …}`."""
    return {name: said.get("value") if isinstance(said, dict) else said for name, said in properties.items()}


def read_item(raw: bytes, call: Call, *, shared: Shared) -> Outcome:
    try:
        item = _event.decode(raw)
    except msgspec.ValidationError as error:
        return Refusal("invalid", str(error))
    except UNREADABLE as error:
        return Refusal("malformed", not_json(error, raw))
    name = as_text(item.name)
    if name is None:
        return Refusal("missing_name", "`name` is missing: what happened, as in `add_to_cart`")
    if shared.who == Who():
        return Refusal("missing_id", "`client_id` (or `app_instance_id`) or `user_id` is missing: whose event is it?")
    given = shared.at if item.timestamp_micros is None else item.timestamp_micros
    at = call.received_at if given is None else _moment(given)
    if at is None:
        return Refusal("bad_time", "`timestamp_micros` must be microseconds since 1970: 1795339800000000")
    event_id = _id(raw, given, shared) or call.new_id()
    return _canonical(
        [
            Said(
                id=event_id if n == 0 else f"{event_id}/{n}",
                name=NAMES.get(name, name),
                who=shared.who,
                occurred_at=at,
                properties=properties,
                traits=shared.traits,
                context=shared.context,
            )
            for n, properties in enumerate(_properties(name, item.params or {}))
        ],
        call,
    )


def _canonical(told: Sequence[Said], call: Call) -> Outcome:
    if len(told) > MOST_ITEMS:
        return Refusal("too_large", f"`items` has {len(told)} products, an event each; at most {MOST_ITEMS} are taken")
    found: list[Event] = []
    for said in told:
        event = canonical_event(said, call)
        if isinstance(event, Refusal):
            return event
        found.append(event)
    return tuple(found)


def _moment(micros: float | str) -> datetime | None:
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
    except (ValueError, OverflowError):
        return None
    return at if at.year >= 1970 else None  # noqa: PLR2004  the epoch's


def _id(raw: bytes, given: Time, shared: Shared) -> str | None:
    """Made of all that is said, so that it is the same when the call is sent again.

    None where that can't be told from another such event: without a time, or twice in one body.
    """
    if given is None or raw in shared.repeated:
        return None
    who = f"{shared.who.user_id}\0{shared.who.anonymous_id}\0{given}\0".encode("utf-8", "surrogatepass")
    return f"ga4:{hashlib.sha256(who + raw).hexdigest()[:32]}"


def _properties(name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Of one event of theirs, those of each of ours."""
    listed = params.get("items")
    items = [_renamed(item, ITEM) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    said = _renamed({key: value for key, value in params.items() if key != "items"}, PARAMETERS)
    if name in ABOUT_ONE and items:
        alone = len(items) == 1
        beside = said if alone else {key: value for key, value in said.items() if key != "value"}
        return [{**beside, **item} for item in items]
    if name in ("view_promotion", "select_promotion"):
        said = _renamed({**_promotion_of(listed), **said}, PROMOTION)
    if items:
        said["products"] = items
    # Google's `value` is the sum of the items, without shipping and tax; of a refund it is what goes back.
    if name == "purchase" and "value" in said:
        said = {"revenue": said["value"], **{key: value for key, value in said.items() if key != "value"}}
    if name == "refund" and "value" in said:
        said = {"total": said["value"], **{key: value for key, value in said.items() if key != "value"}}
    return [said]


def _promotion_of(items: object) -> dict[str, Any]:
    """It may stand in the first item in place of the event."""
    first = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    return {key: first[key] for key in ("promotion_id", *PROMOTION) if key in first}


def _renamed(said: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A name of ours that is there already holds."""
    renamed = {names[key]: value for key, value in said.items() if key in names}
    return {**renamed, **{key: value for key, value in said.items() if key not in names}}
