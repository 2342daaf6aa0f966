"""The rules in force, as one engine has them in memory; every transaction that folds begins by asking for them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.postgres import transaction
from services.revisions.following import Following
from services.revisions.store import Active, Revision, share_active
from services.shop import load_shop
from stage_engine import tables
from stage_engine.fold import FOLD_VERSION
from stage_engine.model.load import load_model
from stage_engine.rules import Rules


class Folding(Protocol):
    """What those who fold are given."""

    def transaction(self) -> AbstractAsyncContextManager[tuple[AsyncConnection, Rules]]:
        """One that folds, and the rules that are in force until it ends. Raises NoShop where there are none."""
        ...


class InForce:
    """Goes by the active revision. Two engines never fold by different rules at the same time."""

    def __init__(self, engine: AsyncEngine, *, fold_version: int = FOLD_VERSION, tells: bool = True) -> None:
        self._engine = engine
        self._following = Following(
            engine, rules_of, finish=self._with_namespaces, fold_version=fold_version, tells=tells
        )

    def now(self) -> Rules:
        """For who only reads: what was in force when this process last looked. Raises NoShop."""
        return self._following.now()

    async def look(self) -> Rules:
        """What is in force now. Raises NoShop."""
        return await self._following.look()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[AsyncConnection, Rules]]:
        """Nothing else comes into force until it ends.

        Where something else is in force than what is in memory, that is loaded, and the transaction begins again.
        """
        while True:
            async with transaction(self._engine) as connection:
                active = await share_active(connection)
                if (rules := self._following.held(active)) is not None:
                    yield connection, rules
                    return
            await self._following.load(active)

    async def _with_namespaces(self, rules: Rules) -> Rules:
        return replace(rules, namespaces=await ensure_namespaces(self._engine, list(rules.storefronts)))


def rules_of(directory: Path, revision: Revision, active: Active) -> Rules:
    """Raises ShopError."""
    return Rules(
        load_model(directory / "lifecycle.yaml"),
        load_shop(directory).storefronts,
        revision=revision.number,
        folded_as=revision.folded_as,
        since=active.since,
    )


async def ensure_namespaces(engine: AsyncEngine, storefronts: list[str]) -> dict[str, UUID]:
    """Each storefront's secret, made the first time that it is seen and the same ever after."""
    async with transaction(engine) as connection:
        for storefront in sorted(storefronts):
            made = insert(tables.storefronts).values(storefront=storefront, namespace=uuid4())
            await connection.execute(made.on_conflict_do_nothing())
        found = await connection.execute(sa.select(tables.storefronts.c.storefront, tables.storefronts.c.namespace))
        return {row.storefront: row.namespace for row in found}
