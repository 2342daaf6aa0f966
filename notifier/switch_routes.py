"""Operators' routes to the switches: at work within seconds, in every notifier, without a restart."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import switch_store
from notifier.switches import EVERYTHING, Scope, Switch
from notifier.switching import Named, known_or_refused
from services.errors import NotFound
from services.postgres import transaction
from services.storable import Storable


class ToPause(BaseModel):
    """What is to stop: everything (`all`), or one storefront, channel or follow-up by its name."""

    model_config = ConfigDict(frozen=True)

    scope: Scope
    name: Storable = Field(default=EVERYTHING, max_length=200, description="`*` for `all`")
    why: Storable = Field(min_length=1, max_length=500, description="for who finds it paused")
    by: Storable = Field(min_length=1, max_length=100, description="who asks for it")
    until: AwareDatetime | None = Field(default=None, description="when it goes on by itself; none: when somebody says")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.name == EVERYTHING) != (self.scope is Scope.ALL):
            raise ValueError("name what is to be paused; only the scope `all` goes without a name")
        return self


class SwitchView(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)

    scope: Scope
    name: str
    by: str
    why: str
    since: datetime
    until: datetime | None


class SwitchList(BaseModel):
    switches: list[SwitchView]


def switch_routes(engine: AsyncEngine, named: Callable[[], Named | None], clock: Callable[[], datetime]) -> APIRouter:
    """`named` is what there is to pause; None where nobody can say."""
    router = APIRouter(prefix="/v1/switches")

    @router.get("")
    async def on() -> SwitchList:
        """What is paused, since when, by whom and why."""
        async with engine.connect() as connection:
            found = await switch_store.load(connection, clock())
        return SwitchList(switches=[SwitchView.model_validate(one) for one in found.on])

    @router.post("", status_code=HTTPStatus.CREATED)
    async def pause(said: ToPause) -> SwitchView:
        """Nothing of it goes out any more; what is due waits. Of two the first reason stays, and the later end."""
        known_or_refused(said.scope, said.name, named())
        now = clock()
        switch = Switch(**{**dict(said), "since": now})
        async with transaction(engine) as connection:
            return SwitchView.model_validate(await switch_store.pause(connection, switch, now))

    @router.delete("", status_code=HTTPStatus.NO_CONTENT)
    async def resume(scope: Scope, by: Storable, name: Storable = EVERYTHING) -> None:
        """It goes on: what waited and is still worth sending is decided again at once."""
        async with transaction(engine) as connection:
            if not await switch_store.resume(connection, scope, name, by, clock()):
                raise NotFound("that is not paused; GET /v1/switches lists what is")

    return router
