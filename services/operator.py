"""What operators' routes ask for: `Authorization: Bearer KEY`, compared in constant time."""

import hmac
from collections.abc import Callable

from pydantic import SecretStr
from starlette.requests import Request

from services.errors import Unauthorized


def bearer(expected: SecretStr) -> Callable[[Request], None]:
    """A FastAPI dependency. A missing key, a wrong one and a storefront's write key are answered alike."""
    wanted = expected.get_secret_value().encode()

    def check(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted):
            raise Unauthorized("send the operator key as `Authorization: Bearer KEY`")

    return check
