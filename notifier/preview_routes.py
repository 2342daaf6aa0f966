"""Operators' routes to look at a mail with a real customer's data, and the page that shows it as readers will see it.

The page holds no data and asks for no key when it is opened: it asks for the operator key, keeps it in memory only, and
fetches with it. A mail is shown in frames that may run nothing.
"""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import HTMLResponse

from notifier.in_force import Terms
from notifier.preview_customer import Asked, preview_of
from notifier.render import RenderError
from services.errors import BadRequest, ConfigurationError, NotFound
from services.operator import bearer
from services.postgres import reading
from services.storable import Storable

_PAGE: Final = (Path(__file__).parent / "pages" / "preview.html").read_text(encoding="utf-8")
_SCRIPT: Final = b64encode(sha256(_PAGE.partition("<script>")[2].partition("</script>")[0].encode()).digest()).decode()
HEADERS: Final = {
    # Frames inherit it: a mail's own styles and pictures are shown, and nothing of it runs.
    "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{_SCRIPT}'; style-src 'unsafe-inline'; "
    "img-src https: http: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Preview(BaseModel):
    model_config = ConfigDict(frozen=True)

    subject: str
    html: str
    text: str


def preview_routes(
    engine: AsyncEngine, in_force: Callable[[], Terms], operator_key: SecretStr, clock: Callable[[], datetime]
) -> APIRouter:
    """`in_force` may raise NoShop."""
    router = APIRouter()

    @router.get("/v1/preview/{follow_up}", dependencies=[Depends(bearer(operator_key))])
    async def preview(
        follow_up: str,
        customer: UUID,
        step: Annotated[int, Query(ge=1)] = 1,
        locale: Annotated[Storable | None, Query(max_length=20)] = None,
    ) -> Preview:
        """A follow-up's mail as it would be written to this customer now. Nothing is sent; its links lead nowhere."""
        terms, asked = in_force(), Asked(follow_up=follow_up, customer=customer, step=step, locale=locale)
        try:
            async with reading(engine) as connection:
                found = await preview_of(connection, terms.shop, terms.follow_ups, terms.renderer, asked, clock())
        except ConfigurationError as error:
            raise NotFound(str(error)) from None
        except RenderError as error:
            raise BadRequest(str(error), code="render_failed") from None
        return Preview(subject=found.subject, html=found.html, text=found.text)

    @router.get("/v1/preview/{follow_up}/page", include_in_schema=False)
    async def page(follow_up: str) -> HTMLResponse:  # noqa: ARG001  the page reads it off its own address
        return HTMLResponse(_PAGE, headers=HEADERS)

    return router
