"""Operators' routes to the list of suppressed addresses. No address stands in an answer or in a URL."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.suppression import Why, lift, place_of, suppress
from notifier.tables import suppressions
from services.errors import NotFound
from services.postgres import transaction
from services.storable import Storable

Limit = Annotated[int, Query(ge=1, le=1000)]


class Suppressed(BaseModel):
    """`address_sha256` is of the address in lower case: enough to know one again, too little to read it."""

    model_config = ConfigDict(frozen=True)

    storefront: str
    address_sha256: str
    scope: str
    why: Why
    note: str | None
    since: datetime
    lifted_at: datetime | None
    lifted_why: str | None


class SuppressedList(BaseModel):
    suppressed: list[Suppressed]


class ToSuppress(BaseModel):
    """Nothing goes to this address any more."""

    storefront: Storable
    address: Storable = Field(examples=["ada@mail.example"])
    note: Storable = Field(min_length=1, max_length=500, description="why, for who reads it later")


class ToLift(BaseModel):
    """Mail goes to this address again, whatever stood against it."""

    storefront: Storable
    address: Storable
    because: Storable = Field(min_length=1, max_length=500, description="for who reads it later")


class Lifted(BaseModel):
    lifted: list[Why]


def suppression_routes(engine: AsyncEngine, clock: Callable[[], datetime]) -> APIRouter:
    router = APIRouter(prefix="/v1/suppressions")

    @router.get("")
    async def latest(limit: Limit = 100) -> SuppressedList:
        """The latest, with those that were lifted."""
        wanted = sa.select(suppressions).order_by(suppressions.c.since.desc()).limit(limit)
        async with engine.connect() as connection:
            found = (await connection.execute(wanted)).mappings().all()
        return SuppressedList(
            suppressed=[Suppressed(**{**row, "address_sha256": row["address_sha256"].hex()}) for row in found]
        )

    @router.post("")
    async def add(said: ToSuppress) -> None:
        """Suppress an address by hand, for all mail."""
        async with transaction(engine) as connection:
            await suppress(
                connection,
                storefront=said.storefront,
                address=said.address,
                why=Why.OPERATOR,
                now=clock(),
                note=said.note,
            )

    @router.post("/lift")
    async def lift_all(said: ToLift) -> Lifted:
        """Take back all that stands against an address. What it kept back is decided again, within its max_age."""
        place = place_of(said.storefront, said.address)
        async with transaction(engine) as connection:
            lifted = await lift(connection, place=place, why=list(Why), because=said.because, now=clock())
        if not lifted:
            raise NotFound("nothing stands against this address in this storefront")
        return Lifted(lifted=lifted)

    return router
