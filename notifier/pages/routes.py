"""What each page does. GET and HEAD show, POST acts: what scans mail opens every link, and must move nobody.

A click and an open picture are noted (`noting`), which moves nobody either.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from notifier import feedback, saying
from notifier.in_force import Terms
from notifier.links import PREFIX, VALID, Act, LinkMaker, Refusal, Token
from notifier.outbox import say
from notifier.pages import forms
from notifier.pages.noting import Noting
from notifier.pages.pace import Pace
from notifier.pages.showing import Reader, page, reader_of, said, stranger
from notifier.pages.wishes import wishes_of
from notifier.saying import About
from notifier.store import UNAVAILABLE
from notifier.surveys import SCALES
from services.contracts.storefront import Storefront
from services.errors import NoShop
from services.postgres import transaction

log = structlog.get_logger()

IN_WORDS: Final = frozenset({"delivery"})
"""Surveys whose scores are answers in words, not numbers on a scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A good link of a message that there is."""

    token: Token
    about: About
    storefront: Storefront
    reader: Reader


Page = Callable[[Request, Opened], Awaitable[Response]]


class Pages:
    def __init__(
        self, engine: AsyncEngine, links: LinkMaker, in_force: Callable[[], Terms], clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._links = links
        self._in_force = in_force
        self._clock = clock
        self._pace = Pace()
        self._noting = Noting(engine, links.signer, clock, self._pace, lambda: stranger(self._only_storefront()))

    def routes(self) -> list[BaseRoute]:
        both = ["GET", "POST"]
        return [
            self._route(Act.UNSUBSCRIBE, self._unsubscribe, both),
            self._route(Act.PREFERENCES, self._preferences, both),
            self._route(Act.CONFIRM, self._confirm, both),
            self._route(Act.ANSWER, self._answer, both),
            *self._noting.routes(),
        ]

    def _route(self, act: Act, show: Page, methods: list[str]) -> BaseRoute:
        async def answer(request: Request) -> Response:
            try:
                opened = await self._opened(act, request)
                return opened if isinstance(opened, Response) else await show(request, opened)
            except forms.TooLong:
                lost = stranger(self._only_storefront())
                return said(lost, lost.words.too_long, status=413)
            except NoShop:
                lost = stranger(None)
                return said(lost, lost.words.unavailable, status=503)
            except UNAVAILABLE as error:
                log.warning("a page of a mail can't be shown", page=str(act), error=type(error).__name__)
                lost = stranger(self._only_storefront())
                return said(lost, lost.words.unavailable, status=503)

        return Route(f"{PREFIX}/{act}/{{token}}", answer, methods=methods)

    async def _opened(self, act: Act, request: Request) -> Opened | Response:
        nobody = stranger(self._only_storefront())
        token = self._links.signer.read(act, request.path_params["token"], self._clock())
        match token:
            case Refusal.FORGED:
                return said(nobody, nobody.words.forged, status=404)
            case Refusal.EXPIRED:
                return said(nobody, nobody.words.expired, status=410)
            case Token():
                pass
        ends_mail = act is Act.UNSUBSCRIBE and request.method == "POST"  # is refused to nobody
        if not self._pace.allows(token.message, self._clock()) and not ends_mail:
            return said(nobody, nobody.words.too_often, status=429)
        async with self._engine.connect() as connection:
            about = await feedback.about(connection, token.message, self._clock())
        storefront = self._in_force().shop.storefronts.get(about.storefront) if about else None
        if about is None or about.to_staff or storefront is None:  # the shop's own people answer for no customer
            return said(nobody, nobody.words.forged, status=404)
        return Opened(token=token, about=about, storefront=storefront, reader=reader_of(about, storefront))

    def _only_storefront(self) -> Storefront | None:
        """Whose look a page has that belongs to none: a shop's, where there is one only."""
        try:
            storefronts = list(self._in_force().shop.storefronts.values())
        except NoShop:
            return None
        return storefronts[0] if len(storefronts) == 1 else None

    def _preferences_of(self, opened: Opened) -> str:
        """The other link of the same message, good for as long."""
        since = opened.token.expires_at - VALID[opened.token.act]
        return self._links.of(opened.token.message, since).preferences

    async def _unsubscribe(self, request: Request, opened: Opened) -> Response:
        """Any POST acts: a mail program's is one-click (RFC 8058), and says nothing that is not in the link."""
        reader, words = opened.reader, opened.reader.words
        preferences = self._preferences_of(opened)
        if request.method != "POST":
            text = reader.said(words.unsubscribe_text)
            return page(reader, "unsubscribe", words.unsubscribe_title, text=text, preferences=preferences)
        async with transaction(self._engine) as connection:
            await feedback.consented(connection, opened.about, "email", yes=False, now=self._clock())
        return said(reader, words.unsubscribed, preferences=preferences)

    async def _preferences(self, request: Request, opened: Opened) -> Response:
        reader, words, about = opened.reader, opened.reader.words, opened.about
        async with self._engine.connect() as connection:
            wishes = await wishes_of(connection, about, opened.storefront, words)
        if request.method != "POST":
            text = reader.said(words.preferences_text)
            return page(reader, "preferences", words.preferences_title, text=text, wishes=wishes)
        form = await forms.read(request)
        now = self._clock()
        async with transaction(self._engine) as connection:
            for wish in wishes:
                yes = form.has("want", wish.name)
                if yes != wish.wanted and form.shows(wish.name, always=not wish.topic):
                    await feedback.consented(connection, about, wish.name, yes=yes, now=now)
            await say(connection, [saying.answered_by_hand(about, Act.PREFERENCES, now)], now)
        return said(reader, words.saved, preferences=self._preferences_of(opened))

    async def _confirm(self, request: Request, opened: Opened) -> Response:
        reader, words, about = opened.reader, opened.reader.words, opened.about
        if request.method != "POST":
            return page(reader, "confirm", words.confirm_title, text=reader.said(words.confirm_text))
        now = self._clock()
        async with transaction(self._engine) as connection:
            await feedback.consented(connection, about, "email", yes=True, now=now)
            await say(connection, [saying.answered_by_hand(about, Act.CONFIRM, now)], now)
        return said(reader, words.confirmed)

    async def _answer(self, request: Request, opened: Opened) -> Response:
        kind = opened.token.detail
        scale, asked = SCALES.get(kind), opened.reader.words.surveys.get(kind)
        if scale is None or asked is None:
            return said(opened.reader, opened.reader.words.forged, status=404)
        comment, missing = "", False
        chosen = forms.score_of(request.query_params.get("score", ""), scale)
        if request.method == "POST":
            form = await forms.read(request)
            comment, chosen = forms.comment_of(form.one("comment")), forms.score_of(form.one("score"), scale)
            if chosen is not None:
                await self._answered(opened.about, kind, chosen, comment)
                return said(opened.reader, opened.reader.words.answered)
            missing = True
        worded = kind in IN_WORDS
        return page(
            opened.reader,
            "answer",
            asked.question,
            status=422 if missing else 200,
            asked=asked,
            scores=list(reversed(scale.scores)) if worded else list(scale.scores),
            score=chosen,
            worded=worded,
            comment=comment,
            missing=missing,
        )

    async def _answered(self, about: About, kind: str, score: int, comment: str) -> None:
        now = self._clock()
        async with transaction(self._engine) as connection:
            await feedback.answered(connection, about, kind, score, comment, now=now)
            await say(connection, [saying.answered_by_hand(about, Act.ANSWER, now)], now)
