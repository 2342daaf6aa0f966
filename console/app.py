"""The console's pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from console.gate import SEE_OTHER, Gate
from console.queries import Journey, Overview
from console.rendering import STATIC, Pages
from console.sessions import Sessions, WrongTries
from console.stages import Order, strips
from console.timeline import stands, timeline
from services.contracts.storefront import Storefront
from services.errors import BadRequest, NoShop, NotFound, RequestError, TooLarge, TooMany
from services.process import Readiness, operational_routes

log = structlog.get_logger()

FORM_BYTES: Final = 4_096
"""Of the only form that brings anything: a key and where to go next."""
SIGN_INS: Final = Counter("stagepost_console_sign_ins_total", "Tries to sign in: opened, wrong, too_many.", ["outcome"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What pages are made of, as functions."""

    overview: Callable[[], Awaitable[Overview]]
    journey: Callable[[UUID], Awaitable[Journey | None]]
    search: Callable[[str], Awaitable[list[UUID]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the console knows of the shop."""

    storefronts: dict[str, Storefront]
    order: Order
    ingest_url: str


def create_app(
    reads: Reads,
    in_force: Callable[[], Shown],
    sessions: Sessions,
    readiness: Readiness,
    clock: Callable[[], datetime],
    mailbox_url: str | None = None,
) -> FastAPI:
    """`in_force` says what the console knows of the shop now; it may raise NoShop."""
    app = FastAPI(title="Stagepost console", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.extend(operational_routes(readiness))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(Gate, sessions=sessions, clock=clock)
    pages = Pages(mailbox_url=mailbox_url)
    _answer_errors(app, pages)
    _add_door(app, pages, sessions, clock)

    @app.get("/")
    async def overview() -> HTMLResponse:
        shown, found = in_force(), await reads.overview()
        names = {**dict.fromkeys(shown.storefronts), **dict.fromkeys(count.storefront for count in found.stages)}
        return pages.answer(
            "overview.html",
            now=clock(),
            found=found,
            storefronts=[
                (name, shown.storefronts.get(name), strips(shown.order, name, found.stages)) for name in names
            ],
            empty=not found.stages,
            ingest_url=shown.ingest_url,
        )

    @app.get("/customers/{customer_id}")
    async def customer(customer_id: UUID) -> HTMLResponse:
        found = await reads.journey(customer_id)
        if found is None:
            raise NotFound("No customer has this id. Who was joined to another goes on under the other's id.")
        return pages.answer(
            "customer.html",
            now=clock(),
            customer=customer_id,
            found=found,
            storefronts=in_force().storefronts,
            stands=stands(found.moves),
            timeline=timeline(found),
        )

    @app.get("/search")
    async def search(q: Annotated[str, Query(max_length=200)] = "") -> Response:
        asked = q.strip()
        found = await reads.search(asked) if asked and "\0" not in asked else []
        if len(found) == 1:
            return RedirectResponse(f"/customers/{found[0]}", SEE_OTHER)
        return pages.answer("search.html", asked=asked, found=found)

    return app


def _add_door(app: FastAPI, pages: Pages, sessions: Sessions, clock: Callable[[], datetime]) -> None:
    wrong_tries = WrongTries()

    @app.get("/sign-in")
    async def door(wanted: Annotated[str, Query(alias="next")] = "/") -> HTMLResponse:
        return pages.answer("sign_in.html", wanted=_within(wanted), wrong=False)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await _form(request)
        wanted, now = _within(form.get("next", "/")), clock()
        client = request.client.host if request.client else ""
        if seconds := wrong_tries.wait(client, now):
            SIGN_INS.labels("too_many").inc()
            raise TooMany(f"Too many wrong keys. Try again in {seconds} s.", retry_after=seconds)
        if not sessions.opens(form.get("key", "").strip()):
            wrong_tries.add(client, now)
            SIGN_INS.labels("wrong").inc()
            return pages.answer("sign_in.html", status=401, wanted=wanted, wrong=True)
        SIGN_INS.labels("opened").inc()
        answer = RedirectResponse(wanted, SEE_OTHER)
        answer.set_cookie(
            sessions.cookie,
            sessions.issue(now),
            max_age=int(sessions.lasts.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @app.post("/sign-out")
    async def sign_out() -> Response:
        answer = RedirectResponse("/sign-in", SEE_OTHER)
        answer.delete_cookie(sessions.cookie, httponly=True, samesite="strict")
        return answer


def _within(wanted: str) -> str:
    """A path of ours, or the overview: signing in must not send anybody elsewhere. Browsers read a backslash as `/`."""
    ours = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if ours else "/"


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise TooLarge(f"A form of over {FORM_BYTES} bytes is none of ours.")
    try:
        parsed = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        raise BadRequest("A form of so many fields is none of ours.") from None
    return {name: values[-1] for name, values in parsed.items()}


def _answer_errors(app: FastAPI, pages: Pages) -> None:
    """As pages: who sees them is a person."""

    async def refused(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestError):
            raise error
        answer = pages.answer("error.html", status=error.status, title=error.status.phrase, message=error.message)
        answer.headers.update(error.headers)
        return answer

    async def no_page(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return pages.answer(
            "error.html", status=status, title="Nothing here", message="There is no page at this address."
        )

    async def no_shop(_: Request, error: Exception) -> Response:
        return pages.answer("error.html", status=503, title="No shop is in force", message=str(error))

    async def database_away(_: Request, error: Exception) -> Response:
        if isinstance(error, ProgrammingError):
            raise error
        log.warning("postgres can't be read", error=type(error).__name__)
        return pages.answer(
            "error.html",
            status=503,
            title="Postgres does not answer",
            message="Nothing is lost: what happens meanwhile waits in Kafka. Load this page again in a moment.",
        )

    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(NoShop, no_shop)
    app.add_exception_handler(HTTPException, no_page)
    app.add_exception_handler(RequestValidationError, no_page)
    for away in (DBAPIError, NoConnectionFree, OSError):
        app.add_exception_handler(away, database_away)
