"""The model in force is a row: nobody folds by another, who is brought to it starts nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from engine_world import START, scratch_database, standing
from msgspec.structs import replace
from revised import SEVEN, STOREFRONTS, Shop, at_risk_after, moves
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import ConfigurationError, NoShop
from services.postgres import transaction
from services.revisions import store as revisions
from services.revisions.files import as_json
from services.revisions.tables import revisions as revisions_table
from stage_engine import forward
from stage_engine.arrivals import arrival
from stage_engine.fold import FOLD_VERSION
from stage_engine.forward import Forward
from stage_engine.in_force import InForce
from stage_engine.outcomes import REFOLDING
from stage_engine.revising import Draft, apply, roll_back
from stage_engine.wakes import Wakes

DAY = 86_400
HOUR = 3_600


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


@pytest.fixture
async def kept(empty: AsyncEngine, tmp_path: Path) -> Shop:
    return await Shop.opened(empty, tmp_path / "shop", at_risk_after("90d"))


def order(kept: Shop, after: float, number: str = "o1", **more: Any) -> Any:  # noqa: ANN401  an arrival
    return kept.event("Order Completed", after, order_id=number, revenue=10, total=12, **more)


async def test_without_a_revision_no_engine_takes_work(empty: AsyncEngine) -> None:
    with pytest.raises(NoShop, match="run: stagepost apply DIR"):
        async with InForce(empty).transaction():
            pass
    assert not await Wakes(InForce(empty)).step()


async def test_who_is_behind_is_brought_to_the_new_revision_before_what_comes_is_folded(kept: Shop) -> None:
    await kept.take(order(kept, 0))
    await kept.know(70 * DAY)
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.take(order(kept, 71 * DAY, "o2"))
    assert moves(await kept.announced(after=said))[0] == ("+", "at_risk", True), "of the past: it starts nothing"
    await kept.know(72 * DAY)
    await kept.is_as_fresh()


async def test_everyone_is_brought_to_it_and_back_and_only_as_replays(kept: Shop) -> None:
    for number in range(30):
        who = {"user_id": f"u{number}"}
        await kept.take(order(kept, number * DAY, f"o{number}", who=who))
    await kept.know(80 * DAY)
    before = await kept.fresh()
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.bring_everyone()
    await kept.is_as_fresh()
    moved = moves(await kept.announced(after=said))
    assert moved == [("+", "at_risk", True)] * 21, "those whose order is 60 to 80 days old, and no others"

    said = len(await kept.announced())
    await roll_back(kept.engine, None)
    await kept.bring_everyone()
    await kept.is_as_fresh()
    assert await kept.fresh() == before
    assert moves(await kept.announced(after=said)) == [("-", "at_risk", True)] * 21


async def test_a_killed_one_is_taken_up_where_it_ended(kept: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "AT_ONCE", 3)
    await kept.take(*(order(kept, 0, f"o{n}", who={"user_id": f"u{n}"}) for n in range(10)))
    await kept.know(70 * DAY)
    await kept.apply(at_risk_after("60d"))
    assert await Forward(kept.in_force()).step()
    first = {c.revision for c in (await kept.stands()).customers.values()}
    assert first == {1, 2}
    applied = await kept.apply(at_risk_after("60d"))
    assert applied.before == applied.now, "it is in force already"
    await kept.bring_everyone()
    await kept.is_as_fresh()


async def test_what_was_due_and_left_undone_is_no_replay(kept: Shop) -> None:
    """The engines were away: nobody has heard yet that the cart was left behind, so its reminder is still to come."""
    await kept.take(kept.event("Product Added", 0, cart_id="c1", product_id="p1"))
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.since(START + timedelta(hours=2))
    await kept.know(3 * HOUR)
    await kept.bring_everyone()
    assert moves(await kept.announced(after=said)) == [("+", "abandoned", False)]
    await kept.is_as_fresh()


async def test_what_comes_to_be_due_after_it_came_into_force_is_no_replay(kept: Shop) -> None:
    await kept.take(order(kept, 0))
    await kept.know(10 * DAY)
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.since(START + timedelta(days=10))
    await kept.know(61 * DAY)
    await kept.bring_everyone()
    assert moves(await kept.announced(after=said)) == [("+", "at_risk", False)]
    await kept.is_as_fresh()


async def test_no_checkpoint_of_another_revision_is_a_start(kept: Shop) -> None:
    views = [kept.event("Product Viewed", n * HOUR, product_id=f"p{n}") for n in range(600)]
    for start in range(0, 600, 100):
        await kept.take(*views[start : start + 100])
    assert await kept.checkpoints() == 2
    counted = "facts: {seen: {count: Product Viewed}}\n"
    await kept.apply(SEVEN + counted)
    await kept.take(kept.event("Product Viewed", 400 * HOUR + 1, product_id="late"))
    await kept.know(600 * HOUR)
    await kept.is_as_fresh()


async def test_a_long_history_is_left_to_the_background_and_is_a_replay_all_the_same(
    kept: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "LARGE", 20)
    await kept.take(order(kept, 0), *(kept.event("Product Viewed", n, product_id=f"p{n}") for n in range(1, 30)))
    await kept.know(70 * DAY)
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.take(kept.event("Product Viewed", 70 * DAY, product_id="meanwhile"))
    (customer,) = (await kept.stands()).customers.values()
    assert (customer.hold, customer.revision) == (REFOLDING, 1)
    await kept.know(71 * DAY)
    assert moves(await kept.announced(after=said)) == [("+", "at_risk", True)]
    await kept.is_as_fresh()


async def test_a_join_with_one_who_waits_for_the_background_starts_nothing_of_the_past(
    kept: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "LARGE", 20)
    device = {"anonymous_id": "a1"}
    await kept.take(*(kept.event("Product Viewed", n, who=device, product_id=f"p{n}") for n in range(25)))
    await kept.take(order(kept, 0))
    await kept.know(70 * DAY)
    await kept.apply(at_risk_after("60d"))
    link = {"user_id": "u1", **device}
    await kept.take(kept.event("Product Viewed", 70 * DAY, who=device, product_id="p"))
    await kept.take(kept.event("Customer Identified", 70 * DAY + 1, who=link))
    await kept.know(71 * DAY)
    await kept.bring_everyone()
    await kept.is_as_fresh()


async def test_the_first_revision_and_a_customers_first_fold_are_no_replays(kept: Shop) -> None:
    await kept.take(order(kept, 0))
    assert {replay for _, _, replay in moves(await kept.announced())} == {False}


async def test_what_changes_no_fold_brings_nobody_anywhere(kept: Shop) -> None:
    await kept.take(order(kept, 0))
    more = {"templates/abandoned-cart.mjml": "<mjml/>"}
    assert (await kept.apply(at_risk_after("90d") + "# a remark\n", **more)).now.number == 2
    assert not await Forward(kept.in_force()).step()
    await kept.take(order(kept, 1, "o2"))
    (customer,) = (await kept.stands()).customers.values()
    assert customer.revision == 1


async def test_a_storefront_that_a_revision_brings_is_folded_from_then_on(kept: Shop) -> None:
    arrived = order(kept, 0)
    event = replace(arrived.entry.event, storefront="second")
    there = arrival(event, kept.world.rules.storefronts["shop"], arrived.place)
    consumer = kept.consumer()
    await kept.take(there, by=consumer)
    assert (await standing(kept.engine, "second")).customers == {}, "it was a dead letter"
    await kept.apply(at_risk_after("90d"), storefronts=STOREFRONTS + STOREFRONTS.replace("shop:", "second:", 1))
    await kept.take(there, by=consumer)
    assert len((await standing(kept.engine, "second")).customers) == 1
    rules = await kept.in_force().look()
    assert rules.folded_as == {"shop": 1, "second": 2}, "the first one's rules say what they said"


async def test_a_fold_that_stumbles_is_tried_again_by_the_next_revision_and_is_a_replay(
    kept: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.take(order(kept, 0))
    await kept.know(70 * DAY)
    await kept.apply(at_risk_after("50d"))
    with monkeypatch.context() as patched:
        patched.setattr("stage_engine.folding.fold", lambda *_, **__: 1 / 0)
        await kept.bring_everyone()
    (customer,) = (await kept.stands()).customers.values()
    assert (customer.hold, customer.revision, customer.broken_by) == ("broken", 1, 2)
    assert not await Forward(kept.in_force()).step(), "not again and again by the same rules"
    said = len(await kept.announced())
    await kept.apply(at_risk_after("60d"))
    await kept.bring_everyone()
    assert moves(await kept.announced(after=said)) == [("+", "at_risk", True)]
    await kept.is_as_fresh()


async def test_two_engines_never_fold_by_different_rules(kept: Shop, eventually: Callable[..., Any]) -> None:
    one, other = kept.in_force(), kept.in_force()
    await other.look()

    async def waits(mode: str) -> bool:
        async with kept.engine.connect() as connection:
            asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = :mode"
            return bool(await connection.scalar(sa.text(asked), {"mode": mode}))

    async with one.transaction() as (_, rules):
        assert rules.revision == 1
        applying = asyncio.create_task(kept.apply(at_risk_after("60d")))
        await eventually(lambda: waits("ExclusiveLock"))

        async def folds() -> int:
            async with other.transaction() as (_, found):
                return found.revision

        folding = asyncio.create_task(folds())
        await eventually(lambda: waits("ShareLock"))
        assert not applying.done()
        assert not folding.done()
    assert (await applying).now.number == 2
    assert await folding == 2


async def test_an_engine_of_another_fold_stops_and_goes_on_when_it_can(kept: Shop) -> None:
    ours, another = kept.consumer(), kept.consumer(fold_version=FOLD_VERSION + 1)
    await kept.take(order(kept, 0), by=ours)
    with pytest.raises(NoShop, match=f"version {FOLD_VERSION} of the fold"):
        await kept.take(order(kept, 1, "o2"), by=another)
    await kept.take(order(kept, 1, "o2"), by=ours)
    async with transaction(kept.engine) as connection:  # as `stagepost apply` of that version does it
        await revisions.lock_active(connection)
        held = await revisions.revision(connection, 1)
        assert held is not None
        made = await revisions.make(
            connection, held.files, note="", fold_version=FOLD_VERSION + 1, folding={"shop": "other"}
        )
        await revisions.activate(connection, made)
    with pytest.raises(NoShop):
        await kept.take(order(kept, 2, "o3"), by=ours)
    await kept.take(order(kept, 2, "o3"), by=another)
    await roll_back(kept.engine, 1)
    await kept.take(order(kept, 3, "o4"), by=ours)
    await kept.know(1 * DAY)
    await kept.is_as_fresh()


async def test_a_revision_that_cannot_be_read_stops_work_until_another_is_in_force(kept: Shop) -> None:
    consumer = kept.consumer()
    await kept.take(order(kept, 0), by=consumer)
    await kept.apply(at_risk_after("60d"))
    async with transaction(kept.engine) as connection:
        await connection.execute(
            sa.update(revisions_table)
            .where(revisions_table.c.number == 2)
            .values(files=as_json({"storefronts.yaml": STOREFRONTS.encode(), "lifecycle.yaml": b"tracks: {a: 1}"}))
        )
    with pytest.raises(NoShop, match=r"revision 2 can't be read by this version: lifecycle.yaml:1:"):
        await kept.take(order(kept, 1, "o2"), by=consumer)
    await kept.apply(at_risk_after("50d"))
    await kept.take(order(kept, 1, "o2"), by=consumer)
    await kept.know(1 * DAY)
    await kept.is_as_fresh()


async def test_applying_on_another_than_the_expected_one_is_refused(kept: Shop) -> None:
    draft = Draft.of(kept.directory)
    with pytest.raises(ConfigurationError, match="revision 1 is in force, not 7"):
        await apply(kept.engine, draft, expect=7)


async def test_rolling_back_goes_the_way_that_was_come(kept: Shop) -> None:
    for days in ("60d", "50d"):
        await kept.apply(at_risk_after(days))
    assert (await roll_back(kept.engine, None)).now.number == 2
    await kept.apply(at_risk_after("40d"))
    assert [(await roll_back(kept.engine, None)).now.number for _ in range(2)] == [2, 1]
    with pytest.raises(ConfigurationError, match="the first"):
        await roll_back(kept.engine, None)


@pytest.mark.parametrize("seed", range(3))
async def test_revisions_between_shuffled_events_end_as_one_fold_by_the_last(kept: Shop, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  the same for the same seed is what is wanted
    people: list[dict[str, str]] = [{"user_id": "u1"}, {"anonymous_id": "a1"}, {"email": "e@x.example"}]
    links = [{"user_id": "u1", "anonymous_id": "a1"}, {"user_id": "u2", "email": "e@x.example"}]
    arrivals = [
        kept.event(name, n * DAY / 2, who=chance.choice(people), product_id=f"p{n}", cart_id=f"c{n % 4}")
        for n in range(120)
        for name in (chance.choice(("Product Viewed", "Product Added")),)
    ]
    arrivals += [order(kept, n * 3 * DAY, f"o{n}", who=chance.choice(people)) for n in range(20)]
    arrivals += [kept.event("Customer Identified", chance.randrange(60) * DAY, who=who) for who in links]
    chance.shuffle(arrivals)
    consumers = [kept.consumer(), kept.consumer()]
    while arrivals:
        size = chance.randrange(1, 20)
        await kept.take(*arrivals[:size], by=chance.choice(consumers))
        del arrivals[:size]
        if chance.random() < 0.4:
            await kept.apply(at_risk_after(chance.choice(("5d", "20d", "60d"))))
        if chance.random() < 0.3:
            await Forward(kept.in_force()).step()
    await kept.know(200 * DAY)
    await kept.bring_everyone()
    await kept.is_as_fresh()
