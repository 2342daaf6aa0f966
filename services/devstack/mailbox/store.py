"""The messages: a file each, as it came, so that they outlive the process and any mail program can read them."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path
from typing import Any

SNIPPET = 250
"""Characters of text that a list shows of a message, as in Mailpit."""


@dataclass(frozen=True, slots=True)
class Stored:
    id: str
    raw: bytes

    @property
    def created(self) -> datetime:
        return datetime.fromtimestamp(int(self.id[:16], 16) / 1e9, tz=UTC)

    def parsed(self) -> EmailMessage:
        return BytesParser(EmailMessage, policy=policy.default).parsebytes(self.raw)


class MessageStore:
    """Ids begin with the time of arrival, so that their order is that of the messages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._summaries: dict[str, dict[str, Any]] = {}
        for file in sorted(folder.glob("*.eml")):
            self._remember(Stored(file.stem, file.read_bytes()))

    def add(self, raw: bytes, *, sender: str, recipients: list[str]) -> str:
        """The envelope goes before the message, where mail servers put it."""
        head = f"Return-Path: <{sender}>\r\nX-Envelope-To: {', '.join(recipients)}\r\n"
        stored = Stored(f"{time.time_ns():016x}{secrets.token_hex(3)}", head.encode("utf-8", "surrogateescape") + raw)
        part = self._folder / f".{stored.id}"
        part.write_bytes(stored.raw)
        part.rename(self._file(stored.id))
        self._remember(stored)
        return stored.id

    def __len__(self) -> int:
        return len(self._summaries)

    def newest(self, start: int, limit: int) -> list[dict[str, Any]]:
        ids = sorted(self._summaries, reverse=True)[start : start + limit]
        return [self._summaries[id_] for id_ in ids]

    def get(self, id_: str) -> Stored | None:
        if id_ == "latest":
            id_ = max(self._summaries, default="")
        return Stored(id_, self._file(id_).read_bytes()) if id_ in self._summaries else None

    def clear(self) -> None:
        for id_ in list(self._summaries):
            self._file(id_).unlink(missing_ok=True)
            del self._summaries[id_]

    def _file(self, id_: str) -> Path:
        return self._folder / f"{id_}.eml"

    def _remember(self, stored: Stored) -> None:
        self._summaries[stored.id] = summary(stored)


def summary(stored: Stored) -> dict[str, Any]:
    """Mailpit's shape of a message in a list."""
    message = stored.parsed()
    text = " ".join(_body(message, "plain").split())
    return {
        **_head(stored, message),
        "Created": _rfc3339(stored.created),
        "Attachments": sum(1 for _ in message.iter_attachments()),
        "Snippet": text[:SNIPPET],
        "Read": False,
        "Tags": [],
    }


def full(stored: Stored) -> dict[str, Any]:
    """Mailpit's shape of one message. `Date` is what its header says, else when it came."""
    message = stored.parsed()
    said = message["Date"].datetime if message["Date"] else None
    return {
        **_head(stored, message),
        "ReturnPath": str(message["Return-Path"] or "").strip("<>"),
        "Date": _rfc3339(said or stored.created),
        "Text": _body(message, "plain"),
        "HTML": _body(message, "html"),
        "Tags": [],
        "Attachments": [
            {"FileName": part.get_filename() or "", "ContentType": part.get_content_type()}
            for part in message.iter_attachments()
        ],
    }


def headers(stored: Stored) -> dict[str, list[str]]:
    message = stored.parsed()
    return {name: [str(value) for value in message.get_all(name, [])] for name in message}


def _head(stored: Stored, message: EmailMessage) -> dict[str, Any]:
    senders = _addresses(message, "From")
    return {
        "ID": stored.id,
        "MessageID": str(message["Message-ID"] or "").strip().strip("<>"),
        "From": senders[0] if senders else {"Name": "", "Address": ""},
        "To": _addresses(message, "To"),
        "Cc": _addresses(message, "Cc"),
        "Bcc": [],
        "ReplyTo": _addresses(message, "Reply-To"),
        "Subject": str(message["Subject"] or ""),
        "Size": len(stored.raw),
    }


def _addresses(message: EmailMessage, header: str) -> list[dict[str, str]]:
    said = [str(value) for value in message.get_all(header, [])]
    return [{"Name": name, "Address": address} for name, address in getaddresses(said) if address]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    content: str = part.get_content()
    return content.replace("\r\n", "\n")  # SMTP's line ends mean nothing any more


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
