"""Amazon SES by way of SNS: notices signed with a certificate of Amazon's. Pure; `ses_certificates` fetches it.

A signature says that Amazon sent it, not for whom: anybody may have a topic. So only topics that we were told of count.
"""

import base64
import binascii
import re
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from notifier.bounces.report import (
    HEADER,
    Bounced,
    Complained,
    NotAReport,
    Report,
    by_iso,
    is_timely,
    message_in,
    noted,
)

_AMAZON: Final = re.compile(r"sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?")
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_SIGNED: Final = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
"""In this order; a notice has no URL and no token, a confirmation no subject."""

VALID: Final = timedelta(hours=2)
"""SNS keeps the time of the first attempt, and tries for an hour at most, whatever its topic is told."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One request of SNS."""

    Type: str
    MessageId: str
    TopicArn: str
    Message: str
    Timestamp: str
    SignatureVersion: str
    Signature: str
    SigningCertURL: str
    Subject: str | None = None
    SubscribeURL: str | None = None
    Token: str | None = None

    @property
    def confirms(self) -> bool:
        return self.Type == "SubscriptionConfirmation"


def notice(body: bytes) -> Notice:
    """Raises NotAReport."""
    try:
        return msgspec.json.decode(body, type=Notice)
    except msgspec.DecodeError as error:
        raise NotAReport(str(error)) from None


def is_certificate(url: str | None) -> bool:
    """Whether it is where SNS keeps its certificates: a call of SNS answers with what its caller has written there."""
    parts = urlsplit(url or "") if is_amazons(url) else None
    return parts is not None and _CERTIFICATE.fullmatch(parts.path) is not None and not parts.query


def is_amazons(url: str | None) -> bool:
    """Whether it leads to SNS itself, and nowhere else."""
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and _AMAZON.fullmatch(host) is not None
        and port in (None, 443)
        and parts.username is None
        and parts.password is None
    )


def verified(said: Notice, certificate: bytes) -> bool:
    """`certificate` is what lies at `SigningCertURL`, in PEM."""
    fields = _SIGNED if said.Type != "Notification" else [f for f in _SIGNED if f not in ("SubscribeURL", "Token")]
    text = "".join(f"{name}\n{value}\n" for name in fields if (value := getattr(said, name)) is not None)
    try:
        key = load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        digest = SHA256() if said.SignatureVersion == "2" else SHA1()  # noqa: S303  version 1 has no other
        key.verify(base64.b64decode(said.Signature, validate=True), text.encode(), PKCS1v15(), digest)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def is_recent(said: Notice, now: datetime) -> bool:
    """By its time, which the signature covers."""
    try:
        return is_timely(datetime.fromisoformat(said.Timestamp).timestamp(), VALID, now)
    except (ValueError, OverflowError):
        return False


class _Mail(msgspec.Struct):
    headers: list[dict[str, Any]] = []


class _Recipient(msgspec.Struct, rename="camel"):
    diagnostic_code: str = ""


class _Bounce(msgspec.Struct, rename="camel"):
    bounce_type: str = ""
    bounce_sub_type: str = ""
    bounced_recipients: list[_Recipient] = []


class _Complaint(msgspec.Struct, rename="camel"):
    complaint_feedback_type: str | None = None


class _Told(msgspec.Struct, rename="camel"):
    mail: _Mail = msgspec.field(default_factory=_Mail)
    notification_type: str = ""
    event_type: str = ""
    bounce: _Bounce = msgspec.field(default_factory=_Bounce)
    complaint: _Complaint = msgspec.field(default_factory=_Complaint)


def read(said: Notice) -> tuple[Report, ...]:
    """Raises NotAReport. Empty where SES is not told to include the original headers."""
    if said.Type != "Notification":
        return ()
    try:
        told = msgspec.json.decode(said.Message, type=_Told)
    except msgspec.DecodeError as error:
        raise NotAReport(str(error)) from None
    headers = {str(header.get("name", "")).lower(): header.get("value") for header in told.mail.headers}
    message = message_in(headers.get(HEADER.lower())) or message_in(headers.get("message-id"))
    if message is None:
        return ()
    at = by_iso(said.Timestamp)
    match told.notification_type or told.event_type:
        case "Bounce":
            bounce = told.bounce
            codes = [recipient.diagnostic_code for recipient in bounce.bounced_recipients]
            note = noted(bounce.bounce_type, bounce.bounce_sub_type, *codes[:1])
            return (Bounced(message=message, hard=bounce.bounce_type == "Permanent", note=note, at=at),)
        case "Complaint":
            return (Complained(message=message, note=noted(told.complaint.complaint_feedback_type), at=at),)
        case _:
            return ()
