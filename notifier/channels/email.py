"""Email over SMTP: connections that are used again, and an outcome for every way in which handing over can end."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Any, Final

import aiosmtplib
import structlog
from aiosmtplib import SMTPStatus

from notifier.addresses import deliverable, masked
from notifier.bounces.report import HEADER, METADATA, says_no_such_address
from notifier.channels.channel import Parcel
from notifier.channels.pace import USUAL, Pace
from notifier.followups import Purpose
from notifier.outcomes import Dead, Delivered, Outcome, Unknown, nobody_there, refused_for_now
from notifier.render import Rendered
from notifier.settings import SmtpSettings

log = structlog.get_logger()

IDLE: Final = timedelta(seconds=30)
"""A connection unused for so long is closed: servers hang up after minutes, and a dead one costs a failed mail."""
MAILS_A_CONNECTION: Final = 100
"""Servers limit it; hosted ones often to a hundred."""
TRIAL: Final = "[redirected]"
"""Before the subject of what goes to the shop's own people in a customer's stead."""
MEANT_FOR: Final = "X-Stagepost-Meant-For"
REST: Final = timedelta(seconds=5)
"""After a failed connection none is tried for so long: an absent server is not hammered."""


class _Uris(UnstructuredHeader, BaseHeader):
    """`<address>, <address>`, one a line. Python encodes a long one as text, and nobody could follow it."""

    def fold(self, *, policy: "Policy[Any]") -> str:
        return f"{self.name}: {f',{policy.linesep} '.join(str(self).split(', '))}{policy.linesep}"


_HEADERS: Final = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Uris)
_POLICY: Final = SMTP.clone(header_factory=_HEADERS)


def build(parcel: Parcel) -> EmailMessage:
    """The message with its headers. Message-ID and Date are the same at every attempt.

    Raises ValueError for a recipient or sender that is no address: nothing with a line break gets into a header.
    """
    from_ = parcel.storefront.sender
    sender = deliverable(from_.email)
    if sender is None or deliverable(parcel.address) != parcel.address:
        raise ValueError("no address that a mail may go to or come from")
    rendered = parcel.content
    if not isinstance(rendered, Rendered):
        raise ValueError("a mail is made of HTML and text, and this is neither")  # noqa: TRY004  both end the same way
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(display_name=_shown(from_.name), addr_spec=sender)
    message["To"] = Address(display_name=_shown(parcel.name or ""), addr_spec=parcel.address)
    message["Subject"] = _shown(rendered.subject if parcel.meant_for is None else f"{TRIAL} {rendered.subject}")
    message["Date"] = format_datetime(parcel.dated)
    message["Message-ID"] = f"<{parcel.id}@{sender.rpartition('@')[2]}>"
    message[HEADER] = str(parcel.id)
    message[f"X-PM-Metadata-{METADATA}"] = str(parcel.id)  # Postmark says it again of a bounce
    # Gmail's statistics of complaints, by follow-up, purpose and storefront.
    message["Feedback-ID"] = f"{parcel.follow_up}:{parcel.purpose}:{parcel.shop}:stagepost"
    message["Auto-Submitted"] = "auto-generated"
    if parcel.meant_for is not None:
        message[MEANT_FOR] = _shown(parcel.meant_for)
    elif parcel.purpose is Purpose.MARKETING:
        _unsubscribing(message, f"mailto:{sender}?subject=unsubscribe", parcel.unsubscribe)
    # Quoted-printable, so that no server on the way has a line to break or a byte to change.
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def envelope_sender(parcel: Parcel, bounces_to: str | None) -> str:
    """Where bounces go: the sender, or an address of its own for each message, so that one without it is known too."""
    if bounces_to is None:
        return deliverable(parcel.storefront.sender.email) or ""
    local, _, domain = bounces_to.rpartition("@")
    return f"{local}+{parcel.id.hex}@{domain}"


def _unsubscribing(message: EmailMessage, mailto: str, page: str | None) -> None:
    """RFC 8058: a mail program's own button posts to the page, so that nobody has to look for the link."""
    if page is None:
        message["List-Unsubscribe"] = f"<{mailto}>"
        return
    message["List-Unsubscribe"] = f"<{page}>, <{mailto}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _shown(text: str) -> str:
    """One line, whatever stood in it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@dataclass(slots=True)
class SmtpConnection:
    """One SMTP session."""

    client: aiosmtplib.SMTP
    used_at: datetime
    bounces_to: str | None = None
    mails: int = 0

    async def deliver(self, parcel: Parcel, now: datetime) -> Outcome:
        try:
            content = build(parcel).as_bytes()
        except ValueError as error:
            return Dead(why=str(error))
        self.mails += 1
        self.used_at = now
        try:
            refused = await self._announce(envelope_sender(parcel, self.bounces_to), parcel.address)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.client.close()
            return nobody_there(parcel.id, _said(error), now)
        if refused is None:
            return await self._hand_over(content, parcel, now)
        verb, answer = refused
        await self._begin_again(answer)
        # A refusal of MAIL is about us, not about who we write to: it must not end a whole queue.
        lasting = _is_lasting(answer) and verb != b"MAIL"
        return _refusal(answer, parcel, now, lasting=lasting)

    async def _announce(self, sender: str, recipient: str) -> tuple[bytes, aiosmtplib.SMTPResponse] | None:
        """Up to the go-ahead for the content; returns the command that got no yes, with its answer."""
        steps = (
            (b"MAIL", f"FROM:<{sender}>", {SMTPStatus.completed}),
            (b"RCPT", f"TO:<{recipient}>", {SMTPStatus.completed, SMTPStatus.will_forward}),
            (b"DATA", "", {SMTPStatus.start_input}),
        )
        for verb, argument, yes in steps:
            answer = await self.client.execute_command(*(part for part in (verb, argument.encode("ascii")) if part))
            if answer.code not in yes:
                return verb, answer
        return None

    async def _hand_over(self, content: bytes, parcel: Parcel, now: datetime) -> Outcome:
        """From the first byte on nobody can say what the other side kept, until it answers."""
        protocol = self.client.protocol
        if protocol is None:
            return nobody_there(parcel.id, "the connection was lost before the content", now)
        try:
            protocol.write(_stuffed(content))
            answer = await protocol.read_response(timeout=self.client.timeout)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.client.close()
            return Unknown(why=f"no answer after the content: {_said(error)}")
        if answer.code == SMTPStatus.completed:
            return Delivered(answer=_answer(answer, parcel.address))
        await self._begin_again(answer)
        if not (_is_lasting(answer) or _is_passing(answer)):
            return Unknown(why=f"an answer that SMTP doesn't have: {_answer(answer, parcel.address)}")
        return _refusal(answer, parcel, now, lasting=_is_lasting(answer))

    async def _begin_again(self, answer: aiosmtplib.SMTPResponse) -> None:
        if answer.code == SMTPStatus.domain_unavailable:
            self.client.close()
            return
        try:
            await self.client.rset(timeout=2)
        except (aiosmtplib.SMTPException, OSError):
            self.client.close()

    async def quit(self) -> None:
        try:
            await self.client.quit(timeout=2)
        except (aiosmtplib.SMTPException, OSError):
            self.client.close()


def _is_passing(answer: aiosmtplib.SMTPResponse) -> bool:
    return answer.code // 100 == 4  # noqa: PLR2004  RFC 5321: transient


def _is_lasting(answer: aiosmtplib.SMTPResponse) -> bool:
    return answer.code // 100 == 5  # noqa: PLR2004  RFC 5321: permanent


def _refusal(answer: aiosmtplib.SMTPResponse, parcel: Parcel, now: datetime, *, lasting: bool) -> Outcome:
    why = _answer(answer, parcel.address)
    if lasting:
        return Dead(why=why, no_such_address=says_no_such_address(answer.message))
    return refused_for_now(parcel.id, parcel.attempt, why, now)


def _stuffed(content: bytes) -> bytes:
    """As DATA wants it: a dot before a line's own, and the final one."""
    lines = content.replace(b"\r\n.", b"\r\n..")
    lines = b"." + lines if lines.startswith(b".") else lines
    return lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _answer(answer: aiosmtplib.SMTPResponse, recipient: str) -> str:
    """What the server said, without the address: servers like to repeat it."""
    return f"{answer.code} {answer.message}".replace(recipient, masked(recipient))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def client_of(settings: SmtpSettings, tls: ssl.SSLContext | None) -> aiosmtplib.SMTP:
    """As the settings say; not connected yet."""
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
        tls_context=tls,
        timeout=settings.timeout.total_seconds(),
        local_hostname=socket.gethostname(),  # the library's own default asks a name server
    )


