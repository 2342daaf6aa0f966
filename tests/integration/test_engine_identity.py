"""Who is whom, in the database: in every order the same customers, and every stream they leave or come to says so."""

from collections.abc import AsyncIterator
from itertools import permutations
from unittest.mock import patch

import pytest
from engine_world import Standing, World, scratch_database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import customers_by_identity
from sqlalchemy.ext.asyncio import AsyncEngine
from subscriber import Subscriber, unnumbered

from services.contracts.changes import CustomerTable
from services.contracts.identity import Identity, IdentityKind
from stage_engine import turning
from stage_engine.arrivals import Arrival
from stage_engine.asking import current
from stage_engine.identity import MOST_POINTING, TILL, customer_id, identity_id
from stage_engine.store import Customer
from tests.unit.stage_engine.builders import SEVEN


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


def whose(world: World, stands: Standing, kind: IdentityKind, value: str) -> Customer:
    return stands.customer_with(identity_id(world.storefront, Identity(kind, value)))


def user(world: World, stands: Standing, value: str) -> Customer:
    return whose(world, stands, IdentityKind.USER_ID, value)


def device(world: World, stands: Standing, value: str) -> Customer:
    return whose(world, stands, IdentityKind.ANONYMOUS_ID, value)


def with_events(stands: Standing) -> list[Customer]:
    return [customer for customer in stands.customers.values() if customer.state.events]


def a_subscriber_holds_it(stands: Standing) -> Subscriber:
    subscriber = Subscriber()
    subscriber.read(stands.outbox)
    for id_, held in subscriber.customers.items():
        assert held.instances == unnumbered(stands.instances.get(id_, {}))
    return subscriber


async def named(world: World, after: float, *, by: str = "server", **who: str) -> None:
    await world.take(world.event("Product Viewed", after, who=who, by=by))


