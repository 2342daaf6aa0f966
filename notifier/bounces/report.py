"""What comes back of a mail, whoever reports it: it bounced, or somebody called it spam. Pure.

A report counts by the id of the message, which only its recipient and those who carried it know; never by an address
that stands in it. So nobody's mail is stopped by a forged report but one's own.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

HEADER: Final = "X-Stagepost-Message"
"""Stands in every mail beside Message-ID, which some providers replace by their own."""
METADATA: Final = "stagepost"
"""What our id is called where a provider lets mail carry values of its sender's."""
LONGEST_NOTE: Final = 300
AHEAD: Final = timedelta(minutes=5)
"""So far another's clock may be before ours."""
_ID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_STATUS: Final = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?!\w|\.\d)")
"""No part of an IP address or a version: servers name who answered, too, as in `host mx.example[5.1.1.20] said: …`."""
_NO_SUCH_ADDRESS: Final = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""RFC 3463 and 7505. The rest of the 5s is about size, a full mailbox, or what somebody thinks of us: it passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """`hard`: the address is none, and never will be. `note` is what the other side said, for operators.

    `at` is when it came about, where its reporter says so and is believed: the same however often it is said.
    """

    message: UUID
    hard: bool
    note: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complained:
    message: UUID
    note: str
    at: datetime | None = None


Report = Bounced | Complained


class NotAReport(ValueError):
    """It can't be read as what it should be."""


def is_timely(signed_at: float, valid: timedelta, now: datetime) -> bool:
    """Whether what was signed at this second of Unix time may still come, or was kept by somebody to be said again.

    Said again it could stop mail to who has subscribed anew since. Within `valid` a report's `at` keeps it from that.
    """
    age = now.timestamp() - signed_at
    return -AHEAD.total_seconds() <= age < valid.total_seconds()


def by_unix(said: object) -> datetime | None:
    """Seconds of Unix time; None for what is no time."""
    try:
        return datetime.fromtimestamp(float(said), UTC) if isinstance(said, str | int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def by_iso(said: object) -> datetime | None:
    """ISO 8601 with its offset from UTC; None for what is no such time."""
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def message_in(text: object) -> UUID | None:
    """The id of a message, as it stands in a Message-ID, in a bounce address or by itself."""
    found = _ID.search(text) if isinstance(text, str) else None
    return None if found is None else UUID(found[0])


def says_no_such_address(status: str | None) -> bool:
    """Whether an enhanced status code, in whatever text, says that the address is at fault."""
    found = _STATUS.search(status or "")
    return found is not None and found[0] in _NO_SUCH_ADDRESS


def noted(*parts: object) -> str:
    """One line of what was said, of characters that can be kept. Addresses are cut: a list is no place for them."""
    whole = " ".join(str(part) for part in parts if part)
    said = " ".join("".join(c if c.isprintable() else " " for c in whole).split())
    return re.sub(r"[^\s<>:;,\"']+@[^\s<>:;,\"']+", "…", said)[:LONGEST_NOTE]
