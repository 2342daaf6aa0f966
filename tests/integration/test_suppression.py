"""What stands against an address stops what is queued; what lifts it lets that go on. On a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from notifier import feedback, reads, saying
from notifier.bounces.report import Bounced, Complained
from notifier.bounces.routes import taken
from notifier.choices import HELD, choose
from notifier.followups import EMAIL
from notifier.marking import Mark
from notifier.outbox import Outbox, say
from notifier.queue import CLAIM_LEASE, Queue
from notifier.status import Status
from notifier.suppression import Scope, Why, lift, place_of, standing, suppress
from notifier.tables import messages, outbox
from services.contracts.changes import Root
from services.contracts.events import Event, decode_event
from services.contracts.reasons import Reason
from services.kafka import Sender
from services.postgres import transaction
from services.settings import KafkaSettings
from tests.integration.notifier_sending import LEASE, World, drained
from tests.unit.notifier.builders import FOLLOW_UPS, THANK_YOU, send_to, transition, uid

ADA = "ada@mail.example"
KNOWN = Root(kind="user_id", value="u1")
ABANDONED = transition("abandoned")
PLACED = transition("placed", track="order", instance="order-1", cause="o1")


async def against(world: World, why: Why, address: str = ADA) -> None:
    async with transaction(world.engine) as connection:
        await suppress(connection, storefront="main-shop", address=address, why=why, now=world.clock.now)


async def choose_for_ada(world: World, *, yes: bool) -> None:
    async with transaction(world.engine) as connection:
        await choose(connection, uid("ada"), "email", yes=yes, now=world.clock.now)


async def lifted(world: World, *why: Why) -> list[Why]:
    async with transaction(world.engine) as connection:
        place = place_of("main-shop", ADA)
        return await lift(connection, place=place, why=why or list(Why), because="a test", now=world.clock.now)


async def said(world: World) -> list[Event]:
    async with world.engine.connect() as connection:
        return [decode_event(value) for value in await connection.scalars(sa.select(outbox.c.value))]


def tell_staff(world: World, address: str) -> None:
    """The thanks go to the shop's own people, and are said of the customer to them; the reminder to the customer."""
    told = tuple(replace(step, to_staff=True) for step in THANK_YOU.steps)
    world.follow_ups = {**FOLLOW_UPS, THANK_YOU.name: replace(THANK_YOU, steps=told)}
    storefronts = world.shop.storefronts.items()
    staffed = {name: msgspec.structs.replace(one, staff=address) for name, one in storefronts}
    world.shop = replace(world.shop, storefronts=staffed)


@pytest.mark.parametrize("why", Why)
async def test_a_queued_reminder_is_withheld_and_the_message_says_for_what(world: World, why: Why) -> None:
    await world.know()
    await world.move(ABANDONED)
    await against(world, why, "ADA@Mail.example")
    await drained(world.worker())
    assert await world.rows() == [(Status.WITHHELD, Reason.SUPPRESSED)]
    async with world.engine.connect() as connection:
        assert await connection.scalar(sa.select(messages.c.answer)) == why
    assert world.server.taken == []


async def test_what_is_for_the_shops_own_people_is_withheld_where_they_have_no_such_address(world: World) -> None:
    tell_staff(world, "gone@shop.example")
    await world.know()
    await world.move(PLACED)
    await against(world, Why.HARD_BOUNCE, "gone@shop.example")
    async with asyncio.timeout(10):
        await drained(world.worker())
    assert await world.rows() == [(Status.WITHHELD, Reason.SUPPRESSED)]


async def test_what_becomes_of_a_mail_to_the_shops_own_people_is_nothing_that_the_customer_did(world: World) -> None:
    tell_staff(world, "service@shop.example")
    await world.know(root=KNOWN)
    await world.move(PLACED)
    await drained(world.worker())
    (told,) = (await reads.of_customer(world.engine, uid("ada"), 10)).messages
    assert (told.status, told.to_staff) == (Status.SENT, True)
    reports = [Bounced(message=told.id, hard=True, note="5.1.1"), Complained(message=told.id, note="spam")]
    assert (await taken(world.engine, reports, "dsn", world.clock.now)).known == len(reports)
    async with transaction(world.engine) as connection:
        found = await feedback.about(connection, told.id, world.clock.now)
        assert found is not None
        await say(connection, [saying.opened(found, world.clock.now)], world.clock.now)
        stands = await standing(connection, [place_of("main-shop", ADA), place_of("main-shop", "service@shop.example")])
    assert await said(world) == []
    assert {place: one.by_scope for place, one in stands.items()} == {
        place_of("main-shop", "service@shop.example"): {Scope.ALL: Why.HARD_BOUNCE}
    }
    await world.move(ABANDONED)
    await drained(world.worker())
    assert [mail.rcpt_tos for mail in world.server.taken] == [["service@shop.example"], [ADA]]
    assert [event.name for event in await said(world)] == ["Message Sent"]


async def test_a_server_that_knows_no_such_person_of_the_shops_own_says_nothing_of_the_customer(world: World) -> None:
    tell_staff(world, "gone@shop.example")
    world.server.at["RCPT"] = "550 5.1.1 no such user"
    await world.know(root=KNOWN)
    await world.move(PLACED)
    await drained(world.worker())
    assert [status for status, _ in await world.rows()] == [Status.DEAD]
    async with world.engine.connect() as connection:
        stands = await standing(connection, [place_of("main-shop", ADA), place_of("main-shop", "gone@shop.example")])
    assert list(stands) == [place_of("main-shop", "gone@shop.example")]
    assert await said(world) == []


