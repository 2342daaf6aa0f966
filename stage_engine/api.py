"""The operators' routes: who is where, since when, and why."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Query
from pydantic import AwareDatetime, SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api_page import add_api_page
from services.contracts.identity import Identity, IdentityKind
from services.errors import BadRequest, NotFound
from services.http import ERRORS, answer_errors
from services.operator import bearer
from services.postgres import reading
from services.process import Readiness, operational_routes
from services.storable import Storable
from stage_engine import baseline_store, event_store, store, tables
from stage_engine.asking import current, folded_at, led_to
from stage_engine.facts import shown
from stage_engine.feed_api import feed_routes
from stage_engine.history import in_order
from stage_engine.rules import Rules
from stage_engine.views import customer_view, stages_view, timeline_view
from stage_engine.why_api import why_routes

At = Annotated[AwareDatetime | None, Query(description="what is known now about then; RFC 3339 with its offset")]
_I = tables.identities.c


def create_app(
    engine: AsyncEngine, in_force: Callable[[], Rules], operator_key: SecretStr, readiness: Readiness
) -> FastAPI:
    """`in_force` says by which rules to answer; it may raise NoShop."""
    app = FastAPI(
        title="Stagepost stage engine",
        summary="Everyone's place in the lifecycle, and why.",
        responses=ERRORS,
        routes=operational_routes(readiness),
        dependencies=[Depends(bearer(operator_key))],
        docs_url=None,
        redoc_url=None,
    )
    add_api_page(app)
    answer_errors(app)
    app.include_router(feed_routes(engine))
    app.include_router(why_routes(engine, in_force))

    @app.get("/v1/customers")
    async def customers(
        user_id: Storable | None = None,
        anonymous_id: Storable | None = None,
        email: Storable | None = None,
        storefront: Storable | None = None,
        at: At = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """The customers that one identity leads to: at most one a storefront."""
        kinds = {IdentityKind.USER_ID: user_id, IdentityKind.ANONYMOUS_ID: anonymous_id, IdentityKind.EMAIL: email}
        given = [(kind, value) for kind, value in kinds.items() if value]
        if len(given) != 1:
            raise BadRequest("name exactly one of user_id, anonymous_id and email")
        rules = in_force()
        async with reading(engine) as connection:
            found = await led_to(connection, rules.namespaces, *given[0], storefront)
            views = [await _view(connection, rules, customer, at) for customer in found]
        return {"customers": [view for view in views if view is not None]}

    @app.get("/v1/customers/{customer_id}")
    async def customer(customer_id: UUID, at: At = None) -> dict[str, Any]:
        """One customer, also by an id that was theirs before a join."""
        async with reading(engine) as connection:
            view = await _view(connection, in_force(), await current(connection, customer_id), at)
        if view is None:
            raise NotFound(f"there is no customer {customer_id}")
        return view

    @app.get("/v1/customers/{customer_id}/timeline")
    async def timeline(customer_id: UUID, limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000) -> dict[str, Any]:
        """What happened and what it led to, oldest first; the newest `limit`. Events before `kept_from` are gone."""
        async with reading(engine) as connection:
            found = await current(connection, customer_id)
            entries = (await event_store.histories(connection, {found: None})).get(found, [])
            standing = (await store.standing_transitions(connection, {found: 0})).get(found, {})
            kept_from = (await baseline_store.kept_from(connection, [found])).get(found)
        return {
            "customer_id": str(found),
            "kept_from": shown(kept_from and kept_from.occurred_at),
            "timeline": timeline_view(in_order(entries), [s.transition for s in standing.values()])[-limit:],
        }

    @app.get("/v1/stages")
    async def stages(storefront: Storable | None = None) -> dict[str, Any]:
        """How many instances stand in each stage, by track."""
        i = tables.instances.c
        counted = sa.select(i.track, i.stage, sa.func.count()).group_by(i.track, i.stage)
        if storefront is not None:
            counted = counted.where(i.storefront == storefront)
        async with reading(engine) as connection:
            found = {(track, stage): count for track, stage, count in await connection.execute(counted)}
        return {"tracks": stages_view(in_force().model, found)}

    return app


async def _view(
    connection: AsyncConnection, rules: Rules, customer_id: UUID, at: datetime | None
) -> dict[str, Any] | None:
    """As stored; with `at`, folded from the history up to then with what is known now."""
    row = (await store.customers(connection, [customer_id])).get(customer_id)
    if row is None or row.storefront not in rules.storefronts:
        return None
    found = await connection.execute(sa.select(_I.kind, _I.value).where(_I.customer_id == customer_id))
    identities = [Identity(IdentityKind(kind), value) for kind, value in found]
    if at is not None:
        then = await folded_at(connection, rules, row, at)
        row = replace(row, state=then.state, next_wake=then.next_wake)
    return customer_view(row, identities, rules.model, at or datetime.now(UTC))
