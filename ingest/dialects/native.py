"""Our own shape, `POST /v1/events`: one event, or a list. Unknown keys are refused, so that typing errors show."""

import re
from datetime import datetime
from typing import Any

import msgspec

from ingest.dialects.canonical import EARLIEST, Given, Said, as_moment, as_text, canonical_event
from ingest.dialects.reading import UNREADABLE, Body, Call, Refusal, one_or_list, unreadable
from services.contracts.events import Event
from services.contracts.identity import Who


class NativeEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id` and `name` are asked for below, so that the answer can say what each is for."""

    id: Given = None
    name: str | None = None
    user_id: Given = None
    email: Given = None
    phone: Given = None
    anonymous_id: Given = None
    cart_token: Given = None
    occurred_at: str | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_event = msgspec.json.Decoder(NativeEvent)
_OFFSET = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d)\s*\Z")


def open_body(raw: bytes) -> Body:
    """Raises BadRequest for a body that is no JSON."""
    return one_or_list(raw, read_event)


def read_event(raw: bytes, call: Call) -> Event | Refusal:
    try:
        item = _event.decode(raw)
    except UNREADABLE as error:
        return unreadable(error, raw, known=NativeEvent.__struct_fields__, of="an event")
    said = _said(item, call)
    return said if isinstance(said, Refusal) else canonical_event(said, call)


def _said(item: NativeEvent, call: Call) -> Said | Refusal:
    event_id, name = as_text(item.id), as_text(item.name)
    if event_id is None:
        return Refusal("missing_id", "`id` is missing: your own id of this event, the same whenever it is sent again")
    if name is None:
        return Refusal("missing_name", "`name` is missing: what happened, as in `Product Added`")
    occurred_at = _occurred_at(item.occurred_at, call)
    if occurred_at is None:
        return Refusal(
            "bad_time",
            f"`occurred_at` must be RFC 3339 with an offset and not before {EARLIEST.year}: 2026-11-22T09:30:00Z",
        )
    return Said(
        id=event_id,
        name=name,
        who=Who(
            user_id=as_text(item.user_id),
            email=as_text(item.email),
            phone=as_text(item.phone),
            anonymous_id=as_text(item.anonymous_id),
            cart_token=as_text(item.cart_token),
        ),
        occurred_at=occurred_at,
        properties=item.properties or {},
        traits=item.traits or {},
        context=item.context or {},
    )


def _occurred_at(given: str | None, call: Call) -> datetime | None:
    """None for a time that can't be read, or has no offset: nobody knows when that was."""
    if given is None:
        return call.received_at
    return as_moment(given) if _OFFSET.search(given) else None
