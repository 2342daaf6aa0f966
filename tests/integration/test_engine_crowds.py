"""Too many for one customer: of all that would point to one identity the 1,000 earliest do, however they come."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from engine_checked import stands_as_the_reference
from engine_world import World, scratch_database
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.changes import CustomerTable
from services.contracts.identity import Identity, IdentityKind
from stage_engine.arrivals import Arrival
from stage_engine.identity import MOST_POINTING, TILL, identity_id
from tests.unit.stage_engine.builders import SEVEN


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


def login(world: World, device: int, after: float, account: str = "kiosk") -> Arrival:
    return world.event("Customer Identified", after, who={"user_id": account, "anonymous_id": f"a{device:04}"})


def looked(world: World, device: int) -> Arrival:
    """What it did before its login: its own journey."""
    return world.event("Product Viewed", device % 7, who={"anonymous_id": f"a{device:04}"})


async def pointing(world: World, account: str = "kiosk") -> set[int]:
    """The devices that are part of the account's customer."""
    stands = await world.stands()
    root = stands.identities[identity_id(world.storefront, Identity(IdentityKind.USER_ID, account))]
    devices = {
        n: identity_id(world.storefront, Identity(IdentityKind.ANONYMOUS_ID, f"a{n:04}"))
        for n in range(MOST_POINTING + 100)
    }
    return {n for n, id_ in devices.items() if stands.identities.get(id_) == root}


@pytest.mark.parametrize("seed", range(2))
async def test_the_same_thousand_point_whatever_the_order_the_batches_and_the_engines(
    database: AsyncEngine, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  a test's dice
    world = await World.opened(database, SEVEN)
    crowd = MOST_POINTING + 30
    # Ten log in within one second, as whole-second clocks have it: of one time the smaller by bytes goes first.
    events = [login(world, n, 1_000 + n // 10) for n in range(crowd)]
    events += [looked(world, n) for n in range(0, crowd, 9)]
    dice.shuffle(events)

    async def read(partition: int) -> None:
        engine, mine = world.consumer(), events[partition::2]
        start = 0
        while start < len(mine):
            size = dice.choice((1, 20, 90))
            await engine.take([world.stretch(partition, start, mine[start : start + size])])
            start += size

    async with asyncio.timeout(120):
        await asyncio.gather(read(0), read(1))
    world.said += events
    assert await pointing(world) == set(range(MOST_POINTING))
    await stands_as_the_reference(world)


async def full(world: World) -> None:
    """An account whose places are all taken, by logins at 1,000 s, 1,001 s and so on; two more have none."""
    crowd = [login(world, n, 1_000 + n) for n in range(MOST_POINTING + 2)]
    await world.take(*(looked(world, n) for n in (0, MOST_POINTING - 1, MOST_POINTING, MOST_POINTING + 1)))
    for start in range(0, len(crowd), 250):
        await world.take(*crowd[start : start + 250])
    assert await pointing(world) == set(range(MOST_POINTING))


async def test_an_earlier_login_that_comes_late_splits_the_last_of_the_thousand_off_with_its_journey(
    database: AsyncEngine,
) -> None:
    world = await World.opened(database, SEVEN)
    await full(world)
    before = await world.stands()
    last, late = MOST_POINTING - 1, MOST_POINTING + 50
    await world.take(login(world, late, 500))
    assert await pointing(world) == {*range(last), late}
    stands = await world.stands()
    pushed_out = stands.identities[identity_id(world.storefront, Identity(IdentityKind.ANONYMOUS_ID, f"a{last:04}"))]
    account = stands.identities[identity_id(world.storefront, Identity(IdentityKind.USER_ID, "kiosk"))]
    tables = [change for change in stands.outbox[len(before.outbox) :] if isinstance(change, CustomerTable)]
    assert {change.customer_id: change.others for change in tables} == {pushed_out: [account], account: [pushed_out]}
    assert [t.to_stage for t in stands.transitions[pushed_out]] == ["awareness", "interest"]
    await stands_as_the_reference(world)


async def test_one_that_becomes_a_till_lets_the_next_in(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await full(world)
    await world.take(*(login(world, 0, 5_000 + n, f"other{n}") for n in range(TILL)))
    assert await pointing(world) == set(range(1, MOST_POINTING + 1))
    await stands_as_the_reference(world)


async def test_one_whose_stronger_link_leads_elsewhere_lets_the_next_in(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await full(world)
    await world.take(login(world, 3, 10, "earlier"))  # its first account is the one that it is of
    assert await pointing(world) == {*range(3), *range(4, MOST_POINTING + 1)}
    await stands_as_the_reference(world)


async def test_a_login_into_a_full_account_turns_nothing(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await full(world)
    told = len((await world.stands()).outbox)
    await world.take(login(world, MOST_POINTING + 60, 9_000))
    stands = await world.stands()
    assert not [change for change in stands.outbox[told:] if isinstance(change, CustomerTable)]
    assert await pointing(world) == set(range(MOST_POINTING))


async def test_two_engines_that_let_in_the_last_at_once_let_in_one(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    crowd = [login(world, n, 1_000 + n) for n in range(MOST_POINTING - 1)]
    for start in range(0, len(crowd), 250):
        await world.take(*crowd[start : start + 250])
    for round_ in range(5):
        rivals = [login(world, MOST_POINTING + 2 * round_ + n, 3_000 - 2 * round_ + n) for n in range(2)]
        engines = world.consumer(), world.consumer()
        async with asyncio.timeout(30):
            await asyncio.gather(
                *(engine.take([world.stretch(n, round_, [rivals[n]])]) for n, engine in enumerate(engines))
            )
        world.said += rivals
        assert len(await pointing(world)) == MOST_POINTING
    await stands_as_the_reference(world)
