"""A click and an open picture, noted on the way: by GET, for there is no other way.

They say that it happened, not who did it, and move nobody: message events count as nobody's doing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from notifier import feedback, saying
from notifier.links import PREFIX, Act, Refusal, Signer, Token
from notifier.outbox import say
from notifier.pages.pace import Pace
from notifier.pages.showing import Reader, said
from notifier.saying import About
from notifier.shown import safe_url
from notifier.store import UNAVAILABLE
from services.contracts.events import Event
from services.postgres import transaction

log = structlog.get_logger()

DOT: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of one pixel."""


class Noting:
    def __init__(
        self,
        engine: AsyncEngine,
        signer: Signer,
        clock: Callable[[], datetime],
        pace: Pace,
        stranger: Callable[[], Reader],
    ) -> None:
        self._engine = engine
        self._signer = signer
        self._clock = clock
        self._pace = pace
        self._stranger = stranger

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PREFIX}/{Act.CLICK}/{{token}}", self.click, methods=["GET"]),
            Route(f"{PREFIX}/{Act.OPEN}/{{token}}", self.open, methods=["GET"]),
        ]

    async def click(self, request: Request) -> Response:
        """Leads on whatever happens here: the address was signed with the message."""
        token = self._signer.read(Act.CLICK, request.path_params["token"], self._clock())
        url = safe_url(token.detail) if isinstance(token, Token) else None
        if not isinstance(token, Token) or url is None:
            reader, expired = self._stranger(), token is Refusal.EXPIRED
            what = reader.words.expired if expired else reader.words.forged
            return said(reader, what, status=410 if expired else 404)
        if _by_a_reader(request) and self._pace.allows(token.message, self._clock()):
            await self._note(token.message, lambda about, now: saying.followed(about, url, now))
        return RedirectResponse(url, 302, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})

    async def open(self, request: Request) -> Response:
        token = self._signer.read(Act.OPEN, request.path_params["token"], self._clock())
        if isinstance(token, Token) and _by_a_reader(request) and self._pace.allows(token.message, self._clock()):
            await self._note(token.message, saying.opened)
        return Response(DOT, media_type="image/gif", headers={"cache-control": "no-store"})

    async def _note(self, message: UUID, event: Callable[[About, datetime], Event | None]) -> None:
        now = self._clock()
        try:
            async with transaction(self._engine) as connection:
                if (about := await feedback.about(connection, message, now)) is not None:
                    await say(connection, [event(about, now)], now)
        except UNAVAILABLE as error:
            log.warning("what a mail met with can't be noted", error=type(error).__name__)


def _by_a_reader(request: Request) -> bool:
    """Not to be asked of HEAD, nor of a browser that loads ahead what nobody has chosen yet."""
    hints = (request.headers.get("sec-purpose", ""), request.headers.get("purpose", ""))
    return request.method == "GET" and not any("prefetch" in hint for hint in hints)
