"""Outgoing webhooks as Standard Webhooks has them: signed, under one id however often, and to the internet only.

A receiver tells a repeat by its `webhook-id`, so what may have arrived is sent again: there a lost message is worse
than one that comes twice. Redirects are not followed, and of an answer only the first line and the headers are read.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final, Protocol

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from standardwebhooks.webhooks import Webhook

from notifier.channels.channel import Parcel, Payload
from notifier.channels.public_addresses import Network, inside, url_fault
from notifier.outcomes import WEBHOOK_PAUSES, Dead, Delivered, Outcome, RetryAt, Unknown, refused_for_now, short
from notifier.settings import WebhookSettings
from notifier.store import UNAVAILABLE
from services.contracts.storefront import endpoint_key

log = structlog.get_logger()

CONNECT: Final = timedelta(seconds=10)
"""Less than any timeout for the whole: so it is known of what took too long that nothing had been sent."""
LONGEST_WAIT: Final = timedelta(hours=24)
"""However long a receiver asks us to stay away."""
OFF_PAUSE: Final = timedelta(hours=1)
"""What waits for a disabled endpoint looks again so often; enabling it wakes it at once."""


class Switches(Protocol):
    """Which endpoints have said that they are gone, kept by whoever runs this."""

    async def is_off(self, key: str) -> bool: ...

    async def turn_off(self, key: str, why: str, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where one parcel goes, and what signs it: every secret that holds, while one takes another's place."""

    key: str
    url: str
    secrets: Sequence[str]


def aim(parcel: Parcel, settings: WebhookSettings, now: datetime) -> Aim | Dead | RetryAt:
    endpoint = parcel.storefront.endpoints.get(parcel.address)
    if endpoint is None:
        return Dead(why="the storefront has no endpoint of this name")
    if (fault := url_fault(endpoint.url, settings.allow_private)) is not None:
        return Dead(why=f"the endpoint's url {fault}")
    key = endpoint_key(parcel.shop, parcel.address)
    secrets = settings.secrets.get(key)
    if secrets is None:
        return _refused(parcel, f"no secret to sign with; name it {key} in STAGEPOST_WEBHOOKS__SECRETS", now)
    return Aim(key=key, url=endpoint.url, secrets=[secret.get_secret_value() for secret in secrets])


