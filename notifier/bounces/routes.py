"""Where mail servers and providers say what came back: `POST /v1/bounces/…`, each believed by its own signature."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import feedback
from notifier.bounces import dsn, mailgun, postmark, sendgrid, ses
from notifier.bounces.report import Bounced, NotAReport, Report
from notifier.bounces.settings import BounceSettings
from notifier.metrics import REPORTS
from services.errors import BadRequest, Forbidden, NotFound, TooLarge, Unauthorized, Unavailable
from services.postgres import transaction

log = structlog.get_logger()

MOST_BYTES: Final = 2 * 2**20
"""Of one request: a DSN holds the mail that it is about, and SendGrid's batches are well below that."""
Fetch = Callable[[str], Awaitable[bytes | None]]


class Taken(BaseModel):
    """How many bounces and complaints were reported, and how many of them were of messages of ours."""

    reports: int
    known: int


class BounceDesk:
    """`fetch` gets what lies at an address of Amazon's; None when it can't be had."""

    def __init__(
        self, engine: AsyncEngine, settings: BounceSettings, fetch: Fetch, clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._fetch = fetch
        self._clock = clock

    def routes(self, operator: Callable[[Request], None]) -> APIRouter:
        routes = APIRouter(prefix="/v1/bounces")
        routes.add_api_route("/dsn", self.of_mail, methods=["POST"], dependencies=[Depends(operator)])
        for provider in (self.ses, self.sendgrid, self.postmark, self.mailgun):
            routes.add_api_route(f"/{provider.__name__}", provider, methods=["POST"])
        return routes

    async def of_mail(self, request: Request) -> Taken:
        """A mail that reports of a mail (DSN or feedback report), as it came in; with the operator key."""
        body = await _body(request)
        return await self._take("dsn", lambda: dsn.read(body))

    async def sendgrid(self, request: Request) -> Taken:
        """SendGrid's signed event webhook."""
        if (key := self._settings.sendgrid_key) is None:
            raise _not_set("SENDGRID_KEY")
        body = await _body(request)
        signature, timestamp = (request.headers.get(name, "") for name in (sendgrid.SIGNATURE, sendgrid.TIMESTAMP))
        if not sendgrid.verified(body, signature, timestamp, sendgrid.public_key(key)):
            raise _unsigned("SendGrid")
        if not sendgrid.is_recent(timestamp, self._clock()):
            raise _stale("SendGrid", sendgrid.VALID)
        return await self._take("sendgrid", lambda: sendgrid.read(body))

    async def postmark(self, request: Request) -> Taken:
        """Postmark's webhooks for bounces and spam complaints."""
        if (login := self._settings.postmark_login) is None:
            raise _not_set("POSTMARK_LOGIN")
        if not postmark.verified(request.headers.get("authorization", ""), login.get_secret_value()):
            raise _unsigned("Postmark")
        body = await _body(request)
        return await self._take("postmark", lambda: postmark.read(body))

    async def mailgun(self, request: Request) -> Taken:
        """Mailgun's webhooks for permanent failures and complaints."""
        if (key := self._settings.mailgun_key) is None:
            raise _not_set("MAILGUN_KEY")
        body = await _body(request)
        if not mailgun.verified(body, key.get_secret_value(), self._clock()):
            raise _unsigned("Mailgun")
        return await self._take("mailgun", lambda: mailgun.read(body))

    async def ses(self, request: Request) -> Taken:
        """Amazon SES by way of an SNS topic; confirms its subscription by itself."""
        if not self._settings.ses_topics:
            raise _not_set("SES_TOPICS")
        said = _notice(await _body(request))
        if said.TopicArn not in self._settings.ses_topics:
            raise Forbidden("STAGEPOST_BOUNCES__SES_TOPICS does not name this topic")
        certificate = await self._fetch(said.SigningCertURL) if ses.is_certificate(said.SigningCertURL) else b""
        if certificate is None:
            raise Unavailable("the certificate that SNS signs with can't be had now")
        if not ses.verified(said, certificate):
            raise _unsigned("SNS")
        if not ses.is_recent(said, self._clock()):
            raise _stale("SNS", ses.VALID)
        if said.confirms and said.SubscribeURL is not None and ses.is_amazons(said.SubscribeURL):
            confirmed = await self._fetch(said.SubscribeURL) is not None
            log.info("SNS asked to confirm a subscription", topic=said.TopicArn, confirmed=confirmed)
        return await self._take("ses", lambda: ses.read(said))

    async def _take(self, provider: str, read: Callable[[], Sequence[Report]]) -> Taken:
        try:
            reports = await asyncio.to_thread(read)  # a long mail takes a second, and meanwhile others are served
        except NotAReport as error:
            log.warning("a report of bounces can't be read", provider=provider, error=str(error))
            raise BadRequest(f"this is no report: {error}") from None
        return await taken(self._engine, reports, provider, self._clock())


async def taken(engine: AsyncEngine, reports: Sequence[Report], provider: str, now: datetime) -> Taken:
    """Each in a transaction of its own; a report that comes twice says nothing new."""
    known = 0
    for report in reports:
        async with transaction(engine) as connection:
            about = await feedback.about(connection, report.message, now)
            if about is None:
                REPORTS.labels(provider, "unknown").inc()
                continue
            if isinstance(report, Bounced):
                REPORTS.labels(provider, "hard" if report.hard else "soft").inc()
                await feedback.bounced(connection, about, hard=report.hard, now=now, at=report.at, note=report.note)
            else:
                REPORTS.labels(provider, "complaint").inc()
                await feedback.complained(connection, about, now=now, at=report.at, note=report.note)
            known += 1
    return Taken(reports=len(reports), known=known)


def _notice(body: bytes) -> ses.Notice:
    try:
        return ses.notice(body)
    except NotAReport as error:
        raise BadRequest(f"this is not of SNS: {error}") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge(f"a report has at most {MOST_BYTES} bytes")
    return bytes(body)


def _not_set(name: str) -> NotFound:
    return NotFound(f"nobody is expected to report here; STAGEPOST_BOUNCES__{name} says who may")


def _unsigned(who: str) -> Unauthorized:
    return Unauthorized(f"this is not signed as {who} signs")


def _stale(who: str, valid: timedelta) -> Unauthorized:
    hours = valid // timedelta(hours=1)
    return Unauthorized(
        f"{who} signed this over {hours} hours ago, or in the future; is this machine's clock right?", code="stale"
    )
