"""One vocabulary whatever the dialect: names, properties, traits, and who an event names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ingest.dialects.reading import Call, Refusal
from ingest.dialects.vocabulary import IDS, NAMES_A_CONTACT, NUMBERS, WHOLE
from services.contracts.events import Event, Rank, rank_of
from services.contracts.identity import Who
from services.contracts.vocabulary import NAMES, SPELLINGS, folded

MAX_LABEL: Final = 200
"""Characters of an event's id and of its name."""
MAX_IDENTITY: Final = 500
"""Characters of a user_id, an address and their like; the longest real one, an address, has 254."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before this a time is a fault of whoever wrote it, and near year 1 it can't be turned to UTC at all."""

Given = str | int | float | bool | None
"""An id as clients send it."""

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")
_KEPT: Final = 15
"""Digits that a double keeps, wherever the point stands: with more an amount would not be the one that was written."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def canonical_name(name: str) -> str:
    """The one name for every spelling that we know; others are kept as they are."""
    return name if name in NAMES else SPELLINGS.get(folded(name), name)


def as_text(value: Given) -> str | None:
    """Numbers as text; None for what names nothing (JavaScript's `user && user.id` sends `false`)."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An event in a client's own words, before it is put into ours."""

    id: str
    name: str
    who: Who
    occurred_at: datetime
    properties: Mapping[str, Any]
    traits: Mapping[str, Any]
    context: dict[str, Any]


def canonical_event(said: Said, call: Call) -> Event | Refusal:
    fault = _label_fault(said.id, "id") or _label_fault(said.name, "name") or _identity_fault(said.who)
    if fault is not None:
        return fault
    name = canonical_name(said.name)
    properties, traits = canonical_properties(said.properties), canonical_traits(said.traits)
    return Event(
        id=said.id,
        storefront=call.storefront,
        name=name,
        who=filled_up(said.who, name=name, properties=properties, traits=traits),
        occurred_at=min(said.occurred_at, call.received_at),
        received_at=call.received_at,
        said_by=call.said_by,
        properties=properties,
        traits=traits,
        context=said.context,
        network=call.network,
    )


def _label_fault(value: str, what: str) -> Refusal | None:
    """Ids and names stand in logs, headers and keys: they are short and hold no control characters."""
    if len(value) > MAX_LABEL:
        return Refusal(f"bad_{what}", f"the event's {what} has {len(value)} characters; at most {MAX_LABEL} are taken")
    if _CONTROL.search(value):
        return Refusal(f"bad_{what}", f"the event's {what} holds a control character")
    return None


def _identity_fault(who: Who) -> Refusal | None:
    for kind in who.__struct_fields__:
        value = getattr(who, kind)
        if value is not None and len(value) > MAX_IDENTITY:
            return Refusal("bad_id", f"{kind} has {len(value)} characters; at most {MAX_IDENTITY} are taken")
    return None


def canonical_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Known numbers as numbers and known ids as text, also in each of `products`; all else as it came."""
    found = {key: _property(key, value) for key, value in properties.items()}
    products = found.get("products")
    if isinstance(products, list):
        found["products"] = [
            {key: _property(key, value) for key, value in product.items()} if isinstance(product, dict) else product
            for product in products
        ]
    return found


def _property(key: str, value: Any) -> Any:  # noqa: ANN401  any JSON
    if key in NUMBERS:
        number = as_number(value) if isinstance(value, str) else value
        return int(number) if key in WHOLE and isinstance(number, float) and number.is_integer() else number
    if key in IDS and isinstance(value, int | float) and not isinstance(value, bool):
        return as_text(value)
    return value


def as_number(text: str) -> int | float | str:
    """`"18.90"` → 18.9, `"2"` → 2; text that is no plain number (`"1,234"`, `"1e9"`, `"NaN"`) stays text."""
    bare = text.strip()
    found = _NUMBER.fullmatch(bare)
    if found is None or sum(map(str.isdecimal, bare)) > _KEPT:
        return text
    return float(bare) if found[1] else int(bare)


def canonical_traits(traits: Mapping[str, Any]) -> dict[str, Any]:
    """The client's own keys, and `first_name`, `last_name` beside `firstName`, `lastName`."""
    found = dict(traits)
    for camel, snake in (("firstName", "first_name"), ("lastName", "last_name")):
        if camel in found:
            found.setdefault(snake, found[camel])
    return found


def filled_up(said: Who, *, name: str, properties: Mapping[str, Any], traits: Mapping[str, Any]) -> Who:
    """`said`, with address and phone from the traits, or from a checkout, an order, a subscription, an enquiry.

    From other events' properties nothing is taken: a `Product Shared` holds the address of a friend.
    """
    sources = [traits]
    if rank_of(name) in {Rank.CHECKOUT, Rank.ORDER} or name in NAMES_A_CONTACT:
        sources.append(properties)
    return Who(
        user_id=said.user_id,
        email=said.email or _first(sources, "email"),
        phone=said.phone or _first(sources, "phone"),
        anonymous_id=said.anonymous_id,
        cart_token=said.cart_token or _first([properties], "cart_token"),
    )


def _first(sources: list[Mapping[str, Any]], key: str) -> str | None:
    for source in sources:
        value = source.get(key)
        text = as_text(value) if isinstance(value, str | int | float) else None
        if text is not None and len(text) <= MAX_IDENTITY:
            return text
    return None


def as_moment(value: object) -> datetime | None:
    """ISO 8601 in UTC; a time without an offset is taken as UTC. None for what is no time, or before 1970."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found >= EARLIEST else None
