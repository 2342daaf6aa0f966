"""Notifiers as processes of their own, to be killed, and the far side of their mail: a real SMTP server that counts.

The stack around them is `stagepost up` without notifier and mailbox: what they are told and what they read is real.
"""

import asyncio
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiosmtpd.smtp import SMTP, Envelope, Session
from faults_proxy import LOOPBACK, Proxy
from faults_world import child

from services.devstack.supervisor import environment

PARTS: Final = "postgres,kafka,ingest,stage_engine"
SMTP_TIMEOUT: Final = timedelta(seconds=2)
"""What was being handed over when its process died is given up after six times that."""
_MESSAGE_ID: Final = re.compile(rb"^Message-ID: <([0-9a-f-]{36})@", re.MULTILINE | re.IGNORECASE)


@dataclass
class Sink:
    """Takes every mail and keeps its recipient and its id. `before` is awaited before a command is answered."""

    received: Counter[str] = field(default_factory=Counter)
    """By the message's id."""
    recipients: Counter[str] = field(default_factory=Counter)
    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    port: int = 0
    _listening: asyncio.Server | None = None
    _open: list[SMTP] = field(default_factory=list)

    async def listen(self) -> None:
        """Where it listened before, if it did."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._session, LOOPBACK, self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def go_away(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for line in self._open:
            if line.transport is not None:
                line.transport.abort()
        self._open.clear()

    def _session(self) -> SMTP:
        self._open.append(SMTP(self, enable_SMTPUTF8=True, ident="test"))
        return self._open[-1]

    async def handle_MAIL(  # noqa: N802  aiosmtpd's names
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer("MAIL")

    async def handle_RCPT(  # noqa: N802  aiosmtpd's names
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer("RCPT")

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's names
        found = _MESSAGE_ID.search(bytes(envelope.original_content or b""))
        assert found is not None
        self.received[found[1].decode()] += 1
        self.recipients[envelope.rcpt_tos[0]] += 1
        return await self._answer("DATA")

    async def _answer(self, command: str) -> str:
        if command in self.before:
            await self.before[command]()
        return "250 OK"


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    made = Sink()
    await made.listen()
    try:
        yield made
    finally:
        await made.go_away()


@dataclass
class Notifier:
    process: asyncio.subprocess.Process

    def signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self) -> None:
        """As kill -9 does; nobody starts it again."""
        self.signal(signal.SIGKILL)
        await self.process.wait()


@dataclass
class Notifiers:
    """All that a test starts; they end with it."""

    endpoints: dict[str, str]
    folder: Path
    started: list[Notifier] = field(default_factory=list)

    async def start(self, smtp: Sink, *, postgres: Proxy | None = None, **settings: str) -> Notifier:
        """`settings` by their variables without the prefix. `postgres` is a proxy for traps to lie in wait on."""
        dsn = self.endpoints["postgres"]
        env = {
            "KAFKA__BOOTSTRAP_SERVERS": self.endpoints["kafka"],
            "POSTGRES__DSN": dsn if postgres is None else _through(postgres, dsn),
            "SMTP__HOST": LOOPBACK,
            "SMTP__PORT": str(smtp.port),
            "SMTP__SECURITY": "none",
            "SMTP__TIMEOUT": f"{SMTP_TIMEOUT.total_seconds():.0f}s",
            "WEBHOOKS__TIMEOUT": "2s",
            "LINKS__URL": "http://127.0.0.1:1",
            "LINKS__SECRET": "x" * 32,
            "OPERATOR_KEY": self.endpoints["operator_key"],
            "HTTP__PORT": "0",
            "LOG__FORMAT": "json",
            **settings,
        }
        with (self.folder / f"notifier-{len(self.started)}.log").open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *child(sys.executable, "-m", "notifier", ends_with=signal.SIGKILL),
                stdout=out,
                stderr=out,
                env=environment({f"STAGEPOST_{name}": value for name, value in env.items()}),
                start_new_session=True,
            )
        self.started.append(Notifier(process))
        return self.started[-1]

    async def end(self) -> None:
        await asyncio.gather(*(one.kill() for one in self.started))

    def proxy(self) -> Proxy:
        """Before Postgres; not started."""
        return Proxy(lambda: urlsplit(self.endpoints["postgres"]).port or 5432)

    async def sql(self, statement: str, *arguments: Any) -> list[Any]:  # noqa: ANN401  any parameter
        connection = await asyncpg.connect(self.endpoints["postgres"])
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def statuses(self) -> Counter[str]:
        rows = await self.sql("SELECT status, count(*) AS many FROM notifier.messages GROUP BY status")
        return Counter({row["status"]: row["many"] for row in rows})


def _through(proxy: Proxy, dsn: str) -> str:
    """Every statement's text is on the wire each time, so that a trap can lie in wait for it."""
    parts = urlsplit(dsn)
    place = f"{parts.username}:{parts.password}@{LOOPBACK}:{proxy.port}"
    return urlunsplit(parts._replace(netloc=place, query="sslmode=disable&prepared_statement_cache_size=0"))
