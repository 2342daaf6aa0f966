"""The links of a mail: each signed, each good for a time, each naming its message and nothing else. Pure.

No address stands in one, nor who its customer is: links end up in logs and in other people's hands. What a click leads
to is part of what is signed, so nobody can make ours lead elsewhere. A token is, in base64url:

    1 byte   what it is for        4 bytes  until when, in seconds since 1970
    16 bytes the message           …        what more there is to say (a survey, an address to go to)
    16 bytes HMAC-SHA256 of all that, cut to 128 bits
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import quote
from uuid import UUID

from notifier.surveys import SCALES

PREFIX: Final = "/m"
"""What the internet may reach of the notifier: all the customers' pages lie below it, and nothing else does."""


class Act(StrEnum):
    """What a link is for; also the name of its page."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CONFIRM = "confirm"
    ANSWER = "answer"
    CLICK = "click"
    OPEN = "open"


_CODES: Final = {
    Act.UNSUBSCRIBE: 1,
    Act.PREFERENCES: 2,
    Act.CONFIRM: 3,
    Act.ANSWER: 4,
    Act.CLICK: 5,
    Act.OPEN: 6,
}
"""In tokens that are out there: numbers are for ever."""
VALID: Final = {
    Act.UNSUBSCRIBE: timedelta(days=730),  # people look into old mails for it; laws ask for 30 and 60 days
    Act.PREFERENCES: timedelta(days=730),
    Act.CONFIRM: timedelta(days=7),  # a yes is to follow the question
    Act.ANSWER: timedelta(days=90),  # later than that, it is no answer to that order
    Act.CLICK: timedelta(days=365),
    Act.OPEN: timedelta(days=90),
}
"""From the end of its message's `max_age`, which is the same at every attempt to send it."""

_HEAD: Final = 1 + 4 + 16
_MAC: Final = 16
LONGEST_TOKEN: Final = 4096


class Refusal(StrEnum):
    FORGED = "forged"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`detail` is the survey of an ANSWER, the address of a CLICK."""

    act: Act
    message: UUID
    expires_at: datetime
    detail: str = ""


class Signer:
    """Signs with `secret`; believes what `previous` signed too, while one secret takes the other's place."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._keys = tuple(_key(one) for one in (secret, previous) if one is not None)

    def sign(self, token: Token) -> str:
        until = int(token.expires_at.timestamp())
        said = bytes([_CODES[token.act]]) + until.to_bytes(4, "big") + token.message.bytes + token.detail.encode()
        return base64.urlsafe_b64encode(said + _mac(self._keys[0], said)).decode().rstrip("=")

    def read(self, act: Act, text: str, now: datetime) -> Token | Refusal:
        """What `sign` was given, if the link is for `act`, is ours and is still good."""
        raw = _decoded(text)
        if raw is None or len(raw) < _HEAD + _MAC:
            return Refusal.FORGED
        said, mac = raw[:-_MAC], raw[-_MAC:]
        if not any(hmac.compare_digest(_mac(key, said), mac) for key in self._keys) or said[0] != _CODES[act]:
            return Refusal.FORGED
        expires_at = datetime.fromtimestamp(int.from_bytes(said[1:5], "big"), UTC)
        if now >= expires_at:
            return Refusal.EXPIRED
        return Token(act=act, message=UUID(bytes=said[5:_HEAD]), expires_at=expires_at, detail=said[_HEAD:].decode())


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"stagepost: links in mails", hashlib.sha256)


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)[:_MAC]


def _decoded(text: str) -> bytes | None:
    """Only as `sign` writes it: base64 has many spellings of one thing, and a limit by token counts on one."""
    if len(text) > LONGEST_TOKEN:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.urlsafe_b64encode(raw).decode().rstrip("=") == text else None


class BadLink(ValueError):
    """A template asks for a link that can't be made."""


class Links:
    """What a template may link to beside the shop, of one message."""

    def __init__(self, base: str, signer: Signer, message: UUID, since: datetime, console: str | None = None) -> None:
        """`base` is where browsers reach our pages, `console` where the shop's own people reach the console.

        `since` is the end of the message's `max_age`.
        """
        self._base = base.rstrip("/") + PREFIX
        self._console = None if console is None else f"{console.rstrip('/')}/customers/"
        self._signer = signer
        self._message = message
        self._since = since

    @property
    def base(self) -> str:
        """What those to our pages begin with."""
        return f"{self._base}/"

    @property
    def bases(self) -> tuple[str, ...]:
        """What all of them begin with."""
        return (self.base,) if self._console is None else (self.base, self._console)

    def customer(self, customer: str) -> str | None:
        """A customer in the console, for the shop's own people; None where nobody said where that is."""
        return None if self._console is None else self._console + customer

    @property
    def unsubscribe(self) -> str:
        return self._to(Act.UNSUBSCRIBE)

    @property
    def preferences(self) -> str:
        return self._to(Act.PREFERENCES)

    @property
    def confirm(self) -> str:
        """Where a subscription is confirmed by who has the address (double opt-in)."""
        return self._to(Act.CONFIRM)

    @property
    def pixel(self) -> str:
        """A picture of one dot, by which a shop that wants to know learns that the mail was opened."""
        return self._to(Act.OPEN)

    def answer(self, kind: str, score: int | None = None) -> str:
        """The page of a survey, with the score chosen there; it counts when its form is sent. Raises BadLink."""
        scale = SCALES.get(kind)
        if scale is None:
            raise BadLink(f"there is no survey `{kind}`; there are {', '.join(SCALES)}")
        if score is not None and score not in scale.scores:
            raise BadLink(f"{kind} is answered from {scale.least} to {scale.most}, not by {score!r}")
        return self._to(Act.ANSWER, kind) + ("" if score is None else f"?score={score}")

    def click(self, url: str) -> str:
        """The same address by way of us, who note that it was followed; as it is when it is too long for that."""
        link = self._to(Act.CLICK, quote(url, safe=":/?#[]@!$&'()*+,;=%"))
        return link if len(link) <= len(self._base) + LONGEST_TOKEN else url

    def _to(self, act: Act, detail: str = "") -> str:
        token = Token(act=act, message=self._message, expires_at=self._since + VALID[act], detail=detail)
        return f"{self._base}/{act}/{self._signer.sign(token)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMaker:
    """Where our pages and the console are, and what signs the links to our pages."""

    base: str
    signer: Signer
    console: str | None = None

    def of(self, message: UUID, since: datetime) -> Links:
        return Links(self.base, self.signer, message, since, self.console)


SAMPLE: Final = LinkMaker(
    base="https://mail.example", signer=Signer("of a sample: opens nothing"), console="https://console.example"
).of(UUID(int=0), datetime(2030, 1, 1, tzinfo=UTC))
"""For `check` and `preview`: links that look like real ones and lead nowhere."""