LINKS: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
    ("Customer Identified", {"user_id": "u1", "anonymous_id": "a1"}, {}),
    ("Customer Identified", {"email": "a@b.c", "anonymous_id": "a1", "cart_token": "t"}, {}),
    ("Customer Identified", {"user_id": "u2", "email": "a@b.c"}, {}),
    ("Identity Aliased", {"user_id": "u2"}, {"previous_id": "u1"}),
    ("Identity Aliased", {"user_id": "u3"}, {"previous_id": "u2"}),
    ("Identity Aliased", {"user_id": "u1"}, {"previous_id": "u3"}),
    ("Identity Aliased", {"user_id": "u3"}, {"previous_id": "a1"}),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.permutations(range(len(LINKS))),
    times=st.permutations(range(len(LINKS))),
    size=st.integers(1, 3),
    most=st.sampled_from((1, 2, MOST_POINTING)),
)
async def test_every_order_of_links_comes_to_the_same_customers(
    database: AsyncEngine, order: list[int], times: list[int], size: int, most: int
) -> None:
    world = await World.opened(database, SEVEN)
    links = [world.event(name, times[n] // 2, who=who, id=f"e{n}", **said) for n, (name, who, said) in enumerate(LINKS)]
    for start in range(0, len(order), size):
        with patch.object(turning, "MOST_POINTING", most):  # an account of few places is soon full
            await world.take(*(links[n] for n in order[start : start + size]))
        stands = await world.stands()
        assert stands.identities == customers_by_identity(world.said, world.storefront, world.namespace, most=most)
    a_subscriber_holds_it(stands)


async def test_two_anonymous_histories_and_one_login_are_one_customer_with_one_journey_however_they_come(
    database: AsyncEngine,
) -> None:
    def history(world: World) -> list[Arrival]:
        return [
            world.event("Product Viewed", 1, who={"anonymous_id": "a1"}, id="e1"),
            world.event("Product Added", 2, who={"anonymous_id": "a2"}, id="e2", product_id="p", cart_id="c"),
            world.event("Customer Identified", 3, who={"user_id": "u", "anonymous_id": "a1"}, id="e3"),
            world.event("Order Completed", 4, who={"user_id": "u", "anonymous_id": "a2"}, id="e4", order_id="o"),
        ]

    journeys = set()
    for order in permutations(range(4)):
        world = await World.opened(database, SEVEN)
        events = history(world)
        for n in order:
            await world.take(events[n])
        await world.know(10)
        stands = await world.stands()
        (customer,) = with_events(stands)
        assert customer.id == user(world, stands, "u").id == device(world, stands, "a1").id
        went = stands.transitions[customer.id]
        journeys.add(tuple((t.track, t.key, t.from_stage, t.to_stage, t.at, t.cause.event_id) for t in went))
        held = a_subscriber_holds_it(stands).customers
        assert [id_ for id_, one in held.items() if one.instances] == [customer.id]
    (journey,) = journeys
    assert [to for track, _, _, to, _, _ in journey if track == "lifecycle"] == [
        "awareness",
        "interest",
        "consideration",
        "purchase",
    ]


async def test_one_device_and_two_accounts_are_two_customers(database: AsyncEngine) -> None:
    for first, second in (("u1", "u2"), ("u2", "u1")):
        world = await World.opened(database, SEVEN)
        await named(world, 0, anonymous_id="a")
        await named(world, 5 if first == "u2" else 1, user_id=first, anonymous_id="a")
        await named(world, 1 if first == "u2" else 5, user_id=second, anonymous_id="a")
        stands = await world.stands()
        assert user(world, stands, "u1").id != user(world, stands, "u2").id
        assert device(world, stands, "a").id == user(world, stands, "u1").id, "the earliest holds"
        a_subscriber_holds_it(stands)


async def test_a_sixth_account_makes_a_device_a_till_and_the_split_is_published_on_every_stream(
    database: AsyncEngine,
) -> None:
    world = await World.opened(database, SEVEN)
    await named(world, 0, anonymous_id="till")
    for n in range(TILL):
        await named(world, n + 1, user_id=f"u{n}", anonymous_id="till")
    stands = await world.stands()
    held = user(world, stands, "u0")
    assert device(world, stands, "till").id == held.id
    seen = len(stands.outbox)
    await named(world, 9, user_id="u9", anonymous_id="till")
    stands = await world.stands()
    till = device(world, stands, "till")
    assert till.id != held.id
    tables = [change for change in stands.outbox[seen:] if isinstance(change, CustomerTable)]
    assert {change.customer_id for change in tables} == {held.id, till.id}
    assert {change.number for change in tables} == {tables[0].number}
    assert [t.to_stage for t in stands.transitions[till.id]] == ["awareness", "interest"]
    a_subscriber_holds_it(stands)
    await named(world, 10, user_id="u9", anonymous_id="till")
    assert device(world, await world.stands(), "till").id == till.id


async def test_a_till_named_in_one_batch_is_never_anybodys(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        *(world.event("Product Viewed", n, who={"user_id": f"u{n}", "anonymous_id": "till"}) for n in range(TILL + 2))
    )
    stands = await world.stands()
    assert len({user(world, stands, f"u{n}").id for n in range(TILL + 2)}) == TILL + 2
    assert not [change for change in stands.outbox if isinstance(change, CustomerTable)]


async def test_an_account_renamed_takes_its_history_along_and_the_former_id_keeps_resolving(
    database: AsyncEngine,
) -> None:
    world = await World.opened(database, SEVEN)
    await named(world, 0, user_id="old", email="a@b.c")
    former = user(world, await world.stands(), "old").id
    await world.take(world.event("Identity Aliased", 5, who={"user_id": "new"}, previous_id="old"))
    stands = await world.stands()
    now = user(world, stands, "new")
    assert user(world, stands, "old").id == whose(world, stands, IdentityKind.EMAIL, "a@b.c").id == now.id
    assert now.id == customer_id(world.namespace, Identity(IdentityKind.USER_ID, "new"))
    async with database.connect() as connection:
        assert await current(connection, former) == now.id
        assert await current(connection, now.id) == now.id
    assert a_subscriber_holds_it(stands).customers[former].part_of == now.id
    before = stands.customers[former].sequence
    # An alias said to be earlier makes a loop: the latest of it is void, and the former root is one again.
    await world.take(world.event("Identity Aliased", 2, who={"user_id": "old"}, previous_id="new"))
    stands = await world.stands()
    assert user(world, stands, "new").id == user(world, stands, "old").id == former
    assert stands.customers[former].sequence > before, "it counts on"
    async with database.connect() as connection:
        assert await current(connection, now.id) == former
    a_subscriber_holds_it(stands)


async def test_a_browser_links_its_own_device_and_nothing_else(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await named(world, 0, email="a@b.c")
    await named(world, 1, anonymous_id="a", cart_token="t")
    await named(world, 2, by="browser", user_id="u", email="a@b.c", anonymous_id="a", cart_token="t")
    await world.take(world.event("Identity Aliased", 3, who={"user_id": "u"}, by="browser", previous_id="other"))
    await named(world, 4, user_id="other")
    stands = await world.stands()
    account = user(world, stands, "u").id
    assert device(world, stands, "a").id == account
    assert whose(world, stands, IdentityKind.CART_TOKEN, "t").id == account
    assert whose(world, stands, IdentityKind.EMAIL, "a@b.c").id != account
    assert user(world, stands, "other").id != account


async def test_a_join_of_carts_that_were_told_announces_nothing_twice(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        world.event("Product Added", 0, who={"anonymous_id": "a"}, product_id="p"),
        world.event("Product Viewed", 1, who={"user_id": "u"}),
    )
    await world.know(7_200)
    told = len((await world.stands()).outbox)
    await named(world, 7_300, user_id="u", anonymous_id="a")
    stands = await world.stands()
    assert sum(isinstance(change, CustomerTable) for change in stands.outbox[told:]) == 2
    again = [c for c in stands.outbox[told:] if getattr(getattr(c, "transition", None), "track", "") == "cart"]
    assert not again
    (cart,) = [row for row in stands.instances[user(world, stands, "u").id].values() if row[0] == "cart"]
    assert cart[2] == "abandoned"
