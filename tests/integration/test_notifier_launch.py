"""What is not to reach customers does not: shadow, redirect and switches, on a real Postgres and a real mail server."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy

import sqlalchemy as sa

from notifier import feedback, reads, switch_store
from notifier.blast_store import BlastSettings
from notifier.channels.email import MEANT_FOR, TRIAL, EmailChannel, SmtpConnection
from notifier.delivery import Way
from notifier.followups import EMAIL, Coupon, Step
from notifier.in_force import Terms
from notifier.queue import Queue
from notifier.render import Renderer
from notifier.settings import SmtpSettings
from notifier.status import Status
from notifier.switches import BLAST_GUARD, EVERYTHING, Scope, Switch
from notifier.tables import messages, outbox, spent_claims
from notifier.worker import Worker
from services.contracts.events import SaidBy
from services.contracts.reasons import IN_WORDS, Reason
from services.contracts.storefront import Redirect
from services.postgres import transaction
from tests.integration.notifier_sending import LEASE, LINKS, SHOP, World, drained, follow, shop
from tests.unit.notifier.builders import ABANDONED_CART, NOON, transition, uid

HOUR = timedelta(hours=1)
WITH_COUPON = replace(
    ABANDONED_CART,
    steps=(
        Step(
            number=1,
            after=timedelta(0),
            template="abandoned-cart",
            coupon=Coupon(prefix="COMEBACK", worth="10 %", valid=timedelta(days=7)),
        ),
    ),
)


async def count(world: World, table: sa.Table) -> int:
    async with world.engine.connect() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def pause(world: World, scope: Scope = Scope.ALL, name: str = EVERYTHING) -> None:
    switch = Switch(scope=scope, name=name, by="ada", why="looking into it", since=world.clock.now)
    async with transaction(world.engine) as connection:
        await switch_store.pause(connection, switch, world.clock.now)


async def resume(world: World, scope: Scope = Scope.ALL, name: str = EVERYTHING) -> bool:
    async with transaction(world.engine) as connection:
        return await switch_store.resume(connection, scope, name, "ada", world.clock.now)


async def test_in_the_shadow_it_is_written_down_and_nothing_leaves(world: World) -> None:
    world.follow_ups, world.shop = follow(WITH_COUPON), shop(delivery="shadow")
    await world.know(said_by=SaidBy.BROWSER)
    await world.move(transition("abandoned"))
    await drained(world.worker())
    (told,) = (await reads.of_customer(world.engine, uid("ada"), 10)).messages
    assert (told.status, told.delivery, told.channel, told.coupon_code) == (Status.SHADOWED, Way.SHADOW, EMAIL, None)
    assert told.subject
    assert told.address
    assert "ada@" not in told.address
    assert not world.server.sessions
    assert (await count(world, spent_claims), await count(world, outbox)) == (0, 0)
    world.shop = SHOP  # what goes live counts as nothing what was shadowed: neither the claim nor the cap
    await world.move(transition("abandoned", cause="e2", instance="cart-2"))
    await drained(world.worker())
    assert sorted(status for status, _ in await world.rows()) == [Status.SENT, Status.SHADOWED]


async def test_what_is_redirected_goes_to_the_shop_and_nobody_can_act_for_the_customer_by_it(world: World) -> None:
    world.shop = shop(delivery=Redirect(redirect="team@shop.example"))
    await world.know(said_by=SaidBy.BROWSER)
    await world.move(transition("abandoned"))
    await drained(world.worker())
    (mail,) = world.server.taken
    assert mail.rcpt_tos == ["team@shop.example"]
    read = message_from_bytes(bytes(mail.original_content or b""), policy=policy.default)
    assert read["Subject"].startswith(f"{TRIAL} ")
    assert read[MEANT_FOR].endswith("@mail.example")
    assert "ada@mail.example" not in read.as_string()
    assert read["List-Unsubscribe"] is None
    (told,) = (await reads.of_customer(world.engine, uid("ada"), 10)).messages
    assert (told.status, told.delivery) == (Status.SENT, Way.REDIRECT)
    async with world.engine.connect() as connection:
        assert (
            await feedback.about(connection, told.id, world.clock.now) is None
        )  # no page of ours, and no bounce, finds it
    assert (await count(world, spent_claims), await count(world, outbox)) == (0, 0)


async def test_what_is_paused_waits_and_goes_once_it_is_resumed(world: World) -> None:
    worker = world.worker()
    await world.know()
    await world.move(transition("abandoned"))
    await pause(world, Scope.FOLLOW_UP, "abandoned-cart")
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, Reason.PAUSED)]
    (told,) = (await reads.latest(world.engine, None, 10)).messages
    assert told.reason_in_words == IN_WORDS[Reason.PAUSED]
    await world.pass_by(HOUR)
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, Reason.PAUSED)]
    assert not await resume(world)
    assert await resume(world, Scope.FOLLOW_UP, "abandoned-cart")
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_what_is_paused_beyond_its_max_age_is_not_sent_after(world: World) -> None:
    worker = world.worker()
    await world.know()
    await world.move(transition("abandoned"))
    await pause(world)
    await drained(worker)
    await world.pass_by(24 * HOUR)
    await resume(world)
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.TOO_OLD)]


async def test_of_two_switches_for_one_thing_the_first_reason_stays_and_the_later_end(world: World) -> None:
    one = Switch(scope=Scope.ALL, name=EVERYTHING, by="ada", why="first", since=NOON, until=NOON + HOUR)
    async with transaction(world.engine) as connection:
        await switch_store.pause(connection, one, NOON)
        shorter = replace(one, why="second", until=NOON + HOUR / 2)
        assert await switch_store.pause(connection, shorter, NOON) == one
        assert await switch_store.pause(connection, replace(shorter, until=None), NOON) == replace(one, until=None)
        assert await switch_store.pause(connection, shorter, NOON) == replace(one, until=None)


class PausedMeanwhile(EmailChannel):
    """Somebody pauses everything after the guard has looked, before the mark."""

    world: World

    async def open(self, wanted: int) -> Sequence[SmtpConnection]:  # type: ignore[override]
        await pause(self.world)
        return await super().open(wanted)


async def test_a_switch_counts_again_when_a_message_is_marked_sending(world: World) -> None:
    await world.know()
    await world.move(transition("abandoned"))
    smtp = SmtpSettings(host="127.0.0.1", port=world.server.port, security="none", timeout=timedelta(seconds=2))
    channel = PausedMeanwhile(smtp, world.clock)
    channel.world = world
    world.channels.append(channel)
    terms = Terms(shop=SHOP, follow_ups=world.follow_ups, renderer=Renderer(SHOP.directory), since=NOON)
    worker = Worker(Queue(world.engine, sending_lease=LEASE), EMAIL, channel, lambda: terms, LINKS, world.clock)
    assert await worker.step()
    assert await world.rows() == [(Status.PENDING, None)]
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, Reason.PAUSED)]
    assert not world.server.taken
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(messages.c.first_sending_at)) is None


async def test_two_notifiers_together_keep_to_the_bound_and_the_rest_waits_until_somebody_says_it_is_meant(
    world: World,
) -> None:
    people = [f"customer {number}" for number in range(12)]
    for person in people:
        await world.know(f"{person.replace(' ', '.')}@mail.example", customer=person)
        await world.move(transition("abandoned", cause=person, instance=f"cart of {person}"), customer=person)
    bound = BlastSettings(times=5, floor=5, days=14)
    terms = Terms(shop=SHOP, follow_ups=world.follow_ups, renderer=Renderer(SHOP.directory), since=NOON)
    workers = []
    for _ in range(2):
        smtp = SmtpSettings(host="127.0.0.1", port=world.server.port, security="none", timeout=timedelta(seconds=2))
        world.channels.append(EmailChannel(smtp, world.clock))
        queue = Queue(world.engine, sending_lease=LEASE, blast=bound)
        workers.append(Worker(queue, EMAIL, world.channels[-1], lambda: terms, LINKS, world.clock))
    await asyncio.gather(*map(drained, workers))
    assert len(world.server.taken) == 5
    assert Counter(await world.rows()) == {(Status.SENT, None): 5, (Status.PENDING, Reason.PAUSED): 7}
    async with world.engine.connect() as connection:
        (on,) = (await switch_store.load(connection, world.clock.now)).on
    assert (on.name, on.by) == ("abandoned-cart", BLAST_GUARD)
    assert on.why.startswith("5 went out")
    assert await resume(world, Scope.FOLLOW_UP, "abandoned-cart")
    await asyncio.gather(*map(drained, workers))
    assert len(world.server.taken) == 12
