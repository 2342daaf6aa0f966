"""What every dialect takes and gives: a call, its body taken apart into items, and an event or a refusal an item."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.contracts.events import Event, SaidBy
from services.contracts.privacy import PrivacyRequest
from services.contracts.products import Product, ProductGone
from services.errors import BadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is known of a request beside its body. `sent_at` is the SentAt header as it came.

    `network` stands for where a browser called from; it is None where a server did.
    """

    storefront: str
    said_by: SaidBy
    received_at: datetime
    new_id: Callable[[], str]
    """For events that came without an id: randomness is the caller's, so that dialects stay pure."""
    sent_at: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event is not taken: `code` for programs, `message` for the developer who mends it."""

    code: str
    message: str


Taken = Event | PrivacyRequest | Product | ProductGone
"""What an item may say: each kind goes to a topic of its own."""
Outcome = Event | Refusal | tuple[Taken, ...]
"""Of one item. A platform's document may say several things at once; an item is taken whole or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body taken apart. Each item is read by itself, so that a fault in one costs no other."""

    items: Sequence[bytes | msgspec.Raw]
    single: bool
    read: Callable[[bytes, Call], Outcome]
    key: str | None = None
    """The write key that stands in the body itself."""
    shared: bytes = b""
    """What the batch says once for all items (Segment's batch-level context): it counts towards each one's size."""
    removed: int = 0
    """Card numbers and security codes that were taken out of it before."""
    document: str = ""
    """What a platform calls the document that it sent, of which only what we need is taken.

    It may be as large as a body; one that we don't understand is kept without an error, else platforms stop sending.
    """


_list = msgspec.json.Decoder(list[msgspec.Raw])


def one_or_list(raw: bytes, read: Callable[[bytes, Call], Outcome]) -> Body:
    """Of our own shapes: an item, or a list of items. Raises BadRequest for a body that is no JSON."""
    if not raw.lstrip().startswith(b"["):
        return Body(items=(raw,), single=True, read=read)
    try:
        return Body(items=_list.decode(raw), single=False, read=read)
    except UNREADABLE as error:
        raise bad_body(error, raw) from None


def bad_body(error: Exception, raw: bytes) -> BadRequest:
    """For a body that can't even be taken apart into its items."""
    code = "invalid" if isinstance(error, msgspec.ValidationError) else "malformed"
    return BadRequest(not_json(error, raw), code=code)


def not_json(error: Exception, raw: bytes) -> str:
    """One sentence on why these bytes can't be read, with the position where the decoder knows it."""
    match error:
        case RecursionError():
            return "the JSON is nested too deeply"
        case UnicodeDecodeError():
            return f"the text is not UTF-8 (a string that begins before byte {len(raw)} holds {error.reason})"
        case msgspec.ValidationError():
            return str(error)
    text = str(error)
    return f"the JSON ends too early (byte {len(raw)})" if "truncated" in text else text


_UNKNOWN = re.compile(r"unknown field `(.*?)`")


def unreadable(error: Exception, raw: bytes, *, known: Sequence[str], of: str) -> Refusal:
    """Why one item of our own shape, `of` which these fields are known, can't be read."""
    if not isinstance(error, msgspec.ValidationError):
        return Refusal("malformed", not_json(error, raw))
    unknown = _UNKNOWN.search(str(error))
    if unknown:
        listed = ", ".join(known)
        return Refusal("unknown_field", f"`{unknown[1][:100]}` is not a field of {of}; known are: {listed}")
    return Refusal("invalid", str(error))


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, or not of the wanted shape."""