@pytest.mark.parametrize(("why", "goes"), [(Why.UNSUBSCRIBED, True), (Why.COMPLAINT, True), (Why.HARD_BOUNCE, False)])
async def test_an_order_is_thanked_for_but_not_at_an_address_that_is_none(world: World, why: Why, goes: bool) -> None:  # noqa: FBT001  a table's column
    await world.know()
    await world.move(PLACED)
    await against(world, why)
    await drained(world.worker())
    assert len(world.server.taken) == goes


async def test_one_that_comes_after_the_guard_looked_is_seen_at_the_mark(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    queue = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await queue.claim(10, EMAIL, world.clock.now)
    await against(world, Why.UNSUBSCRIBED)
    marks = [Mark(claimed=claimed, send=send_to(ADA), marketing=True)]
    assert await queue.mark_sending(marks, world.clock.now) == {}
    await world.pass_by(CLAIM_LEASE * 2)
    await drained(world.worker())
    assert await world.rows() == [(Status.WITHHELD, Reason.SUPPRESSED)]


async def test_a_no_on_a_page_counts_before_the_engine_has_heard_of_it(world: World) -> None:
    await world.know(consent={"email": True})
    await world.move(ABANDONED)
    queue = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await queue.claim(10, EMAIL, world.clock.now)
    await choose_for_ada(world, yes=False)
    marks = [Mark(claimed=claimed, send=send_to(ADA), marketing=True, consents=("email",))]
    assert await queue.mark_sending(marks, world.clock.now) == {}, "seen at the mark"
    await world.pass_by(CLAIM_LEASE * 2)
    await drained(world.worker())
    assert await world.rows() == [(Status.WITHHELD, Reason.CONSENT_WITHDRAWN)], "and by the guard"
    await world.move(PLACED)
    await drained(world.worker())
    assert [mail.rcpt_tos for mail in world.server.taken] == [[ADA]], "what is no marketing goes"


async def test_a_yes_on_a_page_waits_for_the_engine_and_overrules_no_later_word_of_the_shop(world: World) -> None:
    await choose_for_ada(world, yes=True)
    await world.know(consent={"email": False})
    await world.move(ABANDONED)
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.CONSENT_WITHDRAWN)]
    await world.know(consent={"email": True})
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_what_a_no_kept_back_goes_on_once_it_is_held_no_more_and_the_engine_never_said_it(world: World) -> None:
    nowhere = Sender(KafkaSettings(bootstrap_servers="nowhere.invalid:9092"), client_id="test")  # nothing is to be said
    await world.know(consent={"email": True})
    await choose_for_ada(world, yes=False)
    await world.move(ABANDONED)
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.CONSENT_WITHDRAWN)]
    for passes, status in ((HELD - timedelta(seconds=1), Status.WITHHELD), (timedelta(seconds=1), Status.SENT)):
        await world.pass_by(passes)
        assert not await Outbox(world.engine, nowhere, world.clock).step()
        await drained(worker)
        assert [found for found, _ in await world.rows()] == [status]


async def test_another_customer_with_the_address_is_left_alone_too_and_another_address_is_not(world: World) -> None:
    await world.know(customer="guest")
    await world.know("bob@mail.example", customer="bob")
    await against(world, Why.UNSUBSCRIBED)
    await world.move(transition("abandoned", instance="cart-2", cause="e2"), customer="guest")
    await world.move(transition("abandoned", instance="cart-3", cause="e3"), customer="bob")
    await drained(world.worker())
    assert [mail.rcpt_tos for mail in world.server.taken] == [["bob@mail.example"]]


async def test_what_was_kept_back_goes_on_once_it_is_lifted(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    await against(world, Why.OPERATOR)
    worker = world.worker()
    await drained(worker)
    assert await lifted(world, Why.UNSUBSCRIBED) == []
    assert await lifted(world) == [Why.OPERATOR]
    assert await lifted(world) == []
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


@pytest.mark.parametrize("order", [(Why.UNSUBSCRIBED, Why.COMPLAINT), (Why.COMPLAINT, Why.UNSUBSCRIBED)])
async def test_whoever_unsubscribed_and_complained_has_complained(world: World, order: tuple[Why, Why]) -> None:
    """Whichever came first: to subscribe again lifts the one and not the other."""
    for why in order:
        await against(world, why)
    assert await lifted(world, Why.UNSUBSCRIBED) == []
    assert await lifted(world, Why.COMPLAINT) == [Why.COMPLAINT]


async def test_one_that_was_lifted_can_stand_again_for_another_reason(world: World) -> None:
    await against(world, Why.OPERATOR)
    await lifted(world)
    await against(world, Why.HARD_BOUNCE)
    assert await lifted(world) == [Why.HARD_BOUNCE]


async def test_a_yes_that_comes_after_a_no_lifts_the_no_and_a_yes_that_is_older_does_not(world: World) -> None:
    await world.know(consent={"email": True})
    await world.move(ABANDONED)
    await against(world, Why.UNSUBSCRIBED)
    worker = world.worker()
    await world.know(consent={"email": True}, traits={"news": "of something else"})
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.SUPPRESSED)]
    await world.know(consent={"email": False})
    await world.know(consent={"email": True})
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_what_was_sent_is_said_once_of_the_customers_root(world: World) -> None:
    await world.know(root=KNOWN)
    await world.move(PLACED)
    await drained(world.worker())
    (event,) = await said(world)
    assert (event.name, event.who.user_id, event.who.email) == ("Message Sent", "u1", None)
    assert (event.properties["follow_up"], event.properties["channel"]) == ("thank-you", "email")


async def test_of_who_was_never_named_nothing_is_said_and_the_mail_goes_all_the_same(world: World) -> None:
    await world.know()
    await world.move(PLACED)
    await drained(world.worker())
    assert await world.rows() == [(Status.SENT, None)]
    assert await said(world) == []
