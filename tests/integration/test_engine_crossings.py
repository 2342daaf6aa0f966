"""Joins and splits where one who takes part can't be folded at once: too long a history, or a fold that stumbles."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from engine_world import START, Standing, World, scratch_database
from reference import customers_by_identity, folded, histories
from sqlalchemy.ext.asyncio import AsyncEngine
from subscriber import Subscriber, unnumbered

from services.contracts.changes import CustomerChange, CustomerTable, StageChanged, StageRetracted
from services.contracts.identity import Identity, IdentityKind
from stage_engine import apply, event_store, folding
from stage_engine.fold import Folded, fold
from stage_engine.identity import TILL, identity_id
from stage_engine.outcomes import BROKEN, REFOLDING
from stage_engine.store import Customer
from tests.unit.stage_engine.builders import SEVEN

EVERYTHING = START + timedelta(days=2_000)
POISON = "Poison"


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


@contextmanager
def stumbling() -> Iterator[None]:
    """A fold with a bug, which one event of these brings out."""

    def stumble(entries: Any, *args: Any, **more: Any) -> Folded:  # noqa: ANN401  as the fold takes them
        found = list(entries)
        if any(entry.event.name == POISON for entry in found):
            raise ZeroDivisionError
        return fold(found, *args, **more)

    with patch.object(folding, "fold", stumble):
        yield


def whose(world: World, stands: Standing, kind: IdentityKind, value: str) -> Customer:
    return stands.customer_with(identity_id(world.storefront, Identity(kind, value)))


def account(world: World, stands: Standing, value: str = "u") -> Customer:
    return whose(world, stands, IdentityKind.USER_ID, value)


def device(world: World, stands: Standing) -> Customer:
    return whose(world, stands, IdentityKind.ANONYMOUS_ID, "a")


async def till(world: World) -> None:
    """Makes the device one of more accounts than a person has: it splits off."""
    await world.take(
        *(world.event("Page Viewed", 50 + n, who={"user_id": f"v{n}", "anonymous_id": "a"}) for n in range(TILL))
    )


async def joined(world: World) -> None:
    """A device with a cart, and an account with more of a history, which one login makes one customer."""
    await world.take(
        world.event("Product Added", 0, who={"anonymous_id": "a"}, cart_id="c", product_id="p"),
        *(world.event("Product Viewed", 1 + n, who={"user_id": "u"}, product_id="p") for n in range(6)),
    )
    await world.take(world.event("Customer Identified", 20, who={"user_id": "u", "anonymous_id": "a"}))


async def is_as_the_reference(world: World) -> None:
    stands = await world.stands()
    customers = customers_by_identity(world.said, world.storefront, world.namespace)
    assert stands.identities == customers
    shop = world.rules.storefronts[world.storefront]
    expected = folded(histories(world.said, customers), SEVEN, EVERYTHING, shop)
    assert {id_: c.state for id_, c in stands.customers.items() if c.state.events} == {
        id_: one.state for id_, one in expected.items()
    }
    assert {id_: {t.id for t in found} for id_, found in stands.transitions.items() if found} == {
        id_: {move.transition.id for move in one.moves} for id_, one in expected.items()
    }
    assert not [c for c in stands.customers.values() if c.hold or c.broken or c.joined]
    subscriber = Subscriber()
    subscriber.read(stands.outbox)
    for id_, held in subscriber.customers.items():
        assert held.instances == unnumbered(stands.instances.get(id_, {}))


def tables_of(changes: list[CustomerChange] | Any, customer: Customer) -> list[CustomerTable]:  # noqa: ANN401  a sequence
    return [change for change in changes if isinstance(change, CustomerTable) and change.customer_id == customer.id]


def told_of_the_cart(stands: Standing) -> tuple[int, int]:
    """How often a move of the cart was announced, and how often one was retracted."""
    of_cart = [
        change
        for change in stands.outbox
        if isinstance(change, StageChanged | StageRetracted) and change.transition.track == "cart"
    ]
    retracted = sum(isinstance(change, StageRetracted) for change in of_cart)
    return len(of_cart) - retracted, retracted


@pytest.mark.parametrize("mended_by", ["the next event", "the refolder"])
async def test_a_join_that_was_postponed_and_stumbled_is_published_by_the_refold_that_mends_it(
    database: AsyncEngine, mended_by: str
) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(world.event(POISON, 0, who={"user_id": "u"}))
    with patch.object(apply, "LARGE", 2):
        await joined(world)
    stands = await world.stands()
    assert account(world, stands).hold == REFOLDING
    with stumbling():
        await world.know(EVERYTHING)
    stands = await world.stands()
    assert account(world, stands).hold == BROKEN
    assert not tables_of(stands.outbox, account(world, stands))
    if mended_by == "the refolder":
        await world.ask_to_refold()
    else:
        await world.take(world.event("Page Viewed", 60, who={"user_id": "u"}))
    await world.know(EVERYTHING)
    stands = await world.stands()
    (table,) = tables_of(stands.outbox, account(world, stands))
    (others,) = {change.number for change in stands.outbox if isinstance(change, CustomerTable)}
    assert table.number == others
    await is_as_the_reference(world)


async def test_who_loses_a_part_of_a_long_history_is_left_to_the_background_and_the_rest_is_not(
    database: AsyncEngine,
) -> None:
    world = await World.opened(database, SEVEN)
    await joined(world)
    with patch.object(apply, "LARGE", 2):
        await till(world)
    stands = await world.stands()
    loser, lost = account(world, stands), device(world, stands)
    assert (loser.hold, lost.hold) == (REFOLDING, None)
    assert len(tables_of(stands.outbox, lost)) == 2, "that it joined, and that it is split off"
    before = len(tables_of(stands.outbox, loser))
    await world.know(EVERYTHING)
    stands = await world.stands()
    table = tables_of(stands.outbox, loser)[before]
    assert (table.others, table.number) == ([lost.id], tables_of(stands.outbox, lost)[-1].number)
    assert told_of_the_cart(stands) == (2, 0), "begun and abandoned, each told once, by whoever had it"
    await is_as_the_reference(world)


async def test_two_long_histories_that_split_retract_nothing_that_only_changed_hands(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await joined(world)
    await world.take(
        *(world.event("Product Viewed", 21 + n, who={"anonymous_id": "a"}, product_id="q") for n in range(6))
    )
    with patch.object(apply, "LARGE", 2):
        await till(world)
        stands = await world.stands()
        assert (account(world, stands).hold, device(world, stands).hold) == (REFOLDING, REFOLDING)
        await world.know(EVERYTHING)
    assert told_of_the_cart(await world.stands()) == (2, 0)
    await is_as_the_reference(world)


async def test_a_broken_customer_whose_identity_crosses_away_publishes_the_split_once_mended(
    database: AsyncEngine,
) -> None:
    world = await World.opened(database, SEVEN)
    await joined(world)
    with stumbling():
        await world.take(world.event(POISON, 30, who={"user_id": "u"}))
        assert account(world, await world.stands()).hold == BROKEN
        await till(world)
        stands = await world.stands()
        loser, lost = account(world, stands), device(world, stands)
        assert (loser.hold, lost.hold) == (BROKEN, None)
        before = len(tables_of(stands.outbox, loser))
    await world.take(world.event("Page Viewed", 60, who={"user_id": "u"}))
    await world.know(EVERYTHING)
    stands = await world.stands()
    (table,) = tables_of(stands.outbox, loser)[before:]
    assert (table.others, table.number) == ([lost.id], tables_of(stands.outbox, lost)[-1].number)
    assert told_of_the_cart(stands) == (2, 0)
    await is_as_the_reference(world)


async def test_a_part_that_breaks_whom_it_comes_to_is_published_there_once_mended(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(world.event(POISON, 1, who={"anonymous_id": "a"}))
    with stumbling():
        await joined(world)
        stands = await world.stands()
        assert account(world, stands).hold == BROKEN
    await world.take(world.event("Page Viewed", 60, who={"user_id": "u"}))
    await world.know(EVERYTHING)
    stands = await world.stands()
    assert len(tables_of(stands.outbox, account(world, stands))) == 1
    await is_as_the_reference(world)


async def test_what_is_known_now_about_then_leaves_out_whose_first_copy_occurred_later(database: AsyncEngine) -> None:
    """Two copies of one event: the one received first counts, and it says that it occurred at 50 s."""
    world = await World.opened(database, SEVEN)
    await world.take(
        world.event("Product Viewed", 0, who={"anonymous_id": "a"}, id="e", received=500),
        world.event("Product Viewed", 50, who={"user_id": "u"}, id="e", received=10),
        world.event("Customer Identified", 5, who={"user_id": "u", "anonymous_id": "a"}, id="login"),
    )
    customer = account(world, await world.stands()).id
    async with database.connect() as connection:
        for second, expected in ((20, {"login"}), (60, {"login", "e"})):
            at = START + timedelta(seconds=second)
            found = await event_store.histories(connection, {customer: None}, until=at)
            assert {entry.event.id for entry in found[customer]} == expected