class EmailChannel:
    """A pool of sessions with one server."""

    def __init__(self, settings: SmtpSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._tls = settings.tls_context()
        self._idle: deque[SmtpConnection] = deque()
        self._rest_until: datetime | None = None
        self._pace = Pace(USUAL if settings.pace is None else settings.pace)

    @property
    def size(self) -> int:
        return self._settings.connections

    @property
    def apart(self) -> bool:
        """One server takes them all."""
        return False

    @property
    def resting(self) -> bool:
        return self._rest_until is not None and self._clock() < self._rest_until

    @property
    def repeats_known(self) -> bool:
        """A person reads both."""
        return False

    def wait(self, address: str, now: datetime) -> datetime | None:
        return self._pace.wait(address, now)

    async def open(self, wanted: int) -> list[SmtpConnection]:
        await self._drop_stale()
        ready = [self._idle.popleft() for _ in range(min(wanted, len(self._idle)))]
        missing = wanted - len(ready)
        if missing and not self.resting:
            made = await asyncio.gather(*(self._connect() for _ in range(missing)))
            ready += [connection for connection in made if connection is not None]
        return ready

    async def give_back(self, connection: SmtpConnection) -> None:
        if connection.client.is_connected and connection.mails < MAILS_A_CONNECTION:
            self._idle.append(connection)
        else:
            await connection.quit()

    async def close(self) -> None:
        idle, self._idle = self._idle, deque()
        await asyncio.gather(*(connection.quit() for connection in idle))

    async def _drop_stale(self) -> None:
        now = self._clock()
        kept = [c for c in self._idle if c.client.is_connected and now - c.used_at < IDLE]
        stale = [c for c in self._idle if c not in kept]
        self._idle = deque(kept)
        await asyncio.gather(*(connection.quit() for connection in stale))

    async def _connect(self) -> SmtpConnection | None:
        settings = self._settings
        client = client_of(settings, self._tls)
        try:
            await client.connect()
            await client.ehlo()  # connecting greets only where TLS or a login needs it
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            self._rest_until = self._clock() + REST
            log.warning("the mail server can't be used", host=settings.host, port=settings.port, error=_said(error))
            return None
        self._rest_until = None
        return SmtpConnection(client=client, used_at=self._clock(), bounces_to=settings.bounces_to)
