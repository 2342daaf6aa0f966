"""Errors as answers, the same from every service: `{"code": …, "message": …}` with the status of the error."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.errors import BadRequest, NoShop, RequestError, Unavailable


def answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(RequestError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(NoShop, _answer_no_shop)


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
