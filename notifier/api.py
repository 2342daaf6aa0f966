"""The notifier's HTTP face: for operators, and for whoever watches the process."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Query
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import reads
from notifier.endpoints import DisabledEndpoints, Endpoints
from notifier.status import Status
from notifier.suppression_api import suppression_routes
from notifier.switch_routes import switch_routes
from notifier.switching import Named
from services.api_page import add_api_page
from services.bounded_body import BoundedBody
from services.http import ERRORS, answer_errors
from services.operator import bearer
from services.process import Readiness, operational_routes
from services.storable import Storable

Limit = Annotated[int, Query(ge=1, le=1000)]


def create_app(
    engine: AsyncEngine,
    readiness: Readiness,
    operator_key: SecretStr,
    clock: Callable[[], datetime],
    named: Callable[[], Named | None] = lambda: None,
) -> FastAPI:
    app = FastAPI(
        title="Stagepost notifier",
        summary="What was sent to whom, what was not, and why.",
        responses=ERRORS,
        docs_url=None,
        redoc_url=None,
    )
    add_api_page(app)
    app.router.routes.extend(operational_routes(readiness))
    answer_errors(app)
    app.add_middleware(BoundedBody)
    operator = [Depends(bearer(operator_key))]

    app.include_router(suppression_routes(engine, clock), dependencies=operator)
    app.include_router(switch_routes(engine, named, clock), dependencies=operator)

    @app.get("/v1/customers/{customer_id}/messages", dependencies=operator)
    async def of_customer(customer_id: UUID, limit: Limit = 100) -> reads.MessageList:
        """The latest messages of one customer, sent or not, each with its reason."""
        return await reads.of_customer(engine, customer_id, limit)

    @app.get("/v1/messages", dependencies=operator)
    async def latest(limit: Limit = 100, status: Status | None = None) -> reads.MessageList:
        """The latest messages of all, or of those in one status."""
        return await reads.latest(engine, status, limit)

    @app.get("/v1/messages/summary", dependencies=operator)
    async def summary() -> reads.Summary:
        """How many messages each follow-up has in each status."""
        return await reads.summary(engine)

    endpoints = Endpoints(engine)

    @app.get("/v1/endpoints", dependencies=operator)
    async def disabled() -> DisabledEndpoints:
        """Webhooks' endpoints that answered that they are gone: nothing is sent there until they are enabled."""
        return await endpoints.disabled()

    @app.post("/v1/endpoints/{storefront}/{name}/enable", dependencies=operator, status_code=HTTPStatus.NO_CONTENT)
    async def enable(storefront: Storable, name: Storable) -> None:
        """It is there again: what waited for it is sent at once."""
        await endpoints.turn_on(storefront, name, clock())

    return app
