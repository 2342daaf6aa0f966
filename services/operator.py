"""What operators' routes ask for: `Authorization: Bearer KEY`, compared in constant time."""

import hmac
from collections.abc import Callable

from pydantic import SecretStr
from starlette.requests import Request

from services.contracts.keys import WRITE_KEY_PREFIX
from services.errors import Forbidden, Unauthorized


def bearer(expected: SecretStr) -> Callable[[Request], None]:
    """A FastAPI dependency. A storefront's write key is told that it has no business here (403); all else is a 401."""
    wanted = expected.get_secret_value().encode()

    def check(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if given.strip().startswith(WRITE_KEY_PREFIX):
            raise Forbidden("a write key opens the ingest routes only; operators' routes take the operator key")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted):
            raise Unauthorized("send the operator key as `Authorization: Bearer KEY`")

    return check
