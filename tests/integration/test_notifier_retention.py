"""Messages that are kept no longer: they go, and what they stood in the way of stays out."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from notifier import retention
from notifier.followups import FollowUp, OncePer, Step
from notifier.limits import WEEK
from notifier.retention import Retention
from notifier.status import Status
from notifier.tables import answers, kept_from, messages, spent_occasions
from services.contracts.changes import Transition
from services.errors import NoShop
from services.postgres import transaction
from tests.integration.notifier_sending import World, drained, follow
from tests.unit.notifier.builders import ABANDONED_CART, NOON, THANK_YOU, transition, uid
from tests.unit.notifier.test_plan import table

KEPT = timedelta(days=730)
LONG_AFTER = timedelta(days=800)
ABANDONED = transition("abandoned")
PLACED = transition("placed", track="order", instance="order-1", cause="o1")


async def forget(world: World, kept: timedelta | None = KEPT) -> None:
    looking = Retention(world.engine, kept, lambda: world.follow_ups, world.clock)
    while await looking.step():
        pass


async def reminded(world: World, messages: int = 1) -> None:
    """Of a cart, once; and then a long time goes by."""
    await world.know()
    await world.move(ABANDONED)
    await drained(world.worker())
    assert [status for status, _ in await world.rows()] == [Status.SENT] * messages
    await world.pass_by(LONG_AFTER)


async def left_of(world: World) -> list[str]:
    """The follow-ups of the messages that are there."""
    async with world.engine.connect() as connection:
        return list(await connection.scalars(sa.select(messages.c.follow_up).order_by(messages.c.follow_up)))


async def kept_since(world: World) -> datetime | None:
    async with world.engine.connect() as connection:
        return await connection.scalar(sa.select(kept_from.c.at))


async def left_again(world: World) -> None:
    """The same cart: something was added to it just now, and it was left once more."""
    minutes = int(LONG_AFTER.total_seconds()) // 60 - 60
    await world.move(transition("active", cause="added", minutes=minutes))
    await world.move(transition("abandoned", cause="left again", minutes=minutes + 1))
    await drained(world.worker())


async def told_again(world: World, *moves: Transition) -> None:
    """A join shows the customer's whole table, as it has been all along."""
    await world.take(table(world.next(), 7, *moves, customer="ada", other="bea"))
    await drained(world.worker())


async def test_without_the_setting_all_is_kept(world: World) -> None:
    await reminded(world)
    await forget(world, None)
    assert len(await world.rows()) == 1


async def test_what_ended_long_ago_goes_and_what_did_not_stays(world: World) -> None:
    await reminded(world)
    await world.know(customer="bea")
    now = int(LONG_AFTER.total_seconds()) // 60
    await world.move(transition("abandoned", instance="cart-2", cause="e2", minutes=now - 1), "bea")
    await forget(world)
    assert await world.rows() == [(Status.PENDING, None)]
    await drained(world.worker())
    await forget(world)
    assert await world.rows() == [(Status.SENT, None)]


async def test_what_was_answered_by_a_message_goes_with_it(world: World) -> None:
    await reminded(world)
    async with transaction(world.engine) as connection:
        message = await connection.scalar(sa.select(messages.c.id))
        values = [{"message_id": one, "kind": "nps", "number": 1, "event_id": "e"} for one in (message, uid("other"))]
        await connection.execute(sa.insert(answers), values)
    await forget(world)
    async with world.engine.connect() as connection:
        assert list(await connection.scalars(sa.select(answers.c.message_id))) == [uid("other")]


async def test_a_cart_that_was_reminded_of_is_not_again_once_nobody_keeps_the_message(world: World) -> None:
    await reminded(world)
    await forget(world)
    assert await world.rows() == []
    await left_again(world)
    assert await world.rows() == []
    assert len(world.ids) == 1


async def test_a_cart_whose_reminder_never_went_may_have_one_when_it_is_left_again(world: World) -> None:
    await world.know(None)
    await world.move(ABANDONED)
    await drained(world.worker())
    assert [status for status, _ in await world.rows()] == [Status.WITHHELD]
    await world.pass_by(LONG_AFTER)
    await forget(world)
    assert await world.rows() == []
    await world.know()
    await left_again(world)
    assert await world.rows() == [(Status.SENT, None)]


@pytest.mark.parametrize("once_per", [OncePer.INSTANCE, OncePer.CAUSE])
async def test_a_join_that_tells_an_old_move_again_sends_nothing_even_with_a_longer_max_age(
    world: World, once_per: OncePer
) -> None:
    follow_up = replace(ABANDONED_CART, once_per=once_per)
    world.follow_ups = {follow_up.name: follow_up}
    await reminded(world)
    await forget(world)
    world.follow_ups = {follow_up.name: replace(follow_up, max_age=LONG_AFTER * 2)}
    await told_again(world, ABANDONED)
    assert await world.rows() == []
    assert len(world.ids) == 1


