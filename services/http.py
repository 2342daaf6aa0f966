"""Errors as answers, the same from every service: `{"code": …, "message": …}` with the status of the error."""

from http import HTTPStatus
from typing import Any, Final

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from services.bounded_body import BodyTooLarge
from services.errors import BadRequest, NoShop, RequestError, TooLarge, Unavailable
from services.postgres import UNAVAILABLE, refuses
from services.unrouted import answer_unrouted

log = structlog.get_logger()


class Refused(BaseModel):
    """What every error looks like."""

    code: str = Field(examples=["not_found"])
    message: str = Field(description="in words, for the person who can mend it")


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": Refused, "description": "Whatever is refused, with the status that fits."}
}
"""The `responses` of an app: else FastAPI documents a shape of its own, which nobody is ever answered with."""


def answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(RequestError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(NoShop, _answer_no_shop)
    app.add_exception_handler(BodyTooLarge, _answer_too_large)
    app.add_exception_handler(HTTPException, answer_unrouted)
    for away in UNAVAILABLE:
        app.add_exception_handler(away, _answer_away)
    app.add_exception_handler(Exception, _answer_bug)


async def _answer(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestError):
        raise error
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return await _answer(request, BadRequest(faults))


async def _answer_no_shop(request: Request, error: Exception) -> JSONResponse:
    return await _answer(request, Unavailable(str(error)))


async def _answer_too_large(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, BodyTooLarge):
        raise error
    return await _answer(request, TooLarge(error.detail))


async def _answer_away(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, sa.exc.DBAPIError) and refuses(error):
        return await _answer(request, BadRequest("what was sent holds something that can't be kept, such as a NUL"))
    if isinstance(error, sa.exc.ProgrammingError):
        raise error
    log.warning("postgres does not answer", path=request.url.path, error=type(error).__name__)
    return await _answer(request, Unavailable("Postgres does not answer; try again in a moment", retry_after=1))


async def _answer_bug(_: Request, __: Exception) -> JSONResponse:
    """Starlette raises it again once this is sent, so that it is logged."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = {"code": status.name.lower(), "message": "a fault of ours; the service's log says more"}
    return JSONResponse(body, status_code=status)
