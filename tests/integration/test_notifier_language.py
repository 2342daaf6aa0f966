"""What followups.yaml can say, seen to hold on a real Postgres: steps, caps, cool-downs, draws, endings elsewhere."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from notifier import reads
from notifier.channels.channel import Payload
from notifier.followups import EMAIL, WEBHOOK, Coupon, Entered, OncePer, Step, Variant
from notifier.links import SAMPLE
from notifier.marking import Mark
from notifier.packing import Ready, packed
from notifier.queue import Queue
from notifier.render import Renderer
from notifier.status import Status
from notifier.tables import messages
from services.contracts.changes import Address, CustomerTable, InstanceRow, Profile, Transition
from services.contracts.events import SaidBy
from services.contracts.reasons import Reason
from services.contracts.storefront import Cap, Endpoint, QuietHours
from tests.integration.notifier_sending import LEASE, World, drained, follow, shop
from tests.unit.notifier.builders import ABANDONED_CART, NOON, THANK_YOU, send_to, transition, uid

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ADDRESS = Address(value="ada@mail.example", said_by=SaidBy.SERVER)
NO_CAP = {"email": Cap(day=None, week=None)}


def abandoned(number: int, *, minutes: int = 0) -> Transition:
    return transition("abandoned", cause=f"e{number}", instance=f"cart-{number}", minutes=minutes)


async def told(world: World, *columns: sa.Column[Any]) -> list[tuple[Any, ...]]:
    wanted = columns or (messages.c.follow_up, messages.c.step, messages.c.status, messages.c.reason)
    async with world.engine.connect() as connection:
        found = await connection.execute(
            sa.select(*wanted).order_by(messages.c.follow_up, messages.c.at, messages.c.step, messages.c.id)
        )
        return [tuple(row) for row in found]


TWICE = replace(
    ABANDONED_CART,
    steps=(
        Step(number=1, after=timedelta(0), template="abandoned-cart"),
        Step(
            number=2,
            after=23 * HOUR,
            template="abandoned-cart",
            coupon=Coupon(prefix="COMEBACK", worth="10 %", valid=7 * DAY),
            variants=(Variant(name="a", weight=1), Variant(name="b", weight=1)),
        ),
    ),
)


async def test_steps_go_each_in_its_time_the_second_with_a_coupon_and_a_variant_that_stay(world: World) -> None:
    world.follow_ups, world.shop = follow(TWICE), shop(caps=NO_CAP)
    await world.know()
    await world.move(abandoned(1))
    worker = world.worker()
    await drained(worker)
    assert [step[1:3] for step in await told(world)] == [(1, Status.SENT), (2, Status.PENDING)]
    await world.pass_by(23 * HOUR)
    world.server.at["DATA"] = "451 later"
    await drained(worker)
    kept = (
        messages.c.step,
        messages.c.status,
        messages.c.variant,
        messages.c.coupon_code,
        messages.c.coupon_expires_at,
    )
    _, first = await told(world, *kept)
    assert first[1] == Status.RETRY
    assert first[2] in {"a", "b"}
    assert first[3].startswith("COMEBACK-")
    assert first[4] == NOON + 23 * HOUR + 7 * DAY
    world.server.at.clear()
    await world.pass_by(HOUR)
    await drained(worker)
    assert (await told(world, *kept))[1] == (2, Status.SENT, *first[2:])
    assert len(set(world.ids)) == len(world.server.taken) == 2


async def test_an_order_between_two_steps_ends_the_second(world: World) -> None:
    world.follow_ups = follow(TWICE)
    await world.know()
    await world.move(abandoned(1))
    worker = world.worker()
    await drained(worker)
    await world.move(transition("ordered", cause="order", instance="cart-1", minutes=60))
    await world.pass_by(30 * HOUR)
    await drained(worker)
    assert [step[1:3] for step in await told(world)] == [(1, Status.SENT), (2, Status.CANCELLED)]


async def test_steps_that_come_free_together_go_in_their_order(world: World) -> None:
    world.follow_ups, world.shop = follow(replace(TWICE, max_age=3 * DAY)), shop(caps=NO_CAP)
    await world.move(abandoned(1))
    worker = world.worker()
    await drained(worker)
    await world.pass_by(24 * HOUR)
    await drained(worker)
    assert {row[3] for row in await told(world)} == {Reason.NO_ADDRESS}
    await world.know()
    await drained(worker)
    first, second = await told(world)
    assert first[2:] == (Status.SENT, None)
    assert second[2:] == (Status.PENDING, Reason.STEP_BEFORE)
    await world.pass_by(timedelta(minutes=1))
    await drained(worker)
    assert [row[2] for row in await told(world)] == [Status.SENT, Status.SENT]


async def test_two_notifiers_with_a_hundred_reminders_for_ten_customers_send_each_one_a_day_and_three_a_week(
    world: World,
) -> None:
    world.follow_ups = follow(replace(ABANDONED_CART, max_age=20 * DAY))
    for customer in range(10):
        name = f"c{customer}"
        await world.know(f"{name}@mail.example", customer=name)
        for cart in range(10):
            await world.move(abandoned(customer * 10 + cart), customer=name)
    for day in range(8):
        await asyncio.gather(*(drained(world.worker()) for _ in range(3)))
        got = Counter(mail.rcpt_tos[0] for mail in world.server.taken)
        assert set(got.values()) == {min(day + 1, 3) + (day >= 7)}
        assert len(got) == 10
        await world.pass_by(DAY)


async def test_the_caps_hold_at_the_mark_for_two_who_decided_at_the_same_moment(world: World) -> None:
    world.follow_ups = follow(ABANDONED_CART)
    await world.know()
    await world.move(abandoned(1))
    await world.move(abandoned(2))
    sends = send_to("ada@mail.example")
    capped = replace(sends, limits=replace(sends.limits, cap=Cap(day=1, week=3)))
    queues = [Queue(world.engine, sending_lease=LEASE) for _ in range(2)]
    claimed = [(await queue.claim(1, EMAIL, world.clock.now))[0] for queue in queues]
    assert len({one.message.id for one in claimed}) == 2
    marked = await asyncio.gather(
        *(
            queue.mark_sending([Mark(claimed=one, send=capped, marketing=True)], world.clock.now)
            for queue, one in zip(queues, claimed, strict=True)
        )
    )
    assert sorted(len(each) for each in marked) == [0, 1]


async def test_the_higher_priority_goes_where_there_is_room_for_one_whichever_was_due_first(world: World) -> None:
    loud = replace(ABANDONED_CART, name="loud", priority=10)
    world.follow_ups = follow(ABANDONED_CART, loud)
    await world.know()
    await world.move(abandoned(1))
    await drained(world.worker())
    assert await told(world) == [
        ("abandoned-cart", 1, Status.PENDING, Reason.OUTRANKED),
        ("loud", 1, Status.SENT, None),
    ]
    await world.pass_by(timedelta(minutes=1))
    await drained(world.worker())
    assert (await told(world))[0] == ("abandoned-cart", 1, Status.WITHHELD, Reason.CAPPED)


async def test_what_outranks_and_then_does_not_go_makes_room(world: World) -> None:
    loud = replace(ABANDONED_CART, name="loud", priority=10, holdout=0.999999)
    world.follow_ups = follow(ABANDONED_CART, loud)
    await world.know()
    await world.move(abandoned(1))
    worker = world.worker()
    await drained(worker)
    await world.pass_by(timedelta(minutes=1))
    await drained(worker)
    assert await told(world) == [
        ("abandoned-cart", 1, Status.SENT, None),
        ("loud", 1, Status.WITHHELD, Reason.HOLDOUT),
    ]


def joined(sequence: int, *moves: Transition, customer: str, other: str, part_of: str | None = None) -> CustomerTable:
    rows = [
        InstanceRow(instance=m.instance, track=m.track, key=m.key, stage=m.to_stage, since=m.at, moves=[m])
        for m in moves
    ]
    return CustomerTable(
        storefront="main-shop",
        customer_id=uid(customer),
        sequence=sequence,
        number=1,
        others=[uid(other)],
        part_of=uid(part_of) if part_of else None,
        profile=Profile(addresses={} if part_of else {"email": ADDRESS}),
        table=rows,
    )


async def test_what_a_guest_was_sent_counts_for_whom_they_turn_out_to_be(world: World) -> None:
    """Caps, cool-downs and the draw: all three go by every id that has become theirs."""
    monthly = replace(ABANDONED_CART, once_per=OncePer.CUSTOMER, cool_down=30 * DAY)
    other = replace(ABANDONED_CART, name="other")
    world.follow_ups = follow(monthly)
    await world.know(customer="guest")
    await world.move(abandoned(1), customer="guest")
    await drained(world.worker())
    assert len(world.server.taken) == 1
    await world.take(joined(world.next("guest"), customer="guest", other="ada", part_of="ada"))
    await world.take(joined(world.next("ada"), abandoned(1), customer="ada", other="guest"))
    world.follow_ups = follow(monthly, other)
    await world.pass_by(HOUR)
    await world.move(abandoned(2, minutes=1))
    await drained(world.worker())
    assert [row for row in await told(world) if row[2] != Status.SENT] == [
        ("abandoned-cart", 1, Status.WITHHELD, Reason.COOL_DOWN),
        ("other", 1, Status.PENDING, Reason.CAPPED),
    ]
    assert {row[0] for row in await told(world, messages.c.drawn_as)} == {uid("guest"), None}
    shown = (await reads.of_customer(world.engine, uid("ada"), 10)).messages
    assert {(view.follow_up, view.status) for view in shown} >= {("abandoned-cart", Status.SENT)}
    assert len(shown) == 3


async def test_an_order_on_its_own_track_ends_what_waits_and_its_retraction_lets_it_go(world: World) -> None:
    win_back = replace(
        ABANDONED_CART,
        track="lifecycle",
        stage="at_risk",
        until=Entered(track="order", stages=frozenset({"placed"})),
        once_per=OncePer.CAUSE,
        steps=(Step(number=1, after=HOUR, template="abandoned-cart"),),
    )
    world.follow_ups = follow(win_back)
    await world.know()
    await world.move(transition("at_risk", track="lifecycle", instance="life"))
    placed = transition("placed", track="order", instance="order-1", cause="o", minutes=30)
    await world.move(placed)
    await world.pass_by(2 * HOUR)
    await drained(world.worker())
    assert await told(world) == [("abandoned-cart", 1, Status.WITHHELD, Reason.ENDED)]
    await world.retract(placed)
    await drained(world.worker())
    assert (await told(world))[0][2] == Status.SENT


async def test_marketing_waits_until_they_are_no_longer_unhappy(world: World) -> None:
    world.follow_ups = follow(ABANDONED_CART, THANK_YOU)
    await world.know()
    await world.move(transition("unhappy", track="satisfaction", instance="mood", cause="s1"))
    await world.move(abandoned(1))
    await world.move(transition("placed", track="order", instance="order-1", cause="o1"))
    await drained(world.worker())
    assert [row[2:] for row in await told(world)] == [(Status.WITHHELD, Reason.MARKETING_STOPPED), (Status.SENT, None)]
    await world.move(transition("happy", track="satisfaction", instance="mood", cause="s2", minutes=5))
    await drained(world.worker())
    assert (await told(world))[0][2] == Status.SENT


async def test_who_is_reminded_at_night_is_reminded_in_the_morning(world: World) -> None:
    world.follow_ups, world.shop = follow(ABANDONED_CART), shop(quiet_hours=QuietHours(from_="21:00", to="08:00"))
    await world.know(traits={"timezone": "Australia/Sydney"})
    await world.move(abandoned(1))
    await drained(world.worker())
    assert (await told(world))[0][2:] == (Status.PENDING, Reason.QUIET_HOURS), "noon here is 23:00 in Sydney"
    await world.pass_by(8 * HOUR)
    await drained(world.worker())
    assert world.server.taken == []
    await world.pass_by(HOUR)
    await drained(world.worker())
    assert (await told(world))[0][2] == Status.SENT


async def test_who_orders_before_the_morning_is_not_reminded_in_it(world: World) -> None:
    world.follow_ups, world.shop = follow(ABANDONED_CART), shop(quiet_hours=QuietHours(from_="21:00", to="08:00"))
    await world.know(traits={"timezone": "Australia/Sydney"})
    await world.move(abandoned(1))
    worker = world.worker()
    await drained(worker)
    assert (await told(world))[0][2:] == (Status.PENDING, Reason.QUIET_HOURS)
    await world.move(transition("ordered", cause="order", instance="cart-1", minutes=60))
    await world.pass_by(DAY / 2)
    await drained(worker)
    assert ((await told(world))[0][2], world.server.taken) == (Status.CANCELLED, [])


async def test_what_can_not_be_mailed_is_posted_by_the_next_channel(world: World) -> None:
    step = replace(ABANDONED_CART.steps[0], channels=("email", "webhook"), endpoint="retargeting")
    world.follow_ups = follow(replace(ABANDONED_CART, steps=(step,)))
    world.shop = shop(endpoints={"retargeting": Endpoint(url="https://hooks.example/stagepost")})
    await world.know(None)
    await world.move(abandoned(1))
    await drained(world.worker())
    assert await told(world, messages.c.channel, messages.c.status) == [("webhook", Status.PENDING)]
    (claimed,) = await Queue(world.engine, sending_lease=LEASE).claim(1, WEBHOOK, world.clock.now)
    follow_up = world.follow_ups["abandoned-cart"]
    sends = replace(send_to("retargeting"), channel=WEBHOOK)
    ready = packed(
        Renderer(world.shop.directory), claimed, follow_up, world.shop.storefronts["main-shop"], sends, SAMPLE
    )
    assert isinstance(ready, Ready)
    assert isinstance(ready.content, Payload)
    said = msgspec.json.decode(ready.content.body)
    assert (said["timestamp"], said["data"]["follow_up"]) == ("2026-11-22T12:00:00Z", "abandoned-cart")
