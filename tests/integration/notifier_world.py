"""What the notifier's tests stand on: a database of its own in the stack's Postgres, and an SMTP server that obeys.

The database is made from the tables, so that a worker or an intake is tested apart from the notifier that runs in the
stack; that the migrations make the same is tested with the migrations.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.tables import SCHEMA, metadata
from services.postgres import create_engine, transaction
from services.settings import PostgresSettings


@asynccontextmanager
async def database(dsn: str) -> AsyncIterator[AsyncEngine]:
    name = f"notifier_{uuid4().hex[:12]}"
    admin = create_engine(PostgresSettings(dsn=dsn), application="test").execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
    own = sa.make_url(dsn).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(PostgresSettings(dsn=own), application="test")
    try:
        async with transaction(engine) as connection:
            await connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
            await connection.run_sync(metadata.create_all)
        yield engine
    finally:
        await engine.dispose()
        async with admin.connect() as connection:
            await connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        await admin.dispose()


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


@dataclass
class Answering:
    """An SMTP server in this process. `at` says what it answers to a command, instead of yes; `drop_at` hangs up."""

    at: dict[str, str] = field(default_factory=dict)
    drop_at: str | None = None
    taken: list[Envelope] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    port: int = 0
    listening: asyncio.Server | None = None
    lines: list[SMTP] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802  aiosmtpd's names
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._answer(server, "MAIL")

    async def handle_RCPT(  # noqa: N802  aiosmtpd's names
        self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]
    ) -> str:
        answer = self._answer(server, "RCPT")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's
        answer = self._answer(server, "DATA")
        if answer.startswith("250"):
            self.taken.append(envelope)
            self.sessions.append(session)
        return answer

    @property
    def open_connections(self) -> int:
        return sum(line.transport is not None and not line.transport.is_closing() for line in self.lines)

    def go_away(self) -> None:
        if self.listening is not None:
            self.listening.close()
        for line in self.lines:
            if line.transport is not None:
                line.transport.abort()

    def _answer(self, server: SMTP, command: str) -> str:
        if self.drop_at == command:
            transport = server.transport
            assert transport is not None
            transport.abort()
        return self.at.get(command, "250 OK")


@asynccontextmanager
async def smtp_server(*, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Answering]:  # noqa: ANN401  aiosmtpd's own
    """On a free port of this machine; `tls` offers STARTTLS."""
    handler = Answering()

    def session() -> SMTP:
        handler.lines.append(SMTP(handler, tls_context=tls, enable_SMTPUTF8=True, ident="test", **options))
        return handler.lines[-1]

    server = handler.listening = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        server.close()


Eventually = Callable[..., Any]
