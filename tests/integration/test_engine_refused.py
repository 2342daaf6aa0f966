"""One customer whom Postgres can't keep as the fold has them holds up nobody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import patch
from uuid import UUID

import pytest
import sqlalchemy as sa
from engine_world import World, scratch_database
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.identity import Identity, IdentityKind
from services.postgres import transaction
from stage_engine import apply
from stage_engine.identity import customer_id
from stage_engine.outcomes import BROKEN
from tests.unit.stage_engine.builders import SEVEN

HOUR = 3_600


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    """The test's own: it is given a trigger."""
    async with scratch_database(postgres) as engine:
        yield engine


@asynccontextmanager
async def refusing(database: AsyncEngine, customer: UUID) -> AsyncIterator[None]:
    """Postgres refuses this customer's row, unless it is on hold, as it does a number that it can't keep."""
    async with transaction(database) as connection:
        await connection.execute(
            sa.text(f"""
                CREATE FUNCTION engine.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.id = '{customer}' AND NEW.hold IS NULL THEN
                        RAISE EXCEPTION 'planted' USING ERRCODE = 'numeric_value_out_of_range';
                    END IF;
                    RETURN NEW;
                END $$
            """)
        )
        await connection.execute(
            sa.text(
                "CREATE TRIGGER refuse BEFORE UPDATE ON engine.customers FOR EACH ROW EXECUTE FUNCTION engine.refuse()"
            )
        )
    yield
    async with transaction(database) as connection:
        await connection.execute(sa.text("DROP FUNCTION engine.refuse CASCADE"))


def account(world: World, value: str) -> UUID:
    return customer_id(world.namespace, Identity(IdentityKind.USER_ID, value))


async def carts(world: World) -> dict[str, tuple[str | None, str]]:
    """By account: its hold, and where its cart stands."""
    stands = await world.stands()
    return {
        value: (stands.customers[id_].hold, next(row[2] for row in stands.instances[id_].values() if row[0] == "cart"))
        for value in ("u0", "u1", "u2", "u3", "u4")
        if (id_ := account(world, value)) in stands.customers
    }


async def test_a_wake_that_cant_be_stored_is_that_customers_alone(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        *(world.event("Product Added", n, who={"user_id": f"u{n}"}, cart_id="c", product_id="p") for n in range(5))
    )
    async with refusing(database, account(world, "u1")):
        await world.know(2 * HOUR)
        abandoned = (None, "abandoned")
        assert await carts(world) == {**{f"u{n}": abandoned for n in range(5)}, "u1": (BROKEN, "active")}
    await world.ask_to_refold()
    await world.know(3 * HOUR)
    assert (await carts(world))["u1"] == (None, "abandoned")


async def test_a_refold_that_cant_be_stored_is_that_customers_alone(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    for second in (40, 20):  # what comes late is folded again
        with patch.object(apply, "LARGE", 0):
            await world.take(
                *(
                    world.event("Product Added", second + n, who={"user_id": f"u{n}"}, cart_id="c", product_id="p")
                    for n in range(5)
                )
            )
    async with refusing(database, account(world, "u0")):  # the first in turn
        await world.know(100)
        assert await carts(world) == {**{f"u{n}": (None, "active") for n in range(5)}, "u0": (BROKEN, "active")}
    await world.ask_to_refold()
    await world.know(101)
    stands = await world.stands()
    assert stands.customers[account(world, "u0")].hold is None
    assert stands.customers[account(world, "u0")].state.events == 2
