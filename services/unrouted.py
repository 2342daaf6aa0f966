"""What the framework refuses by itself, before a route of ours is asked, in the one shape of our errors."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


async def answer_unrouted(_: Request, error: Exception) -> JSONResponse:
    """No such path, a method that it does not have, or a body that can't be read."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    message = "there is no such path; /docs lists them" if status is HTTPStatus.NOT_FOUND else error.detail
    return JSONResponse({"code": status.name.lower(), "message": message}, status_code=status, headers=error.headers)
