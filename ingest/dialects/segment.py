"""What Segment's and RudderStack's clients send: six types of call, one at a time or in a batch."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from ingest.dialects.canonical import EARLIEST, Given, Said, as_moment, as_text, canonical_event
from ingest.dialects.reading import UNREADABLE, Body, Call, Refusal, bad_body, not_json
from services.contracts.events import Event, Name
from services.contracts.identity import Who

TYPES: Final = ("track", "identify", "page", "screen", "group", "alias")
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""A client's clock this close is right: correcting it by the time in transit would reorder events of one second."""

_NAME_OF = {
    "identify": Name.CUSTOMER_IDENTIFIED,
    "page": Name.PAGE_VIEWED,
    "screen": Name.SCREEN_VIEWED,
    "group": Name.GROUP_JOINED,
    "alias": Name.IDENTITY_ALIASED,
}

Object = dict[str, Any] | list[Any] | None
"""PHP writes an empty object as `[]`."""


class SegmentItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One call. Unknown keys are ignored, nulls allowed; times are read leniently below."""

    type: str | None = None
    message_id: Given = None
    user_id: Given = None
    anonymous_id: Given = None
    previous_id: Given = None
    group_id: Given = None
    event: Given = None
    name: Given = None
    category: Given = None
    properties: Object = None
    traits: Object = None
    context: Object = None
    original_timestamp: Given = None
    timestamp: Given = None
    sent_at: Given = None


class _Batch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    batch: list[msgspec.Raw]
    context: msgspec.Raw = msgspec.Raw(b"null")
    sent_at: Given = None
    write_key: Given = None


class _Keyed(msgspec.Struct, frozen=True, rename="camel"):
    write_key: Given = None


_item = msgspec.json.Decoder(SegmentItem)
_batch = msgspec.json.Decoder(_Batch)
_keyed = msgspec.json.Decoder(_Keyed)
_context = msgspec.json.Decoder(dict[str, Any] | list[Any] | None)


def open_single(raw: bytes, *, kind: str) -> Body:
    """A call to `/v1/{kind}`. Raises BadRequest for a body that is no JSON object."""
    try:
        key = as_text(_keyed.decode(raw).write_key)
    except UNREADABLE as error:
        raise bad_body(error, raw) from None
    return Body(items=(raw,), single=True, key=key, read=partial(read_item, kind=kind, shared={}, batch_sent_at=None))


def open_batch(raw: bytes) -> Body:
    """A call to `/v1/batch`. Raises BadRequest for a body that is no JSON, or has no `batch`."""
    try:
        body = _batch.decode(raw)
        context = bytes(body.context)
        shared = _context.decode(context)
    except UNREADABLE as error:
        raise bad_body(error, raw) from None
    return Body(
        items=body.batch,
        single=False,
        key=as_text(body.write_key) or _key_of_first(body.batch),
        shared=context if shared else b"",
        read=partial(
            read_item, kind=None, shared=shared if isinstance(shared, dict) else {}, batch_sent_at=body.sent_at
        ),
    )


def _key_of_first(items: list[msgspec.Raw]) -> str | None:
    """Some clients repeat the key in each item and nowhere else."""
    if not items:
        return None
    try:
        return as_text(_keyed.decode(items[0]).write_key)
    except UNREADABLE:
        return None


def read_item(
    raw: bytes, call: Call, *, kind: str | None, shared: dict[str, Any], batch_sent_at: Given
) -> Event | Refusal:
    """`kind` is the type that the path names; in a batch each item names its own."""
    try:
        item = _item.decode(raw)
    except msgspec.ValidationError as error:
        return Refusal("invalid", str(error))
    except UNREADABLE as error:
        return Refusal("malformed", not_json(error, raw))
    said = _said(item, kind or (item.type or "").lower(), call, shared, batch_sent_at)
    return said if isinstance(said, Refusal) else canonical_event(said, call)


def _said(item: SegmentItem, kind: str, call: Call, shared: dict[str, Any], batch_sent_at: Given) -> Said | Refusal:
    name, fault = _NAME_OF.get(kind) or as_text(item.event), _fault(item, kind)
    if fault is not None or name is None:
        return fault or Refusal("missing_name", "`event` is missing: what happened, as in `Product Added`")
    occurred_at = _occurred_at(item, call, batch_sent_at)
    if occurred_at is None:
        return Refusal("bad_time", f"`timestamp` must be ISO 8601 and not before {EARLIEST.year}: 2026-11-22T09:30:00Z")
    context = {**shared, **_object(item.context)}
    # A group's traits are the group's. The customer's may stand in the context: some clients put even an identify's
    # only there.
    traits = {**_object(context.pop("traits", None)), **({} if kind == "group" else _object(item.traits))}
    return Said(
        id=as_text(item.message_id) or call.new_id(),
        name=name,
        who=Who(user_id=as_text(item.user_id), anonymous_id=as_text(item.anonymous_id)),
        occurred_at=occurred_at,
        properties={**_object(item.properties), **_beside(item, kind)},
        traits=traits,
        context=context,
    )


def _fault(item: SegmentItem, kind: str) -> Refusal | None:
    if kind not in TYPES:
        return Refusal("unknown_type", f"`type` must be one of {', '.join(TYPES)}")
    for what in ("properties", "traits", "context"):
        value = getattr(item, what)
        if isinstance(value, list) and value:
            return Refusal("invalid", f"Expected `object | null`, got `array` - at `$.{what}`")
    if as_text(item.user_id) is None and as_text(item.anonymous_id) is None:
        return Refusal("missing_id", "`userId` or `anonymousId` is missing: whose event is it?")
    if kind == "alias" and (as_text(item.user_id) is None or as_text(item.previous_id) is None):
        return Refusal("missing_id", "an alias needs `previousId` and the `userId` that it is from now on")
    return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _beside(item: SegmentItem, kind: str) -> dict[str, Any]:
    """What the types say outside of `properties`."""
    said: dict[str, Any] = {}
    match kind:
        case "page" | "screen":
            said = {"name": item.name, "category": item.category}
        case "alias":
            said = {"previous_id": as_text(item.previous_id)}
        case "group":
            said = {"group_id": as_text(item.group_id), "group_traits": _object(item.traits) or None}
    return {key: value for key, value in said.items() if value is not None}


def _occurred_at(item: SegmentItem, call: Call, batch_sent_at: Given) -> datetime | None:
    """None for a time that can't be read. A `sentAt` that can't be read only corrects nothing."""
    given = item.timestamp if item.original_timestamp is None else item.original_timestamp
    if given is None:
        return call.received_at
    original = as_moment(given)
    sent = next((s for s in (item.sent_at, batch_sent_at, call.sent_at) if s is not None), None)
    return original and corrected(original, as_moment(sent), call.received_at)


def corrected(original: datetime, sent: datetime | None, received: datetime) -> datetime:
    """When it happened by our clock: a client's clock that is wrong was wrong by the same when it sent."""
    if sent is not None and abs(received - sent) > CLOCK_TOLERANCE:
        delay = min(max(sent - original, timedelta(0)), received - EARLIEST)  # years apart would leave the calendar
        return received - delay
    return min(original, received)
