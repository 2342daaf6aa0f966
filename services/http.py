"""Errors as answers, the same from every service: `{"code": …, "message": …}` with the status of the error."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.bounded_body import BodyTooLarge
from services.errors import BadRequest, NoShop, RequestError, TooLarge, Unavailable


def answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(RequestError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(NoShop, _answer_no_shop)
    app.add_exception_handler(BodyTooLarge, _answer_too_large)


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