def headers_of(parcel: Parcel, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    at = now.astimezone(UTC)  # the library takes any other for UTC
    signatures = [Webhook(secret).sign(str(parcel.id), at, body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "Stagepost (+webhooks)",
        "webhook-id": str(parcel.id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def judged(parcel: Parcel, status: int, reason: str | None, retry_after: str | None, now: datetime) -> Outcome:
    """What an answer means. Only 410 is for ever; a redirect is as wrong as an error."""
    said = short(f"{status} {reason or ''}")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivered(answer=said)
    if status == HTTPStatus.GONE:
        return Dead(why=said, closed=True)
    refused = _refused(parcel, said, now)
    if isinstance(refused, Dead) or (asked := _asked(retry_after, now)) is None:
        return refused
    return RetryAt(at=max(refused.at, now + min(asked, LONGEST_WAIT)), why=said, counted=True)


def _refused(parcel: Parcel, why: str, now: datetime) -> RetryAt | Dead:
    return refused_for_now(parcel.id, parcel.attempt, why, now, WEBHOOK_PAUSES)


def _asked(retry_after: str | None, now: datetime) -> timedelta | None:
    """`Retry-After`: seconds, or a time."""
    if retry_after is None:
        return None
    try:
        return timedelta(seconds=int(retry_after)) if retry_after.isdecimal() else _time(retry_after) - now
    except (ValueError, OverflowError):
        return None


def _time(text: str) -> datetime:
    at = parsedate_to_datetime(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class Inside(OSError):
    """A connection that the guard did not let happen."""


class GuardedResolver(AbstractResolver):
    """A name that leads inside, with any of its addresses, leads nowhere."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._system = ThreadedResolver()
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        for one in found:
            _check(one["host"], self._allowed)
        return found

    async def close(self) -> None:
        await self._system.close()


def _check(host: str, allowed: Sequence[Network]) -> None:
    if (why := inside(ip_address(host.partition("%")[0]), allowed)) is not None:
        raise Inside(why)


@dataclass(frozen=True, slots=True)
class WebhookConnection:
    """Leave to make one request. Each has a connection of its own, looked up and looked at anew."""

    session: aiohttp.ClientSession
    settings: WebhookSettings
    switches: Switches

    async def deliver(self, parcel: Parcel, now: datetime) -> Outcome:
        if not isinstance(parcel.content, Payload):
            return Dead(why="a webhook carries JSON, and this is none")
        aimed = aim(parcel, self.settings, now)
        if not isinstance(aimed, Aim):
            return aimed
        try:
            if await self.switches.is_off(aimed.key):
                return RetryAt(at=now + OFF_PAUSE, why="its endpoint is disabled", counted=False)
            outcome = await self._post(parcel, aimed, parcel.content.body, now)
            if isinstance(outcome, Dead) and outcome.closed:
                log.error("a webhook's endpoint is gone and gets nothing any more", endpoint=aimed.key)
                await self.switches.turn_off(aimed.key, outcome.why, now)
        except UNAVAILABLE as error:
            return _refused(parcel, f"it can't be asked whether the endpoint is enabled: {error!r}", now)
        return outcome

    async def _post(self, parcel: Parcel, aimed: Aim, body: str, now: datetime) -> Outcome:
        headers = headers_of(parcel, body, aimed.secrets, now)
        try:
            async with self.session.post(
                aimed.url, data=body.encode(), headers=headers, allow_redirects=False
            ) as answer:
                answer.close()  # whatever else it has to say
                return judged(parcel, answer.status, answer.reason, answer.headers.get("retry-after"), now)
        except aiohttp.ClientConnectorError as error:  # also what TLS and name servers say
            if isinstance(error.os_error, Inside):
                return Dead(why=str(error.os_error))
            return _refused(parcel, f"nobody there: {error}", now)
        except aiohttp.ConnectionTimeoutError:
            return _refused(parcel, "nobody there: connecting took too long", now)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = f"no answer after it was sent: {type(error).__name__} {error}".strip()
            again = _refused(parcel, why, now)
            return Unknown(why=why, again=again.at if isinstance(again, RetryAt) else None)


class WebhookChannel:
    def __init__(self, settings: WebhookSettings, switches: Switches) -> None:
        self._settings = settings
        self._switches = switches
        self._session: aiohttp.ClientSession | None = None

    @property
    def size(self) -> int:
        return self._settings.connections

    @property
    def apart(self) -> bool:
        return True

    @property
    def resting(self) -> bool:
        """Never: each endpoint is a far side of its own, and its messages wait by themselves."""
        return False

    @property
    def repeats_known(self) -> bool:
        return True

    def wait(self, address: str, now: datetime) -> datetime | None:  # noqa: ARG002  the interface
        """Endpoints say themselves when it is too much for them (429)."""
        return None

    async def open(self, wanted: int) -> list[WebhookConnection]:
        if self._session is None:
            self._session = self._made()
        return [WebhookConnection(self._session, self._settings, self._switches) for _ in range(min(wanted, self.size))]

    async def give_back(self, connection: WebhookConnection) -> None:
        """It holds nothing."""

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _made(self) -> aiohttp.ClientSession:
        allowed = self._settings.allow_private

        def guarded(address: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
            """The last look, at the very address that is connected to."""
            family, kind, protocol, _, where = address
            _check(where[0], allowed)
            return socket.socket(family=family, type=kind, proto=protocol)

        connector = aiohttp.TCPConnector(
            limit=0,  # what bounds them is each endpoint's own bound
            force_close=True,  # what a kept connection did not answer might have been lost on either side of it
            use_dns_cache=False,
            resolver=GuardedResolver(allowed),
            socket_factory=guarded,
        )
        total, connect = self._settings.timeout.total_seconds(), CONNECT.total_seconds()
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=total, connect=min(connect, total / 2), sock_read=total),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
