"""A bound on what a request's body may hold, wherever it is read: FastAPI reads it before it asks who is there."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 4 * 2**20
"""More than any route takes; those that know better say so themselves."""


class BodyTooLarge(HTTPException):
    """An HTTPException: whatever else goes wrong while a body is read, FastAPI makes a 400 of."""


class BoundedBody:
    """Counts while it comes in, so that no more than this is ever held."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise BodyTooLarge(413, f"a body has at most {self._most} bytes here")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)
