"""The background refolder: a history too long for a batch ends as the pure fold has it, and is on hold until then."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from bot import STOREFRONT, Ground, bots_events, happened
from engine_world import scratch_database

from stage_engine import event_store, store, tables
from stage_engine.fold import Folded, fold
from stage_engine.outcomes import REFOLDING
from stage_engine.store import Customer


@pytest.fixture
async def ground(postgres: str) -> AsyncIterator[Ground]:
    """A migrated database of the test's own."""
    async with scratch_database(postgres) as engine:
        yield await Ground.of(engine)


async def pure(ground: Ground, customer: Customer) -> Folded:
    async with ground.engine.connect() as connection:
        until = await store.read_watermark(connection)
        history = (await event_store.histories(connection, {customer.id: None}))[customer.id]
    assert until is not None
    return fold(history, ground.rules.model, until, storefront=ground.rules.storefronts[STOREFRONT])


async def is_as_the_pure_fold(ground: Ground, user: str) -> None:
    customer = await ground.customer(user)
    expected = await pure(ground, customer)
    assert customer.state == expected.state
    assert (customer.next_wake, customer.waits_from) == (expected.next_wake, expected.waits_from)
    async with ground.engine.connect() as connection:
        standing = (await store.standing_transitions(connection, {customer.id: 0}))[customer.id]
        assert list(standing) == [move.transition.id for move in expected.moves]
        o = tables.outbox.c
        sequences = await connection.execute(sa.select(o.sequence).where(o.customer_id == customer.id).order_by(o.id))
        assert list(sequences.scalars()) == list(range(1, customer.sequence + 1))
        versions = sa.select(sa.func.count()).where(tables.orders.c.customer_id == customer.id)
        assert await connection.scalar(versions) == len(expected.orders)
        stands = await connection.execute(
            sa.select(tables.instances.c.instance, tables.instances.c.stage).where(
                tables.instances.c.customer_id == customer.id
            )
        )
        assert {row.instance: row.stage for row in stands} == {i.id: i.stage for i in expected.state.instances}


async def test_a_bots_shuffled_history_ends_as_the_pure_fold_has_it(ground: Ground) -> None:
    refolder = ground.refolder
    arrivals = [ground.arrival(event) for event in bots_events("bot", 4_000, seed=1)]
    held = False
    for start in range(0, len(arrivals), 500):
        await ground.take(arrivals[start : start + 500])
        held = held or (await ground.customer("bot")).hold == REFOLDING
        if start == 3_000:
            await refolder.step()  # so that what comes after meets a history that is whole again
    assert held, "a long history is left to the background"
    while await refolder.step():
        pass
    assert (await ground.customer("bot")).hold is None
    await is_as_the_pure_fold(ground, "bot")


@pytest.mark.parametrize("back", [1, 300, 1_500])
async def test_a_late_event_is_folded_from_the_checkpoint_before_it(ground: Ground, back: int) -> None:
    events = sorted(bots_events("regular", 1_600, seed=2), key=lambda event: event.occurred_at)
    for start in range(0, len(events), 200):
        await ground.take([ground.arrival(event) for event in events[start : start + 200]])
    late = happened("regular", "Product Viewed", events[-back].occurred_at - timedelta(seconds=1), product_id="late")
    await ground.take([ground.arrival(late)])
    assert (await ground.customer("regular")).refold_from is None
    await is_as_the_pure_fold(ground, "regular")


async def test_others_are_folded_while_a_bot_waits_for_the_background(ground: Ground) -> None:
    bots = bots_events("bot", 2_600, seed=3)
    for start in range(0, len(bots), 650):
        await ground.take([ground.arrival(event) for event in bots[start : start + 650]])
    assert (await ground.customer("bot")).hold == REFOLDING
    now = datetime.now(bots[0].occurred_at.tzinfo)
    more = [happened("bot", "Product Viewed", bots[0].occurred_at), happened("ann", "Product Viewed", now)]
    await ground.take([ground.arrival(event) for event in more])
    assert (await ground.customer("ann")).state.events == 1
    while await ground.refolder.step():
        pass
    await is_as_the_pure_fold(ground, "bot")
