"""Several engines at once on the same customers: what stands is what one engine alone would have made of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from unittest.mock import patch
from uuid import UUID

import pytest
import sqlalchemy as sa
from engine_checked import stands_as_the_reference
from engine_world import World, scratch_database
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.identity import Identity, IdentityKind
from services.postgres import transaction
from stage_engine import pointers, tables
from stage_engine.arrivals import Arrival
from stage_engine.identity import customer_id, identity_id
from stage_engine.pointers import Grew
from tests.unit.stage_engine.builders import SEVEN


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


def shopping(world: World, dice: random.Random, events: int) -> list[Arrival]:
    """Few people with several devices, who log in now and then, now and then under another's account."""

    def who() -> dict[str, str]:
        person = dice.randrange(6)
        device = {"anonymous_id": f"a{person}{dice.randrange(2)}"}
        account = {"user_id": f"u{dice.choice((person, person, person, (person + 1) % 6))}"}
        address = {"email": f"m{person}@x.y"}
        return dice.choice((device, device, device | account, account | address, device | address))

    names = ("Product Viewed", "Product Added", "Product Added", "Order Completed", "Customer Identified")
    return [
        world.event(
            dice.choice(names),
            dice.randrange(20_000),
            who=who(),
            product_id=f"p{dice.randrange(3)}",
            order_id=f"o{dice.randrange(40)}",
        )
        for _ in range(events)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_engines_wakes_and_joins_at_once_come_to_what_one_comes_to(database: AsyncEngine, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  a test's dice
    world = await World.opened(database, SEVEN)
    events = shopping(world, dice, 240)
    readers = 3

    async def read(partition: int) -> None:
        engine, mine = world.consumer(), events[partition::readers]
        for start in range(0, len(mine), 10):
            await engine.take([world.stretch(partition, start, mine[start : start + 10])])

    async def wake() -> None:
        for second in range(0, 20_000, 2_000):
            await world.know(second)

    async with asyncio.timeout(60):
        await asyncio.gather(*(read(partition) for partition in range(readers)), wake())
    world.said += events
    await stands_as_the_reference(world)


async def test_batches_that_meet_in_opposite_order_wait_for_each_other(database: AsyncEngine) -> None:
    """Sorted locks: nobody has to begin again, so the server never has to find a deadlock (which takes it a second)."""
    world = await World.opened(database, SEVEN)
    people = [{"user_id": f"u{n}", "anonymous_id": f"a{n}"} for n in range(40)]
    await world.take(*(world.event("Product Viewed", 0, who=who) for who in people))
    deadlocks = await _deadlocks(database)

    async def read(partition: int, order: list[dict[str, str]]) -> None:
        engine = world.consumer()
        for round_ in range(8):
            said = [world.event("Product Added", 1 + round_, who=who, product_id="p") for who in order]
            await engine.take([world.stretch(partition, round_ * len(said), said)])

    async with asyncio.timeout(30):
        await asyncio.gather(read(0, people), read(1, people[::-1]), read(2, people[20:] + people[:20]))
    assert await _deadlocks(database) == deadlocks
    stands = await world.stands()
    assert {customer.state.events for customer in stands.customers.values() if customer.sequence} == {25}


@pytest.mark.parametrize("who", [{"user_id": "u"}, {"user_id": "u", "anonymous_id": "a"}], ids=["known", "linked"])
async def test_a_customer_that_a_batch_learns_of_under_the_locks_is_locked_too(
    database: AsyncEngine, who: dict[str, str]
) -> None:
    """One is about `u`, or joins `a` to it, and waits; meanwhile `u` has become part of `v`, whom nobody had locked."""
    world = await World.opened(database, SEVEN)
    u, v = _accounts(world)
    while u > v:  # locks are taken in this order: the first holds `u` while it waits for `v`
        world = await World.opened(database, SEVEN)
        u, v = _accounts(world)
    await world.take(*(world.event("Product Viewed", 0, who={kind: value}) for kind, value in MEMBERS))
    first = world.stretch(0, 0, [world.event("Identity Aliased", 5, who={"user_id": "v"}, previous_id="u")])
    second = world.stretch(1, 0, [world.event("Product Viewed", 6, who=who)])
    one, other = world.consumer(), world.consumer()
    grown: list[frozenset[UUID]] = []

    class Noted(Grew):
        def __init__(self, rows: Collection[UUID]) -> None:
            super().__init__(rows)
            grown.append(self.rows)

    async with asyncio.timeout(30):
        with patch.object(pointers, "Grew", Noted):
            async with transaction(database) as blocking:
                await _lock(blocking, v)
                joining = asyncio.create_task(one.take([first]))
                await _until_waiting(database, 1)
                linking = asyncio.create_task(other.take([second]))
                await _until_waiting(database, 2)
            await asyncio.gather(joining, linking)
    # Who says something new of `u` waits for `u` itself, and then sees where it leads.
    assert [v in rows for rows in grown] == ([] if "anonymous_id" in who else [True])
    stands = await world.stands()
    joined = [identity for identity, name in _members(world).items() if name != "a" or "anonymous_id" in who]
    assert {stands.identities[id_] for id_ in joined} == {v}
    assert stands.customers[v].state.events == 2 + len(joined)
    assert stands.customers[u].state.events == 0


def _members(world: World) -> dict[UUID, str]:
    return {
        identity_id(world.storefront, Identity(IdentityKind[kind.upper()], value)): value for kind, value in MEMBERS
    }


MEMBERS = (("user_id", "u"), ("user_id", "v"), ("anonymous_id", "a"))


def _accounts(world: World) -> tuple[UUID, UUID]:
    u, v = (customer_id(world.namespace, Identity(IdentityKind.USER_ID, value)) for value in "uv")
    return u, v


async def _lock(connection: AsyncConnection, customer: UUID) -> None:
    c = tables.customers.c
    await connection.execute(sa.select(c.id).where(c.id == customer).with_for_update())


async def _until_waiting(database: AsyncEngine, number: int) -> None:
    """Until so many of this database's connections wait for a lock."""
    asked = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while True:
        async with database.connect() as connection:
            if await connection.scalar(asked) == number:
                return
        await asyncio.sleep(0.02)


async def _deadlocks(database: AsyncEngine) -> int:
    async with database.connect() as connection:
        await connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
        asked = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(await connection.scalar(asked) or 0)