async def test_what_a_cool_down_looks_back_to_is_kept_for_as_long(world: World) -> None:
    cooled = replace(ABANDONED_CART, once_per=OncePer.CUSTOMER, cool_down=LONG_AFTER * 2)
    world.follow_ups = {cooled.name: cooled}
    await reminded(world)
    await forget(world)
    assert [status for status, _ in await world.rows()] == [Status.SENT]
    await left_again(world)
    assert sorted(await world.rows()) == [(Status.SENT, None), (Status.WITHHELD, "cool_down")]


async def test_what_one_cool_down_looks_back_to_keeps_nothing_of_another_follow_up(world: World) -> None:
    """The shipped onboarding looks back ten years: with it nothing was forgotten for as long."""
    cooled = replace(ABANDONED_CART, once_per=OncePer.CUSTOMER, cool_down=LONG_AFTER * 2)
    world.follow_ups = follow(cooled, THANK_YOU)
    await world.move(PLACED)
    await reminded(world, 2)
    await forget(world)
    assert await left_of(world) == [cooled.name]
    assert await kept_since(world) == world.clock.now - KEPT, "the newest cut: no follow-up plans for before it"
    await told_again(world, ABANDONED, PLACED)
    assert await left_of(world) == [cooled.name]
    await world.pass_by(LONG_AFTER)
    await forget(world)
    assert await left_of(world) == [cooled.name], "and a week, since what was given is counted from late"
    await world.pass_by(WEEK * 2)
    await forget(world)
    assert await left_of(world) == []
    await told_again(world, ABANDONED, PLACED)
    assert await left_of(world) == []
    assert len(world.ids) == 2


async def test_what_no_file_names_any_more_is_kept_no_longer_than_what_has_no_cool_down(world: World) -> None:
    await reminded(world)
    world.follow_ups = follow(replace(THANK_YOU, once_per=OncePer.CUSTOMER, cool_down=LONG_AFTER * 2))
    await forget(world)
    assert await world.rows() == []


def slowly(follow_up: FollowUp) -> FollowUp:
    """With a second message a thousand days after the first."""
    second = Step(number=2, after=timedelta(days=1000), template="thank-you")
    return replace(follow_up, steps=(*follow_up.steps, second))


async def test_an_occasion_with_a_message_to_come_is_kept_whole_until_that_has_gone(world: World) -> None:
    world.follow_ups = {THANK_YOU.name: slowly(THANK_YOU)}
    await world.know()
    await world.move(PLACED)
    await drained(world.worker())
    await world.pass_by(LONG_AFTER)
    await forget(world)
    assert sorted(await world.rows()) == [(Status.PENDING, None), (Status.SENT, None)]
    await world.pass_by(timedelta(days=200))
    await drained(world.worker())
    assert await world.rows() == [(Status.SENT, None)] * 2
    await forget(world)
    assert await world.rows() == [(Status.SENT, None)], "the second has gone just now"
    await world.pass_by(LONG_AFTER)
    await forget(world)
    assert await world.rows() == []
    assert len(world.ids) == 2


async def test_a_correction_that_comes_late_does_not_bring_back_what_was_forgotten(world: World) -> None:
    await reminded(world)
    await forget(world)
    await world.retract(ABANDONED)
    await world.move(ABANDONED)
    await drained(world.worker())
    assert await world.rows() == []
    assert len(world.ids) == 1


async def test_two_at_once_forget_each_message_once_and_more_than_fit_into_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    for number in range(10):
        await world.know(customer=f"c{number}")
        await world.move(transition("abandoned", instance=f"i{number}", cause=f"e{number}"), f"c{number}")
    await drained(world.worker())
    await world.pass_by(LONG_AFTER)
    async with transaction(world.engine) as other:
        held = await other.scalars(sa.select(messages.c.id).limit(4).with_for_update())
        assert len(held.all()) == 4
        await forget(world)
        assert len(await world.rows()) == 4, "what somebody else is at is passed over"
    await forget(world)
    assert await world.rows() == []
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(spent_occasions)) == 10
    assert await kept_since(world) == NOON + LONG_AFTER - KEPT


async def test_without_a_revision_nothing_is_forgotten_since_nobody_knows_what_looks_back(world: World) -> None:
    await reminded(world)

    def nothing_in_force() -> dict[str, FollowUp]:
        raise NoShop("no revision is in force")

    assert not await Retention(world.engine, KEPT, nothing_in_force, world.clock).step()
    assert len(await world.rows()) == 1
