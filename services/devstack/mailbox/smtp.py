"""The SMTP side: aiosmtpd's conversation, with a refusal asked for at each of its stages."""

import asyncio
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.devstack.mailbox.refusals import Action, Refusal, Refusals, Stage
from services.devstack.mailbox.store import MessageStore

MAX_MESSAGE = 25 * 1024 * 1024
"""Bytes; what large providers take."""
OK = "250 OK"


class MailboxSmtp(SMTP):
    """One connection. aiosmtpd has no hook for the greeting and none before the message's text, so these are ours."""

    def __init__(self, store: MessageStore, refusals: Refusals) -> None:
        self._refusals = refusals
        super().__init__(
            _Handler(store, refusals),
            data_size_limit=MAX_MESSAGE,
            enable_SMTPUTF8=True,
            hostname="mailbox.localhost",
            ident="Stagepost mailbox",
            loop=asyncio.get_running_loop(),
        )

    async def _handle_client(self) -> None:
        refusal = self._refusals.take(Stage.CONNECT, [])
        if refusal is None:
            await super()._handle_client()
            return
        await self.push(await carry_out(self, refusal))
        if self.transport is not None:
            self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  aiosmtpd's name
        recipients = self.envelope.rcpt_tos if self.envelope is not None else []
        refusal = self._refusals.take(Stage.DATA, recipients) if recipients else None
        if refusal is None:
            await super().smtp_DATA(arg)
        else:
            await self.push(await carry_out(self, refusal))

    async def push(self, status: AnyStr) -> None:
        await super().push(status)
        said = status if isinstance(status, bytes) else status.encode()
        if said.startswith(b"421 ") and self.transport is not None:
            self.transport.close()  # "service not available, closing transmission channel"


class _Handler:
    """aiosmtpd's hooks, by their names; what each returns is sent to the client."""

    def __init__(self, store: MessageStore, refusals: Refusals) -> None:
        self._store = store
        self._refusals = refusals

    async def handle_MAIL(  # noqa: N802
        self, server: MailboxSmtp, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self._refusals.take(Stage.MAIL, [address])
        if refusal is not None:
            return await carry_out(server, refusal)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return OK

    async def handle_RCPT(  # noqa: N802
        self, server: MailboxSmtp, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self._refusals.take(Stage.RCPT, [address])
        if refusal is not None:
            return await carry_out(server, refusal)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return OK

    async def handle_DATA(self, server: MailboxSmtp, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        refusal = self._refusals.take(Stage.AFTER_DOT, envelope.rcpt_tos)
        if refusal is not None and refusal.action is Action.REFUSE:
            return refusal.answer
        content: Any = envelope.original_content
        id_ = self._store.add(content, sender=envelope.mail_from or "", recipients=envelope.rcpt_tos)
        if refusal is not None:
            return await carry_out(server, refusal)
        return f"{OK} kept as {id_}"


async def carry_out(server: MailboxSmtp, refusal: Refusal) -> str:
    """What to answer; for `drop` and `hang` there is nobody left to answer when this returns or ends."""
    match refusal.action:
        case Action.REFUSE:
            return refusal.answer
        case Action.DROP:
            if isinstance(server.transport, asyncio.Transport):
                server.transport.abort()
        case Action.HANG:
            pass
    await asyncio.Event().wait()  # until the connection is lost, which cancels this conversation
    return ""
