"""The operators' route that says why a customer stands where they do, and what could move them next."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import NotFound
from services.postgres import reading
from stage_engine.asking import ask_why, current
from stage_engine.rules import Rules
from stage_engine.why_view import why_view

At = Annotated[AwareDatetime | None, Query(description="what is known now about then; RFC 3339 with its offset")]


def why_routes(engine: AsyncEngine, in_force: Callable[[], Rules]) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/customers/{customer_id}/why")
    async def why(customer_id: UUID, at: At = None) -> dict[str, Any]:
        """Of each instance: what brought it here, what could move it next and what that still lacks."""
        async with reading(engine) as connection:
            now, rules = datetime.now(UTC), in_force()
            answer = await ask_why(connection, rules, await current(connection, customer_id), now=now, at=at)
        if answer is None:
            raise NotFound(f"there is no customer {customer_id}")
        return why_view(answer.customer, answer.why, answer.events, rules.model)

    return router
