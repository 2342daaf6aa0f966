"""A shop platform's own documents, read leniently: what is not of the wanted kind is as good as not there.

Platforms change their documents, and what they send once they may never send again. So nothing here raises.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec

from ingest.dialects.canonical import Said, as_moment, as_text, canonical_event
from ingest.dialects.reading import UNREADABLE, Call, Outcome, Refusal, Taken, not_json
from services.contracts.identity import Who
from services.contracts.privacy import PrivacyRequest
from services.contracts.products import Product, ProductGone

_any = msgspec.json.Decoder()
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.([0-9]{1,20}))?")
_PLACES: Final = 12
_ROUNDED: Final = Decimal("0.0001")
"""A unit's price that was divided has all places of a double (WooCommerce's 50 for 3: 16.666666666666668)."""

Told = Said | PrivacyRequest | Product | ProductGone | Refusal


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object. Each method asks for the first of several names that holds something of its kind."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def text(self, *names: str) -> str | None:
        return next((found for value in self._of(names) if (found := _text(value)) is not None), None)

    def id(self, *names: str) -> str | None:
        """As `text`; 0 is nobody and nothing."""
        return next((found for value in self._of(names) if (found := _text(value)) not in (None, "0")), None)

    def moment(self, *names: str) -> datetime | None:
        return next((found for value in self._of(names) if (found := as_moment(value)) is not None), None)

    def amount(self, *names: str) -> Decimal | None:
        """Money, of a text or a number."""
        texts = (_text(value) for value in self._of(names))
        return next((found for text in texts if text is not None and (found := _amount(text)) is not None), None)

    def true(self, name: str) -> bool:
        return self.said.get(name) is True

    def part(self, *names: str) -> "Document":
        """An object in it; an empty one where there is none. Shopify writes an address that is missing as `[]`."""
        return next((Document(value) for value in self._of(names) if isinstance(value, dict)), Document())

    def parts(self, name: str) -> list["Document"]:
        value = self.said.get(name)
        return [Document(part) for part in value if isinstance(part, dict)] if isinstance(value, list) else []

    def texts(self, name: str) -> list[str]:
        value = self.said.get(name)
        found = [_text(part) for part in value] if isinstance(value, list) else []
        return [text for text in found if text is not None]

    def _of(self, names: tuple[str, ...]) -> list[Any]:
        return [self.said[name] for name in names if name in self.said]


def _text(value: Any) -> str | None:  # noqa: ANN401  any JSON
    return as_text(value) if isinstance(value, str | int | float) else None


def _amount(text: str) -> Decimal | None:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    amount = Decimal(text)
    return amount.quantize(_ROUNDED) if found[1] and len(found[1]) > _PLACES else amount


def document_in(raw: bytes) -> Document | Refusal:
    try:
        said = _any.decode(raw)
    except UNREADABLE as error:
        return Refusal("malformed", not_json(error, raw))
    return Document(said) if isinstance(said, dict) else Refusal("invalid", "the document is no JSON object")


class OfTopic(Protocol):
    """What the headers say of a delivery: at least which topic it is."""

    @property
    def topic(self) -> str: ...


D = TypeVar("D", bound=OfTopic)


def read_by_topic(
    raw: bytes, call: Call, *, delivery: D, topics: Mapping[str, Callable[[Document, D, Call], list[Told]]]
) -> Outcome:
    """What the delivery's topic makes of its document."""
    read = topics.get(delivery.topic)
    if read is None:
        return Refusal("unknown_topic", f"nothing is made of `{delivery.topic[:100]}`; docs/ingest.md lists the topics")
    document = document_in(raw)
    return document if isinstance(document, Refusal) else taken(read(document, delivery, call), call)


def buyer_of(who: Who, order_id: str) -> Who:
    """`who`, by the order's own name too: refunds and parcels name nobody else."""
    return Who(user_id=who.user_id, email=who.email, phone=who.phone, cart_token=order_name(order_id))


def order_name(order_id: str | None) -> str | None:
    """The order as a weak name of its customer."""
    return None if order_id is None else f"order:{order_id}"


def taken(told: list[Told], call: Call) -> Outcome:
    """All that a document says, in our vocabulary, or why one thing in it can't be taken."""
    found: list[Taken] = []
    for one in told:
        event = canonical_event(one, call) if isinstance(one, Said) else one
        if isinstance(event, Refusal):
            return event
        found.append(event)
    return tuple(found)


def there(**said: object) -> dict[str, Any]:
    """Without what is not there: a trait that is null would take away what is known."""
    return {
        key: str(value) if isinstance(value, Decimal) else value for key, value in said.items() if value is not None
    }
