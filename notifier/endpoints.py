"""Webhooks' endpoints that said they are gone (410): kept until an operator says that they are there again."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.followups import WEBHOOK
from notifier.status import Status
from notifier.tables import disabled_endpoints, messages
from services.contracts.storefront import endpoint_key
from services.errors import NotFound
from services.postgres import transaction

_D = disabled_endpoints.c


class DisabledEndpoint(BaseModel):
    """`endpoint` is `storefront/name`; `why` is what it answered."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    why: str
    since: datetime


class DisabledEndpoints(BaseModel):
    endpoints: list[DisabledEndpoint]


class Endpoints:
    """Which endpoints are disabled, for all notifiers of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def is_off(self, key: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(sa.select(_D.endpoint).where(_D.endpoint == key)) is not None

    async def turn_off(self, key: str, why: str, now: datetime) -> None:
        """The first reason stays."""
        async with transaction(self._engine) as connection:
            await connection.execute(
                insert(disabled_endpoints).values(endpoint=key, why=why, since=now).on_conflict_do_nothing()
            )

    async def disabled(self) -> DisabledEndpoints:
        async with self._engine.connect() as connection:
            found = await connection.execute(sa.select(disabled_endpoints).order_by(_D.endpoint))
            return DisabledEndpoints(
                endpoints=[DisabledEndpoint(endpoint=row.endpoint, why=row.why, since=row.since) for row in found]
            )

    async def turn_on(self, storefront: str, name: str, now: datetime) -> None:
        """What waited for it is due at once. Raises NotFound for one that is not disabled."""
        key = endpoint_key(storefront, name)
        async with transaction(self._engine) as connection:
            gone = await connection.execute(sa.delete(disabled_endpoints).where(_D.endpoint == key))
            if not gone.rowcount:
                raise NotFound(f"no endpoint {key} is disabled; GET /v1/endpoints lists those that are")
            await connection.execute(
                sa.update(messages)
                .where(
                    messages.c.channel == WEBHOOK,
                    messages.c.storefront == storefront,
                    messages.c.address == name,
                    messages.c.status == Status.RETRY,
                )
                .values(due_at=now, changed_at=now)
            )
