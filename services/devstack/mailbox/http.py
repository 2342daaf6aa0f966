"""The HTTP side: Mailpit's routes for programs, a page for people, refusals for tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.devstack.mailbox.refusals import Refusal, Refusals
from services.devstack.mailbox.store import MessageStore, Stored, full, headers
from services.errors import BadRequest, NotFound, RequestError
from services.process import Readiness, operational_routes

PAGE: Final = Path(__file__).with_name("page")
FILES: Final = {"": "page.html", "page.js": "page.js", "page.css": "page.css"}
LIMIT: Final = 50
"""Messages a page, Mailpit's default."""
# Mails are shown in a frame without scripts; this keeps even a hole in that from doing anything.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; connect-src 'self'"
)


def create_app(store: MessageStore, refusals: Refusals, readiness: Readiness) -> Starlette:
    messages, told = _Messages(store), _Told(refusals)
    return Starlette(
        routes=[
            *operational_routes(readiness),
            *(Route(f"/{path}", _page) for path in FILES),
            Route("/api/v1/messages", messages.page),
            Route("/api/v1/messages", messages.clear, methods=["DELETE"]),
            Route("/api/v1/message/{id}", messages.one),
            Route("/api/v1/message/{id}/headers", messages.headers),
            Route("/api/v1/message/{id}/raw", messages.raw),
            Route("/api/v1/refusals", told.list),
            Route("/api/v1/refusals", told.add, methods=["PUT"]),
            Route("/api/v1/refusals", told.clear, methods=["DELETE"]),
        ],
        exception_handlers={RequestError: _refused},
    )


@dataclass(frozen=True, slots=True)
class _Messages:
    store: MessageStore

    async def page(self, request: Request) -> Response:
        start, limit = _number(request, "start", 0), _number(request, "limit", LIMIT)
        found, total = self.store.newest(start, limit), len(self.store)
        counts = {"total": total, "unread": total, "count": len(found), "messages_count": total, "start": start}
        return JSONResponse({**counts, "tags": [], "messages": found})

    async def clear(self, _: Request) -> Response:
        self.store.clear()
        return PlainTextResponse("ok")

    async def one(self, request: Request) -> Response:
        return JSONResponse(full(self._found(request)))

    async def headers(self, request: Request) -> Response:
        return JSONResponse(headers(self._found(request)))

    async def raw(self, request: Request) -> Response:
        return PlainTextResponse(self._found(request).raw)

    def _found(self, request: Request) -> Stored:
        stored = self.store.get(request.path_params["id"])
        if stored is None:
            raise NotFound("there is no such message")
        return stored


@dataclass(frozen=True, slots=True)
class _Told:
    refusals: Refusals

    async def list(self, _: Request) -> Response:
        return JSONResponse(msgspec.to_builtins(self.refusals.all))

    async def add(self, request: Request) -> Response:
        try:
            self.refusals.add(msgspec.json.decode(await request.body(), type=Refusal))
        except msgspec.DecodeError as error:
            raise BadRequest(str(error)) from None
        return await self.list(request)

    async def clear(self, _: Request) -> Response:
        self.refusals.clear()
        return PlainTextResponse("ok")


async def _page(request: Request) -> Response:
    return FileResponse(PAGE / FILES[request.url.path.lstrip("/")], headers={"Content-Security-Policy": POLICY})


def _number(request: Request, name: str, default: int) -> int:
    said = request.query_params.get(name, str(default))
    if not (said.isascii() and said.isdecimal()):
        raise BadRequest(f"{name} is a number")
    return int(said)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)
