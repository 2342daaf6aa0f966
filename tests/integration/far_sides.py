"""The far side of each channel, as a real server of this process that does what it is told.

A new channel comes with one of these and nothing else: test_channels.py has all that it has to keep.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from ipaddress import ip_network
from typing import Any, Protocol

import sqlalchemy as sa
from aiohttp import web
from msgspec.structs import replace
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks.webhooks import Webhook

from notifier.channels.channel import Channel, Parcel, Payload
from notifier.channels.email import EmailChannel
from notifier.channels.webhook import WebhookChannel
from notifier.endpoints import Endpoints
from notifier.outcomes import MAIL_PAUSES, WEBHOOK_PAUSES
from notifier.settings import SmtpSettings, WebhookSettings
from notifier.tables import disabled_endpoints
from services.contracts.storefront import Endpoint, endpoint_key
from services.postgres import transaction
from tests.integration.notifier_world import Answering, Clock, smtp_server
from tests.unit.notifier.builders import STOREFRONT, parcel


class FarSide(Protocol):
    attempts: int
    """After so many refusals a message is given up."""
    bad_addresses: tuple[str, ...]

    def channel(self, clock: Clock) -> Channel[Any]: ...

    def parcel(self, **changes: Any) -> Parcel: ...  # noqa: ANN401  any of its fields

    def refuse_for_now(self) -> None: ...

    def refuse_for_ever(self) -> None: ...

    def take_and_say_nothing(self) -> None:
        """It has the parcel then, and nobody hears of it."""
        ...

    def be_well(self) -> None: ...

    async def go_away(self) -> None:
        """Nobody listens any more, and open connections are gone."""
        ...

    @property
    def ids(self) -> list[str]:
        """Of what it took, as the far side tells two of a kind apart."""
        ...

    @property
    def open_connections(self) -> int: ...


@dataclass
class MailServer:
    server: Answering
    attempts: int = len(MAIL_PAUSES) + 1
    bad_addresses: tuple[str, ...] = (
        "ada@mail.example\r\nBcc: x@mail.example",
        "not one",
        "a@b.example, c@d.example",
        "",
    )

    def channel(self, clock: Clock) -> EmailChannel:
        timeout = timedelta(milliseconds=500)
        return EmailChannel(
            SmtpSettings(host="127.0.0.1", port=self.server.port, security="none", timeout=timeout), clock
        )

    def parcel(self, **changes: Any) -> Parcel:  # noqa: ANN401  any of its fields
        return parcel(**changes)

    def refuse_for_now(self) -> None:
        self.server.at["RCPT"] = "450 busy, <ada@mail.example>"

    def refuse_for_ever(self) -> None:
        self.server.at["RCPT"] = "550 no such user <ada@mail.example>"

    def take_and_say_nothing(self) -> None:
        self.server.at["DATA"] = "250-still thinking"  # a line that promises another

    def be_well(self) -> None:
        self.server.at.clear()

    async def go_away(self) -> None:
        self.server.go_away()

    @property
    def ids(self) -> list[str]:
        taken = [message_from_bytes(bytes(mail.original_content or b"")) for mail in self.server.taken]
        return [mail["Message-ID"] for mail in taken]

    @property
    def open_connections(self) -> int:
        return self.server.open_connections


@asynccontextmanager
async def mail_server(_: AsyncEngine) -> AsyncIterator[FarSide]:
    async with smtp_server() as server:
        yield MailServer(server)


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = (ip_network("127.0.0.0/8"),)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def takes(_: web.Request) -> web.StreamResponse:
    return web.Response(status=200, text="thanks")


def answers(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return answer


@dataclass
class Sink:
    """An HTTP server that takes webhooks; `answer` says what it does with a request that it has read and verified."""

    switches: Endpoints
    runner: web.AppRunner
    port: int = 0
    answer: Answer = takes
    requests: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    took: list[str] = field(default_factory=list)
    attempts: int = len(WEBHOOK_PAUSES) + 1
    bad_addresses: tuple[str, ...] = ("no-such-endpoint", "", "inside", "metadata", "by-a-name", "in-clear")
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body, headers = await request.text(), request.headers
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)  # by the clock of the test
        assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], at, body)
        self.requests.append((request.path, dict(headers), json.loads(body)))
        answer = await self.answer(request)
        if answer.status < 300:
            self.took.append(request.headers["webhook-id"])
        return answer

    async def hang(self, request: web.Request) -> web.StreamResponse:
        self.took.append(request.headers["webhook-id"])
        await self.stopping.wait()
        return web.Response()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def channel(self, clock: Clock, **changes: Any) -> WebhookChannel:  # noqa: ANN401, ARG002  any setting; the interface
        names = ("hook", "slow", "inside", "metadata", "by-a-name", "in-clear")
        secrets = {endpoint_key("main-shop", name): (SecretStr(SECRET),) for name in names}
        given = {"secrets": secrets, "allow_private": LOOPBACK, "timeout": timedelta(seconds=1), **changes}
        return WebhookChannel(WebhookSettings.model_validate(given), self.switches)

    def parcel(self, **changes: Any) -> Parcel:  # noqa: ANN401  any of its fields
        endpoints = {
            "hook": Endpoint(url=self.url()),
            "slow": Endpoint(url=self.url("/slow")),
            "inside": Endpoint(url="https://10.0.0.1/hook"),
            "metadata": Endpoint(url="https://[::ffff:169.254.169.254]/latest"),
            "by-a-name": Endpoint(url="https://localhost.localdomain./hook"),
            "in-clear": Endpoint(url="http://hooks.example/hook"),
        }
        storefront = replace(STOREFRONT, endpoints=endpoints)
        given = {"address": "hook", "storefront": storefront, "content": Payload(body='{"said":"Grüße"}'), **changes}
        return parcel(**given)

    def refuse_for_now(self) -> None:
        self.answer = answers(500)

    def refuse_for_ever(self) -> None:
        self.answer = answers(410)

    def take_and_say_nothing(self) -> None:
        self.answer = self.hang

    def be_well(self) -> None:
        self.answer = takes

    async def go_away(self) -> None:
        self.stopping.set()
        await self.runner.cleanup()

    @property
    def ids(self) -> list[str]:
        return self.took

    @property
    def open_connections(self) -> int:
        return len(self.runner.server.connections) if self.runner.server is not None else 0


@asynccontextmanager
async def sink(database: AsyncEngine) -> AsyncIterator[Sink]:
    async with transaction(database) as connection:
        await connection.execute(sa.delete(disabled_endpoints))
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0)
    one = Sink(Endpoints(database), runner)
    app.router.add_route("*", "/{path:.*}", one.receive)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await one.go_away()


FAR_SIDES: dict[str, Callable[[AsyncEngine], AbstractAsyncContextManager[FarSide]]] = {
    "email": mail_server,
    "webhook": sink,
}
