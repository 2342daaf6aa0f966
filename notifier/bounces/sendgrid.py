"""SendGrid's event webhook: a list of events, signed with a key of which we have the public half. Pure."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

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

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
VALID: Final = timedelta(hours=25)
"""It tries for 24 hours, and says nowhere whether it signs each attempt anew."""


class _Event(msgspec.Struct, rename={"smtp_id": "smtp-id", "ours": METADATA}):
    event: str
    type: str = ""
    reason: str = ""
    status: str = ""
    smtp_id: str = ""
    ours: str = ""
    timestamp: Any = None


def public_key(text: str) -> EllipticCurvePublicKey:
    """As SendGrid shows it: base64. Raises ValueError for what is none."""
    key = load_der_public_key(base64.b64decode(text, validate=True))
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("is no key of an elliptic curve")  # noqa: TRY004  what was given, not what we passed
    return key


def verified(body: bytes, signature: str, timestamp: str, key: EllipticCurvePublicKey) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def is_recent(timestamp: str, now: datetime) -> bool:
    """Of a timestamp that the signature covers: Unix time."""
    try:
        return is_timely(float(timestamp), VALID, now)
    except ValueError:
        return False


def read(body: bytes) -> tuple[Report, ...]:
    """Raises NotAReport."""
    try:
        events = msgspec.json.decode(body, type=list[_Event])
    except msgspec.DecodeError as error:
        raise NotAReport(str(error)) from None
    return tuple(report for event in events if (report := _report(event)) is not None)


def _report(event: _Event) -> Report | None:
    message = message_in(event.ours) or message_in(event.smtp_id)
    if message is None:
        return None
    note, at = noted(event.status, event.reason), by_unix(event.timestamp)
    match event.event, event.type, event.reason:
        case ("spamreport", _, _) | ("dropped", _, "Spam Reporting Address"):
            return Complained(message=message, note=note, at=at)
        case ("bounce", kind, _):
            return Bounced(message=message, hard=kind != "blocked", note=note, at=at)
        case ("dropped", _, "Bounced Address" | "Invalid"):
            return Bounced(message=message, hard=True, note=note, at=at)
        case _:
            return None
