"""Postmark's webhooks: bounces and spam complaints, with a name and a password in the URL. Pure."""

import base64
import binascii
import hmac
from typing import Any, Final

import msgspec

from notifier.bounces.report import METADATA, Bounced, Complained, NotAReport, Report, by_iso, message_in, noted

_HARD: Final = frozenset({"HardBounce", "BadEmailAddress"})
_COMPLAINTS: Final = frozenset({"SpamComplaint", "SpamNotification"})
_NO_BOUNCES: Final = frozenset(
    {"AutoResponder", "AddressChange", "Subscribe", "Unsubscribe", "OpenRelayTest", "ChallengeVerification"}
)
"""What Postmark calls a bounce, and what is somebody's answer."""


class _Told(msgspec.Struct, rename="pascal"):
    record_type: str
    type: str = ""
    description: str = ""
    details: str = ""
    bounced_at: Any = None
    metadata: dict[str, Any] = {}


def verified(authorization: str, credentials: str) -> bool:
    """`credentials` are `name:password`, as they stand in the URL that Postmark posts to."""
    scheme, _, given = authorization.partition(" ")
    try:
        said = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(said, credentials.encode()) and scheme.lower() == "basic"


def read(body: bytes) -> tuple[Report, ...]:
    """Raises NotAReport."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError as error:
        raise NotAReport(str(error)) from None
    message = message_in(told.metadata.get(METADATA))
    if message is None:
        return ()
    note, at = noted(told.type, told.description, told.details), by_iso(told.bounced_at)
    if told.record_type == "SpamComplaint" or (told.record_type == "Bounce" and told.type in _COMPLAINTS):
        return (Complained(message=message, note=note, at=at),)
    if told.record_type == "Bounce" and told.type not in _NO_BOUNCES:
        return (Bounced(message=message, hard=told.type in _HARD, note=note, at=at),)
    return ()
