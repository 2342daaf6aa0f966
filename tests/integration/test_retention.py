"""Retention on a real Postgres: what is folded away changes nobody, and what comes after folds on."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from bot import STOREFRONT, Ground, bots_events, happened
from engine_world import START, Standing, World, scratch_database
from httpx import ASGITransport
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import SecretStr
from reference import customers_by_identity, folded, histories
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.changes import CustomerTable, StageRetracted
from services.contracts.identity import Identity, IdentityKind
from services.postgres import transaction
from services.process import Readiness
from stage_engine import event_store, store, tables
from stage_engine.api import create_app
from stage_engine.fold import fold
from stage_engine.identity import identity_id
from stage_engine.mending import ask_to_refold
from stage_engine.retention import AT_ONCE, Retention
from stage_engine.snapshots import standings
from stage_engine.store import Customer
from tests.unit.stage_engine.builders import SEVEN

DAY = 86_400.0
KEPT = timedelta(days=10)


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


def at(after: float) -> datetime:
    return START + timedelta(seconds=after)


async def retain(world: World, now: float) -> None:
    """One whole round, as if it were so many seconds after START."""
    retention = Retention(world.folding(), KEPT)
    while await retention.step(at(now)):
        pass


async def events_of(world: World) -> list[str]:
    e = tables.events.c
    async with world.engine.connect() as connection:
        found = await connection.scalars(
            sa.select(e.event_id).where(e.storefront == world.storefront).order_by(e.event_id)
        )
        return list(found)


def of(world: World, stands: Standing, kind: IdentityKind, value: str) -> Customer:
    return stands.customer_with(identity_id(world.storefront, Identity(kind, value)))


def user(world: World, stands: Standing, value: str) -> Customer:
    return of(world, stands, IdentityKind.USER_ID, value)


def device(world: World, stands: Standing, value: str) -> Customer:
    return of(world, stands, IdentityKind.ANONYMOUS_ID, value)


async def is_the_whole_fold(world: World) -> None:
    """What stands is the pure fold of all that was ever said, as if all of it were kept."""
    stands = await world.stands()
    customers = customers_by_identity(world.said, world.storefront, world.namespace)
    assert world.known_until is not None
    shop = world.rules.storefronts[world.storefront]
    expected = folded(histories(world.said, customers), world.rules.model, world.known_until, shop)
    assert stands.identities == customers
    for id_, fold_ in expected.items():
        row = stands.customers[id_]
        assert row.state == fold_.state
        assert (row.next_wake, row.waits_from, row.broken) == (fold_.next_wake, fold_.waits_from, None)
        assert stands.orders.get(id_, {}) == {order.key: order for _, order in fold_.orders}
        assert stands.transitions.get(id_, []) == [move.transition for move in fold_.moves]
        assert stands.instances.get(id_, {}) == {
            i.id: (i.track, i.shown_key, i.stage, i.since) for i in fold_.state.instances
        }


async def a_regular(world: World) -> None:
    ann = {"user_id": "ann"}
    await world.take(
        world.event("Product Viewed", 0, who=ann, id="e1"),
        world.event("Product Added", 1 * DAY, who=ann, id="e2", cart_id="c", product_id="p"),
        world.event("Order Completed", 2 * DAY, who=ann, id="e3", order_id="o1", revenue=10),
        world.event("Order Completed", 12 * DAY, who=ann, id="e4", order_id="o2", revenue=5),
        world.event("Product Viewed", 13 * DAY, who=ann, id="e5"),
    )
    await world.know(14 * DAY)


async def test_what_is_folded_away_is_deleted_and_changes_nobody(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    before = await world.stands()
    await retain(world, 14 * DAY)
    assert await events_of(world) == ["e4", "e5"]
    assert await world.stands() == before, "nothing is announced either"
    await is_the_whole_fold(world)
    await world.take(world.event("Product Viewed", 15 * DAY, who={"user_id": "ann"}, id="e6"))
    await retain(world, 22.5 * DAY)
    assert await events_of(world) == ["e5", "e6"]
    await retain(world, 40 * DAY)
    assert await events_of(world) == ["e6"], "what the watermark has not passed stays"


async def test_later_and_late_events_fold_on_from_what_is_left(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    await retain(world, 14 * DAY)
    ann = {"user_id": "ann"}
    await world.take(world.event("Order Refunded", 14 * DAY, who=ann, order_id="o1", revenue=3))
    await is_the_whole_fold(world)
    await world.take(world.event("Order Completed", 3 * DAY, who=ann, order_id="o3", revenue=7, received=11 * DAY))
    await is_the_whole_fold(world)
    assert user(world, await world.stands(), "ann").state.facts.sums["revenue"] == 19
    await world.know(200 * DAY)
    await is_the_whole_fold(world)
    await retain(world, 200 * DAY)
    assert await events_of(world) == []
    await is_the_whole_fold(world)
    await world.take(world.event("Product Viewed", 201 * DAY, who=ann))
    await is_the_whole_fold(world)


async def test_an_event_from_before_is_kept_out_and_counted_and_what_it_links_counts(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    await retain(world, 14 * DAY)
    before = await world.stands()
    again, early = world.said[0], world.event("Order Completed", DAY, who={"user_id": "ann"}, order_id="o9", revenue=99)
    counted = kept_out()
    await world.take(again, early)
    assert kept_out() == counted + 2
    assert await world.stands() == before
    assert await events_of(world) == ["e4", "e5"]
    await world.take(world.event("Product Viewed", DAY, who={"user_id": "ann", "anonymous_id": "a"}))
    await world.take(world.event("Product Viewed", 14 * DAY, who={"anonymous_id": "a"}))
    stands = await world.stands()
    assert device(world, stands, "a").id == user(world, stands, "ann").id
    assert kept_out() == counted + 3


def kept_out() -> float:
    return REGISTRY.get_sample_value("stagepost_engine_kept_out_total") or 0.0


async def test_what_sorts_after_an_event_that_came_late_stays_as_long_as_that(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    ann = {"user_id": "ann"}
    await world.take(
        world.event("Product Viewed", 0, who=ann, id="e1"),
        world.event("Product Viewed", DAY, who=ann, id="e2", received=12 * DAY),
        world.event("Product Viewed", 2 * DAY, who=ann, id="e3"),
    )
    await world.know(14 * DAY)
    await retain(world, 14 * DAY)
    assert await events_of(world) == ["e2", "e3"]
    await world.know(24 * DAY)
    await retain(world, 24 * DAY)
    assert await events_of(world) == []


async def test_a_refold_begins_where_history_is_kept(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    await retain(world, 14 * DAY)
    before = await world.stands()
    ann = user(world, before, "ann")
    async with transaction(database) as connection:
        assert await ask_to_refold(connection, customer=ann.id) == 1
    await world.know(14 * DAY)
    stands = await world.stands()
    assert stands.transitions == before.transitions
    assert user(world, stands, "ann").state == ann.state
    assert not [change for change in stands.outbox if isinstance(change, StageRetracted)]
    await is_the_whole_fold(world)


async def test_what_is_asked_of_a_time_before_is_gone_and_later_is_answered(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    await retain(world, 14 * DAY)
    app = create_app(database, lambda: world.rules, SecretStr("o" * 16), Readiness(set()))
    async with httpx.AsyncClient(
        transport=ASGITransport(app), base_url="http://engine", headers={"Authorization": f"Bearer {'o' * 16}"}
    ) as http:
        asked = {"user_id": "ann", "storefront": world.storefront}
        early = await http.get("/v1/customers", params={**asked, "at": at(DAY).isoformat()})
        assert early.status_code == 410
        assert early.json()["code"] == "gone"
        assert "is kept from 2026-03-04T12:00:00Z on" in early.json()["message"]
        then = (await http.get("/v1/customers", params={**asked, "at": at(3 * DAY).isoformat()})).json()["customers"][0]
        assert (then["facts"]["orders"], then["facts"]["revenue"], then["approximate"]) == (1, "10.00", False)
        now = (await http.get("/v1/customers", params=asked)).json()["customers"][0]
        assert (now["facts"]["orders"], now["facts"]["revenue"]) == (2, "15.00")
        timeline = (await http.get(f"/v1/customers/{now['id']}/timeline")).json()
        assert timeline["kept_from"] == "2026-03-04T12:00:00Z"
        kinds = [item["kind"] for item in timeline["timeline"]]
        assert kinds.count("event") == 2
        moves = [item["id"] for item in timeline["timeline"] if item["kind"] == "transition"]
        stands = await world.stands()
        assert moves == [str(move.id) for move in stands.transitions[user(world, stands, "ann").id]]
        why = (await http.get(f"/v1/customers/{now['id']}/why", params={"at": at(3 * DAY).isoformat()})).json()
        lifecycle = why["instances"][0]
        assert (lifecycle["stage"], lifecycle["came"]["rule"]["id"]) == ("purchase", "lifecycle.purchase[0]")
        assert lifecycle["came"]["cause"] == {"event_id": "e3", "name": None, "at": None, "said_by": None}, "not kept"


async def two_pasts(world: World) -> None:
    """A guest who bought and a customer who bought, both folded away, at other times."""
    await world.take(
        world.event("Product Viewed", 0, who={"anonymous_id": "a"}, id="a1"),
        world.event("Product Added", 1 * DAY, who={"anonymous_id": "a"}, id="a2", cart_id="c", product_id="p"),
        world.event("Order Completed", 2 * DAY, who={"anonymous_id": "a"}, id="a3", order_id="o1", revenue=10),
        world.event("Product Viewed", 11 * DAY, who={"anonymous_id": "a"}, id="a4"),
        world.event("Order Completed", 3 * DAY, who={"user_id": "u"}, id="u1", order_id="o2", revenue=20),
        world.event("Order Completed", 4 * DAY, who={"user_id": "u"}, id="u2", order_id="o1", revenue=10),
        world.event("Product Viewed", 12 * DAY, who={"user_id": "u"}, id="u3"),
    )
    await world.know(14.5 * DAY)
    await retain(world, 14.5 * DAY)
    assert await events_of(world) == ["a4", "u3"]


@pytest.mark.parametrize("large", [2_000, 0])
async def test_two_pasts_that_become_one_keep_orders_and_revenue_right_and_say_approximate(
    database: AsyncEngine, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stage_engine.apply.LARGE", large)  # 0: the background refolder does it
    world = await World.opened(database, SEVEN)
    await two_pasts(world)
    stands = await world.stands()
    guest, account, told = device(world, stands, "a"), user(world, stands, "u"), len(stands.outbox)
    assert not guest.state.approximate
    await world.take(
        world.event("Customer Identified", 15 * DAY, who={"user_id": "u", "anonymous_id": "a"}, id="j1"),
    )
    await world.know(15 * DAY)
    stands = await world.stands()
    one = user(world, stands, "u")
    assert one.id == account.id == device(world, stands, "a").id
    assert one.state.approximate
    assert (one.state.facts.counts["orders"], one.state.facts.sums["revenue"]) == (2, 30)
    assert {key: order.revenue for key, order in stands.orders[one.id].items()} == {"o1": 10, "o2": 20}
    assert one.state.events == 8
    async with database.connect() as connection:
        shown = await standings(connection, [guest.id, account.id])
    assert (shown[account.id].approximate, shown[guest.id].approximate) == (True, False), "one is part of the other"
    kept = {t.id for id_ in (guest.id, account.id) for t in stands.transitions.get(id_, [])}
    assert not [c for c in stands.outbox[told:] if isinstance(c, StageRetracted)]
    assert sum(isinstance(c, CustomerTable) for c in stands.outbox[told:]) == 2
    await world.take(world.event("Order Refunded", 16 * DAY, who={"user_id": "u"}, id="j2", order_id="o1", revenue=4))
    await world.know(30 * DAY)
    before = await world.stands()
    assert user(world, before, "u").state.facts.sums["revenue"] == 26
    await retain(world, 30 * DAY)
    assert await events_of(world) == []
    assert await world.stands() == before
    assert kept <= {t.id for t in before.transitions[one.id]}
    async with transaction(database) as connection:
        await ask_to_refold(connection, customer=one.id)
    await world.know(30 * DAY)
    again = await world.stands()
    assert user(world, again, "u").state == user(world, before, "u").state
    assert again.transitions[one.id] == before.transitions[one.id]
    assert again.orders[one.id] == before.orders[one.id]


async def test_a_join_of_what_came_after_a_past_is_exact(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await a_regular(world)
    await retain(world, 14 * DAY)
    await world.take(world.event("Product Added", 13.5 * DAY, who={"anonymous_id": "b"}, cart_id="c9", product_id="p"))
    await world.take(world.event("Product Viewed", 14 * DAY, who={"user_id": "ann", "anonymous_id": "b"}))
    await is_the_whole_fold(world)


async def test_a_split_of_a_past_says_approximate_on_both_until_they_are_one_again(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        world.event("Product Viewed", 0, who={"anonymous_id": "a"}, id="e1"),
        world.event(
            "Order Completed", DAY, who={"user_id": "u1", "anonymous_id": "a"}, id="e2", order_id="o1", revenue=5
        ),
        world.event("Product Viewed", 12 * DAY, who={"anonymous_id": "a"}, id="e3"),
        world.event("Product Viewed", 12 * DAY, who={"user_id": "u2"}, id="e4"),
    )
    await world.know(14 * DAY)
    await retain(world, 14 * DAY)
    assert await events_of(world) == ["e3", "e4"]
    # An earlier word says that the device is another account's.
    await world.take(world.event("Product Viewed", 0.5 * DAY, who={"user_id": "u2", "anonymous_id": "a"}, id="e5"))
    stands = await world.stands()
    assert device(world, stands, "a").id == user(world, stands, "u2").id != user(world, stands, "u1").id
    first, second = user(world, stands, "u1"), user(world, stands, "u2")
    assert first.state.approximate
    assert second.state.approximate
    assert first.state.facts.counts["orders"] == 1
    # And a still earlier one that it is the first one's.
    await world.take(world.event("Product Viewed", 0.25 * DAY, who={"user_id": "u1", "anonymous_id": "a"}, id="e6"))
    stands = await world.stands()
    assert device(world, stands, "a").id == user(world, stands, "u1").id
    assert not user(world, stands, "u1").state.approximate
    assert not user(world, stands, "u2").state.approximate
    assert user(world, stands, "u1").state.events == 3


async def test_a_part_that_left_is_approximate_for_ever_once_its_own_past_is_folded_away(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        world.event("Product Viewed", 0, who={"anonymous_id": "a"}, id="e1"),
        world.event("Order Completed", DAY, who={"user_id": "u1", "anonymous_id": "a"}, id="e2", order_id="o1"),
    )
    await world.know(14 * DAY)
    await retain(world, 14 * DAY)
    await world.take(world.event("Product Viewed", 0.5 * DAY, who={"user_id": "u2", "anonymous_id": "a"}, id="e3"))
    await world.take(world.event("Product Viewed", 14 * DAY, who={"anonymous_id": "a"}, id="e4"))
    await world.know(30 * DAY)
    await retain(world, 30 * DAY)
    await world.take(world.event("Product Viewed", 0.25 * DAY, who={"user_id": "u1", "anonymous_id": "a"}, id="e5"))
    stands = await world.stands()
    assert device(world, stands, "a").id == user(world, stands, "u1").id
    assert user(world, stands, "u1").state.approximate
    assert user(world, stands, "u2").state.approximate


async def test_copies_are_folded_away_together_or_not_at_all(database: AsyncEngine) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(
        world.event("Product Viewed", 0, who={"anonymous_id": "a"}, id="e1"),
        world.event("Order Completed", DAY, who={"anonymous_id": "a"}, id="twice", order_id="o1", revenue=5),
        world.event("Customer Identified", 2 * DAY, who={"user_id": "u", "anonymous_id": "a"}, id="e2"),
        world.event("Order Completed", 12 * DAY, who={"user_id": "u"}, id="twice", order_id="o1", revenue=5),
    )
    await world.know(14 * DAY)
    await retain(world, 14 * DAY)
    assert await events_of(world) == ["e2", "twice", "twice"]
    await is_the_whole_fold(world)
    await world.know(24 * DAY)
    before = await world.stands()
    await retain(world, 24 * DAY)
    assert await events_of(world) == []
    assert await world.stands() == before
    await world.take(world.event("Product Viewed", 25 * DAY, who={"user_id": "u"}, id="e3"))
    await is_the_whole_fold(world)


@st.composite
def shopping(draw: st.DrawFn) -> list[tuple[str, float, dict[str, str], dict[str, Any]]]:
    """Of one account, its device and a stranger, over a month, with all that crosses due times."""
    people = ({"user_id": "u"}, {"anonymous_id": "a"}, {"user_id": "u", "anonymous_id": "a"}, {"user_id": "other"})
    told = draw(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ("Product Viewed", "Product Added", "Order Completed", "Order Refunded", "Order Updated")
                ),
                st.floats(0, 30 * DAY).map(round),
                st.sampled_from(people),
                st.sampled_from(("o1", "o2", "o3")),
            ),
            min_size=4,
            max_size=16,
        )
    )
    return [
        (name, second, who, {"order_id": order, "cart_id": order, "product_id": "p", "revenue": 10})
        for name, second, who, order in sorted(told, key=lambda one: one[1])
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=shopping(), days=st.lists(st.integers(1, 60), min_size=1, max_size=4).map(sorted))
async def test_with_the_links_known_from_the_first_no_round_changes_anybody(
    database: AsyncEngine, told: list[tuple[str, float, dict[str, str], dict[str, Any]]], days: list[int]
) -> None:
    world = await World.opened(database, SEVEN)
    await world.take(world.event("Product Viewed", 0, who={"user_id": "u", "anonymous_id": "a"}))
    left = [world.event(name, second + 1, who=who, **said) for name, second, who, said in told]
    for day in days:
        now = [a for a in left if a.entry.event.occurred_at <= at(day * DAY)]
        left = left[len(now) :]
        if now:
            await world.take(*now)
        await world.know(day * DAY)
        await is_the_whole_fold(world)
        await retain(world, day * DAY)
        await is_the_whole_fold(world)


async def test_a_bots_ten_thousand_events_are_folded_away_without_a_long_lock(postgres: str) -> None:
    async with scratch_database(postgres) as engine:
        ground = await Ground.of(engine)
        events = sorted(bots_events("bot", 10_000, seed=7), key=lambda event: event.occurred_at)
        for start in range(0, len(events), 500):
            await ground.take([ground.arrival(event) for event in events[start : start + 500]])
        while await ground.refolder.step():
            pass
        bot = await ground.customer("bot")
        async with engine.connect() as connection:
            until = await store.read_watermark(connection)
            history = (await event_store.histories(connection, {bot.id: None}))[bot.id]
        assert until is not None
        async with transaction(engine) as connection:
            await store.raise_watermark(connection, until + timedelta(minutes=10))
        retention = Retention(ground.refolder.in_force, timedelta(days=1))
        took = []
        more = True
        while more:
            began = monotonic()
            more = await retention.cut(bot.id, until + timedelta(minutes=10))
            took.append(monotonic() - began)
        print(f"{len(took)} transactions, the longest {max(took):.3f} s")  # noqa: T201  shown with -s
        assert len(took) == 10_000 // AT_ONCE + 1
        assert max(took) < 5, "far below what a transaction may take, on a machine that does other things too"
        after = await ground.customer("bot")
        assert (after.state, after.next_wake, after.sequence) == (bot.state, bot.next_wake, bot.sequence)
        async with transaction(engine) as connection:
            assert await event_store.histories(connection, {bot.id: None}) == {}
            await ask_to_refold(connection, customer=bot.id)
        while await ground.refolder.step():
            pass
        again = await ground.customer("bot")
        whole = fold(history, ground.rules.model, until, storefront=ground.rules.storefronts[STOREFRONT])
        assert again.state == whole.state
        late = happened("bot", "Product Viewed", events[-1].occurred_at + timedelta(hours=1))
        await ground.take([ground.arrival(late)])
        assert (await ground.customer("bot")).state.events == 10_001
