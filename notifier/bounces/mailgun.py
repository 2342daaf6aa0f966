"""Mailgun's webhooks: failures and complaints, with a signature in the body. Pure."""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from notifier.bounces.report import (
    METADATA,
    Bounced,
    Complained,
    NotAReport,
    Report,
    by_unix,
    is_timely,
    message_in,
    noted,
)

VALID: Final = timedelta(hours=12)
"""The signature covers a time and nothing of what is said: an old one is worth nothing. Retries go on for 8 hours."""


class _Signature(msgspec.Struct):
    timestamp: str | int
    token: str
    signature: str


class _Message(msgspec.Struct):
    headers: dict[str, Any] = {}


class _Event(msgspec.Struct, rename={"delivery_status": "delivery-status", "user_variables": "user-variables"}):
    event: str
    severity: str = ""
    reason: str = ""
    message: _Message = msgspec.field(default_factory=_Message)
    delivery_status: dict[str, Any] = {}
    user_variables: Any = None
    timestamp: Any = None


class _Signed(msgspec.Struct):
    signature: _Signature


class _Told(_Signed, rename={"event_data": "event-data"}):
    event_data: _Event


def verified(body: bytes, key: str, now: datetime) -> bool:
    try:
        said = msgspec.json.decode(body, type=_Signed).signature
        timely = is_timely(float(said.timestamp), VALID, now)
    except (msgspec.DecodeError, ValueError):
        return False
    meant = hmac.new(key.encode(), f"{said.timestamp}{said.token}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(meant.encode(), said.signature.encode()) and timely


def read(body: bytes) -> tuple[Report, ...]:
    """Raises NotAReport."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError as error:
        raise NotAReport(str(error)) from None
    event = told.event_data
    variables = event.user_variables if isinstance(event.user_variables, dict) else {}
    message = message_in(variables.get(METADATA)) or message_in(event.message.headers.get("message-id"))
    if message is None:
        return ()
    status = event.delivery_status
    note = noted(event.reason, status.get("code"), status.get("message") or status.get("description"))
    # What the event says of its own time is not signed, so it may only be older than the signature.
    times = (by_unix(event.timestamp), by_unix(told.signature.timestamp))
    at = min((time for time in times if time is not None), default=None)
    if event.event == "complained":
        return (Complained(message=message, note=note, at=at),)
    if event.event == "failed" and event.severity == "permanent":
        # `suppress-…`: it bounced before. Anything else, like `old`, gave up without an answer about the address.
        return (Bounced(message=message, hard=event.reason in ("bounce", "suppress-bounce"), note=note, at=at),)
    return ()
