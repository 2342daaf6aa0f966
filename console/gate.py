"""What every request passes: nobody signed out sees more than the door, and what browsers are told to refuse."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.sessions import Sessions

OPEN: Final = frozenset({"/livez", "/readyz", "/metrics", "/sign-in"})
OPEN_BELOW: Final = "/static/"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SEE_OTHER: Final = 303


class Gate:
    """ASGI middleware. What is not open is closed, routes of tomorrow included."""

    def __init__(self, app: ASGIApp, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._sessions = sessions
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the console speaks HTTP only, not {scope['type']}")
        path: str = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # Pages are about people; a stylesheet may be kept as long as it is asked about.
                headers["Cache-Control"] = "no-cache" if path.startswith(OPEN_BELOW) else "no-store"
            await send(message)

        if path in OPEN or path.startswith(OPEN_BELOW) or self._signed_in(Request(scope)):
            await self._app(scope, receive, send_with_headers)
        else:
            await self._to_the_door(scope)(scope, receive, send_with_headers)

    def _signed_in(self, request: Request) -> bool:
        token = request.cookies.get(self._sessions.cookie)
        return token is not None and self._sessions.holds(token, self._clock())

    def _to_the_door(self, scope: Scope) -> RedirectResponse:
        if scope["method"] != "GET" or scope["path"] == "/":
            return RedirectResponse("/sign-in", SEE_OTHER)
        wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"/sign-in?next={quote(wanted, safe='/')}", SEE_OTHER)
