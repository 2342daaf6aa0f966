"""Mails that report of a mail: delivery status notifications (RFC 3464) and feedback reports (ARF, RFC 5965). Pure."""

import contextlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any, Final, TypeAlias
from uuid import UUID

from notifier.bounces.report import (
    HEADER,
    Bounced,
    Complained,
    NotAReport,
    Report,
    message_in,
    noted,
    says_no_such_address,
)

MOST_READ: Final = 256 * 1024
"""Bytes. The report and the header of what came back lie at the beginning; whatever else came back may be long."""
DEEPEST: Final = 20
_BOUNDARY: Final = re.compile(rb"boundary[\s*0-9]*=", re.IGNORECASE)
_NO_COMPLAINTS: Final = frozenset({"not-spam", "auth-failure", "virus"})
"""The last two are a machine's (RFC 6591, RFC 5965): nobody has said that they want no more mail."""
_SAYS_NOTHING: Final = frozenset({"", "5.0.0"})
_Mail: TypeAlias = "Message[Any, Any]"
_ADDRESSED: Final = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
"""Where a bounce address shows that has the message's id in it."""


def read(raw: bytes) -> tuple[Report, ...]:
    """Empty for a delay, a success, and for what names no message of ours. Raises NotAReport for another mail."""
    mail = _parsed(raw[:MOST_READ])
    kind = str(mail.get_param("report-type", "") if mail.get_content_type() == "multipart/report" else "").lower()
    parts = list(_parts(mail))
    if kind == "delivery-status" or _of(parts, "message/delivery-status") is not None:
        return tuple(_bounced(mail, parts))
    if kind == "feedback-report" or _of(parts, "message/feedback-report") is not None:
        return tuple(_complained(mail, parts))
    raise NotAReport("this mail is no report of another; it should be multipart/report")


def _parsed(raw: bytes) -> _Mail:
    """Anybody may write to where bounces go, and each line is held against every boundary around it, for minutes."""
    if len(_BOUNDARY.findall(raw)) <= DEEPEST:
        with contextlib.suppress(RecursionError):
            return message_from_bytes(raw)
    raise NotAReport("it has parts within parts, deeper than anybody writes them")


def _bounced(mail: _Mail, parts: list[_Mail]) -> Iterator[Report]:
    message = _reported(mail, parts)
    status = _of(parts, "message/delivery-status")
    if message is None or status is None:
        return
    failed = [block for block in _blocks(status) if _said(block, "Action").lower() == "failed"]
    if failed:
        codes = [_status(block) for block in failed]
        note = noted(_said(failed[0], "Status"), _said(failed[0], "Diagnostic-Code"))
        yield Bounced(message=message, hard=any(says_no_such_address(code) for code in codes), note=note)


def _complained(mail: _Mail, parts: list[_Mail]) -> Iterator[Report]:
    message = _reported(mail, parts)
    report = _of(parts, "message/feedback-report")
    if message is None or report is None:
        return
    kinds = [said for block in _blocks(report) if (said := _said(block, "Feedback-Type"))]
    if not kinds or kinds[0].lower() not in _NO_COMPLAINTS:
        yield Complained(message=message, note=noted(*kinds))


def _reported(mail: _Mail, parts: list[_Mail]) -> UUID | None:
    """By what came back of the mail itself, else by the address that the report was sent to."""
    for part in parts:
        if part.get_content_type() in ("message/rfc822", "message/rfc822-headers", "text/rfc822-headers"):
            for original in _blocks(part):
                for header in (HEADER, "Message-ID"):
                    if (found := message_in(original.get(header))) is not None:
                        return found
    addressed = (address for header in _ADDRESSED for address in mail.get_all(header, []))
    return next((found for one in addressed if (found := message_in(str(one))) is not None), None)


def _parts(mail: _Mail, depth: int = 0) -> Iterator[_Mail]:
    """The parts of the report, without looking into the mail that it is about."""
    if depth > DEEPEST:
        return
    for part in _messages(mail) if mail.get_content_maintype() == "multipart" else ():
        yield part
        yield from _parts(part, depth + 1)


def _messages(mail: _Mail) -> list[_Mail]:
    held = mail.get_payload()
    return [one for one in held if isinstance(one, Message)] if isinstance(held, list) else []


def _of(parts: list[_Mail], content_type: str) -> "_Mail | None":
    return next((part for part in parts if part.get_content_type() == content_type), None)


def _blocks(part: _Mail) -> list[_Mail]:
    """A part's groups of fields; of text, what is read from it."""
    if part.is_multipart():
        return _messages(part)
    raw = part.get_payload(decode=True)
    return [message_from_bytes(raw)] if isinstance(raw, bytes) else []


def _status(block: _Mail) -> str:
    """What the far side answered, where the code says no more than that it failed: Exim writes no other."""
    code = _said(block, "Status")
    return _said(block, "Diagnostic-Code") if code in _SAYS_NOTHING else code


def _said(block: _Mail, field: str) -> str:
    return str(block.get(field, "")).strip()
