"""What every channel has to keep, whatever it is: run on each with a real far side (`far_sides.py`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.channels.channel import Channel, Parcel
from notifier.outcomes import Dead, Delivered, Outcome, RetryAt, Unknown
from tests.integration.far_sides import FAR_SIDES, FarSide
from tests.integration.notifier_world import Clock


@pytest.fixture(params=FAR_SIDES)
async def far_side(request: pytest.FixtureRequest, own_database: AsyncEngine) -> AsyncIterator[FarSide]:
    async with FAR_SIDES[request.param](own_database) as side:
        yield side


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def channel(far_side: FarSide, clock: Clock) -> AsyncIterator[Channel[Any]]:
    channel = far_side.channel(clock)
    yield channel
    await channel.close()


async def handed_over(channel: Channel[Any], parcel: Parcel, clock: Clock) -> Outcome | None:
    """As the worker does it; None where there was no connection to be had."""
    for connection in await channel.open(1):
        try:
            outcome: Outcome = await connection.deliver(parcel, clock.now)
        finally:
            await channel.give_back(connection)
        return outcome
    return None


async def test_a_parcel_is_delivered(far_side: FarSide, channel: Channel[Any], clock: Clock) -> None:
    outcome = await handed_over(channel, far_side.parcel(), clock)
    assert isinstance(outcome, Delivered)
    assert outcome.answer
    assert len(far_side.ids) == 1


async def test_no_more_than_its_size_is_open_and_each_takes_a_parcel_at_a_time(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    connections = await channel.open(channel.size)
    assert 0 < len(connections) <= channel.size
    parcels = [far_side.parcel(id=uuid4()) for _ in connections]
    deliveries = (c.deliver(p, clock.now) for c, p in zip(connections, parcels, strict=True))
    outcomes = await asyncio.gather(*deliveries)
    for connection in connections:
        await channel.give_back(connection)
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert len(set(far_side.ids)) == len(parcels)


async def test_what_is_refused_for_now_is_tried_again_later(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    far_side.refuse_for_now()
    pauses = []
    for attempt in range(1, far_side.attempts):
        outcome = await handed_over(channel, far_side.parcel(attempt=attempt), clock)
        assert isinstance(outcome, RetryAt)
        assert outcome.counted
        pauses.append(outcome.at - clock.now)
    assert all(pause.total_seconds() > 0 for pause in pauses)
    assert pauses[-1] > pauses[0], "it is asked less and less often"
    assert isinstance(await handed_over(channel, far_side.parcel(attempt=far_side.attempts), clock), Dead)
    assert far_side.ids == []


async def test_what_is_refused_for_ever_is_dead_at_once(far_side: FarSide, channel: Channel[Any], clock: Clock) -> None:
    far_side.refuse_for_ever()
    outcome = await handed_over(channel, far_side.parcel(), clock)
    assert isinstance(outcome, Dead)
    assert far_side.parcel().address not in outcome.why, "an address has no business in a log"


async def test_nobody_there_is_no_fault_of_the_message(far_side: FarSide, channel: Channel[Any], clock: Clock) -> None:
    await far_side.go_away()
    outcome = await handed_over(channel, far_side.parcel(), clock)
    assert outcome is None or isinstance(outcome, RetryAt)
    assert outcome is not None or channel.resting, "where no connection stands, it is not asked for at once again"


async def test_a_far_side_that_went_away_between_two_parcels_loses_none(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    assert isinstance(await handed_over(channel, far_side.parcel(), clock), Delivered)
    await far_side.go_away()
    outcome = await handed_over(channel, far_side.parcel(id=uuid4()), clock)
    assert outcome is None or isinstance(outcome, RetryAt)


async def test_no_answer_after_all_was_handed_over_is_unknown(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    far_side.take_and_say_nothing()
    outcome = await handed_over(channel, far_side.parcel(), clock)
    assert isinstance(outcome, Unknown)


async def test_a_second_attempt_is_the_same_message(far_side: FarSide, channel: Channel[Any], clock: Clock) -> None:
    first = far_side.parcel()
    far_side.take_and_say_nothing()
    assert isinstance(await handed_over(channel, first, clock), Unknown)
    far_side.be_well()
    assert isinstance(await handed_over(channel, far_side.parcel(attempt=2), clock), Delivered)
    assert len(far_side.ids) == 2
    assert len(set(far_side.ids)) == 1, "whoever has both can tell"
    await handed_over(channel, far_side.parcel(id=uuid4()), clock)
    assert len(set(far_side.ids)) == 2, "and tells another message from them"


async def test_an_address_that_is_none_is_refused_before_anything_leaves(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    for address in far_side.bad_addresses:
        assert isinstance(await handed_over(channel, far_side.parcel(address=address), clock), Dead), address
    assert far_side.ids == []


async def test_after_a_refusal_the_next_parcel_goes_its_way(
    far_side: FarSide, channel: Channel[Any], clock: Clock
) -> None:
    far_side.refuse_for_now()
    assert isinstance(await handed_over(channel, far_side.parcel(), clock), RetryAt)
    far_side.be_well()
    assert isinstance(await handed_over(channel, far_side.parcel(id=uuid4()), clock), Delivered)


async def test_when_it_is_closed_nothing_is_left_open(
    far_side: FarSide, channel: Channel[Any], clock: Clock, eventually: Callable[..., Awaitable[None]]
) -> None:
    for _ in range(2):
        await handed_over(channel, far_side.parcel(id=uuid4()), clock)
    far_side.refuse_for_now()
    await handed_over(channel, far_side.parcel(id=uuid4()), clock)
    await channel.close()

    async def all_closed() -> bool:
        return far_side.open_connections == 0

    await eventually(all_closed, within=5)
