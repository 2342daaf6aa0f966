"""From a change to a mail, on a real Postgres and a real SMTP server: what goes out, what does not, and never twice."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from notifier import catalogue_store, reads, worker
from notifier.claimed import Claimed
from notifier.followups import EMAIL
from notifier.marking import Mark
from notifier.outcomes import Delivered
from notifier.queue import CLAIM_LEASE, Queue
from notifier.status import Status
from notifier.worker import SWEEP_EVERY
from services.conditions import Condition
from services.contracts.changes import Subject
from services.contracts.events import SaidBy
from services.contracts.products import Product
from services.contracts.reasons import Reason
from services.postgres import transaction
from tests.integration.notifier_sending import LEASE, World, drained, follow
from tests.integration.notifier_world import smtp_server
from tests.unit.notifier.builders import ABANDONED_CART, THANK_YOU, changed, retracted, send_to, transition, uid

ABANDONED = transition("abandoned")
PLACED = transition("placed", track="order", instance="order-1", cause="o1")


async def test_an_abandoned_cart_is_mailed_once(world: World) -> None:
    await world.know()
    subject = Subject(items=[{"name": "Mug", "quantity": 2, "price": "18.50"}], value="37.00")
    await world.move(ABANDONED, subject=subject)
    worker = world.worker()
    await drained(worker)
    await world.pass_by(timedelta(hours=1))
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]
    (mail,) = world.server.taken
    assert mail.rcpt_tos == ["ada@mail.example"]
    assert b"37.00" in bytes(mail.original_content or b"")


class Stumbling:
    """A condition that has a bug."""

    def holds(self, _: object) -> bool:
        raise RecursionError


async def test_a_message_that_stumbles_over_a_bug_holds_up_no_other_and_is_not_tried_for_ever(world: World) -> None:
    await world.know()
    world.follow_ups = follow(replace(ABANDONED_CART, condition=cast("Condition", Stumbling())), THANK_YOU)
    await world.move(ABANDONED)
    await world.move(PLACED)
    worker = world.worker()
    await drained(worker)
    assert len(world.server.taken) == 1
    rows = await world.rows()
    assert sorted(rows) == [(Status.PENDING, Reason.STUMBLED), (Status.SENT, None)]
    await world.pass_by(timedelta(days=2))
    await drained(worker)
    assert sorted(await world.rows()) == [(Status.SENT, None), (Status.WITHHELD, Reason.TOO_OLD)]


@pytest.mark.parametrize("stumbling", ["asked_for", "place_of", "claim_of", "filled"])
async def test_what_stumbles_while_it_is_looked_up_or_filled_in_is_that_messages_own_too(
    world: World, monkeypatch: pytest.MonkeyPatch, stumbling: str
) -> None:
    """Beside one that does not, in one group: they are read together."""
    sound = getattr(worker, stumbling)

    def stumbles(given: Any, *more: Any) -> Any:  # noqa: ANN401  each of them takes something else
        subject = given.instance.subject if isinstance(given, Claimed) else given
        if subject.items[0]["name"] == "Mug":
            raise RecursionError
        return sound(given, *more)

    monkeypatch.setattr(worker, stumbling, stumbles)
    async with transaction(world.engine) as connection:
        await catalogue_store.save(connection, [Product(storefront="main-shop", product_id="p1", url="/p1")])
    await world.know()
    for number, name in enumerate(("Mug", "Bowl")):
        subject = Subject(items=[{"name": name, "product_id": "p1"}])
        placed = transition("placed", track="order", instance=f"order-{number}", cause=f"o{number}")
        await world.move(placed, subject=subject)
    await drained(world.worker())
    assert sorted(await world.rows()) == [(Status.PENDING, Reason.STUMBLED), (Status.SENT, None)]


async def test_an_order_while_the_reminder_waits_cancels_it(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    await world.move(transition("ordered", cause="order", minutes=1))
    await drained(world.worker())
    assert await world.rows() == [(Status.CANCELLED, None)]
    assert world.server.taken == []


async def test_an_order_while_the_reminder_is_claimed_stops_it_at_the_mark(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    queue = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await queue.claim(10, EMAIL, world.clock.now)
    await world.move(transition("ordered", cause="order", minutes=1))
    assert await queue.mark_sending([mark(claimed)], world.clock.now) == {}
    assert await world.rows() == [(Status.CANCELLED, None)]


async def test_whatever_happens_to_the_customer_after_the_guard_looked_is_looked_at_again(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    queue = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await queue.claim(10, EMAIL, world.clock.now)
    await world.know(consent={"email": False})
    assert await queue.mark_sending([mark(claimed)], world.clock.now) == {}
    await world.pass_by(CLAIM_LEASE * 2)
    await drained(world.worker())
    assert await world.rows() == [(Status.WITHHELD, Reason.CONSENT_WITHDRAWN)]
    assert world.server.taken == []


def mark(claimed: Claimed) -> Mark:
    return Mark(claimed=claimed, send=send_to("ada@mail.example"), marketing=True)


async def test_marketing_that_was_being_sent_when_its_process_died_is_unknown_and_not_sent_again(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    died = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await died.claim(10, EMAIL, world.clock.now)
    assert await died.mark_sending([mark(claimed)], world.clock.now)
    await drained(world.worker())
    assert await world.rows() == [(Status.SENDING, None)], "its lease still runs"
    await world.pass_by(LEASE * 2)
    await drained(world.worker())
    assert await world.rows() == [(Status.UNKNOWN, None)]
    await world.take(retracted(world.next(), ABANDONED, None))
    await world.move(ABANDONED)
    await drained(world.worker())
    assert await world.rows() == [(Status.UNKNOWN, None)]
    assert world.server.taken == []


async def test_a_thank_you_of_unknown_outcome_is_sent_once_more_under_the_same_message_id(world: World) -> None:
    await world.know()
    await world.move(PLACED)
    world.server.drop_at = "DATA"
    worker = world.worker()
    for _ in range(4):
        await drained(worker)
        await world.pass_by(timedelta(minutes=5))
    assert await world.rows() == [(Status.UNKNOWN, None)]
    assert len(world.ids) == 2
    assert len(set(world.ids)) == 1


async def test_an_order_after_the_unknown_mail_that_is_to_be_sent_again_leaves_it_unknown(world: World) -> None:
    await world.know()
    await world.move(PLACED)
    world.server.drop_at = "DATA"
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.RETRY, None)]
    await world.move(transition("cancelled", track="order", instance="order-1", cause="o2", minutes=1))
    await world.pass_by(timedelta(minutes=5))
    await drained(worker)
    assert await world.rows() == [(Status.UNKNOWN, Reason.VOID)]
    assert len(world.ids) == 1


async def test_a_refused_mail_is_tried_again_under_the_same_message_id_and_date(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    world.server.at["DATA"] = "451 later"
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.RETRY, None)]
    world.server.at.clear()
    await drained(worker)
    assert world.ids == [], "not before its pause is over"
    await world.pass_by(timedelta(minutes=1))
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]
    (found,) = (await reads.latest(world.engine, None, 10)).messages
    assert (found.attempts, found.maybe_twice, found.address) == (2, False, "a…@mail.example")


async def test_an_order_between_two_attempts_ends_the_reminder(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    world.server.at["RCPT"] = "450 busy"
    worker = world.worker()
    await drained(worker)
    await world.move(transition("ordered", cause="order", minutes=1))
    world.server.at.clear()
    await world.pass_by(timedelta(hours=1))
    await drained(worker)
    assert await world.rows() == [(Status.CANCELLED, None)]
    assert world.server.taken == []


async def test_a_lasting_refusal_is_dead(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    world.server.at["RCPT"] = "550 <ada@mail.example> is unknown"
    await drained(world.worker())
    (found,) = (await reads.of_customer(world.engine, uid("ada"), 10)).messages
    assert (found.status, found.answer) == (Status.DEAD, "550 <a…@mail.example> is unknown")


async def test_while_the_server_is_away_messages_wait_and_lose_no_attempt(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    async with smtp_server() as gone:
        port = gone.port
    away = world.worker(port=port)
    await drained(away)
    await world.pass_by(timedelta(minutes=10))
    await drained(away)
    assert await world.rows() == [(Status.PENDING, None)]
    await drained(world.worker())
    assert await world.rows() == [(Status.SENT, None)]


async def test_nothing_goes_out_while_one_partition_is_behind(world: World) -> None:
    await world.know()
    await world.take(changed(world.next(), ABANDONED), stale=True)
    world.clock.pass_by(timedelta(seconds=61))
    await world.take(partitions=5)
    worker = world.worker()
    assert not await worker.step()
    await world.take()
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_an_order_that_lay_unread_while_nothing_was_fresh_still_stops_the_reminder(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    world.clock.pass_by(timedelta(minutes=5))
    worker = world.worker()
    assert not await worker.step()
    await world.move(transition("ordered", cause="order", minutes=1))
    await drained(worker)
    assert world.server.taken == []


async def test_a_reminder_waits_until_all_is_known_up_to_when_it_fell_due(world: World) -> None:
    """Fault 32: the engine stands still, all seems fresh, and an order from before the due time lies unread."""
    await world.know()
    await world.move(transition("abandoned", minutes=1))
    worker = world.worker()
    await world.pass_by(timedelta(seconds=50))
    await drained(worker)
    world.clock.pass_by(timedelta(seconds=20))
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, None)]
    await world.move(transition("ordered", cause="order", minutes=1))
    await drained(worker)
    assert (await world.rows(), world.server.taken) == ([(Status.CANCELLED, None)], [])


async def test_a_notifier_that_begins_first_hears_what_came_while_it_was_away(world: World) -> None:
    """It has a backlog, of which the last word before it went is fresh enough for one that was there all along."""
    await world.know()
    await world.move(ABANDONED)
    world.clock.pass_by(timedelta(seconds=30))
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, None)]
    await world.take(partitions=5)
    await drained(worker)
    assert await world.rows() == [(Status.PENDING, None)], "one partition may hold the order"
    await world.take()
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_without_an_address_it_waits_for_one_within_its_max_age(world: World) -> None:
    await world.move(ABANDONED)
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.NO_ADDRESS)]
    await world.pass_by(timedelta(hours=3))
    await world.know()
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_an_address_that_comes_after_max_age_gets_nothing(world: World) -> None:
    await world.move(ABANDONED)
    worker = world.worker()
    await drained(worker)
    await world.pass_by(timedelta(hours=25))
    await world.know()
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.NO_ADDRESS)]
    assert world.server.taken == []


async def test_a_hold_keeps_mail_back_until_it_is_lifted(world: World) -> None:
    await world.know(hold="broken")
    await world.move(ABANDONED)
    worker = world.worker()
    await drained(worker)
    assert await world.rows() == [(Status.WITHHELD, Reason.ON_HOLD)]
    await world.know()
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_a_claimed_address_gets_one_mail_whoever_claims_it(world: World) -> None:
    for number in range(3):
        name = f"guest-{number}"
        await world.know(customer=name, said_by=SaidBy.BROWSER)
        await world.move(transition("abandoned", cause=f"e{number}", instance=f"cart-{number}"), customer=name)
    worker = world.worker()
    await drained(worker)
    await world.pass_by(CLAIM_LEASE * 2)
    await drained(worker)
    assert len(world.server.taken) == 1
    assert sorted(await world.rows(), key=str) == [
        (Status.SENT, None),
        *[(Status.WITHHELD, Reason.CLAIM_SPENT)] * 2,
    ]


async def test_a_customer_gets_one_mail_however_many_addresses_are_claimed(world: World) -> None:
    for number in range(3):
        await world.know(f"victim-{number}@mail.example", said_by=SaidBy.BROWSER)
        await world.move(transition("abandoned", cause=f"e{number}", instance=f"cart-{number}"))
        await drained(world.worker())
    assert len(world.server.taken) == 1


async def test_an_address_that_a_server_repeats_is_a_claim_no_longer(world: World) -> None:
    await world.know(said_by=SaidBy.BROWSER)
    await world.move(ABANDONED)
    await world.move(PLACED)
    worker = world.worker()
    await drained(worker)
    assert len(world.server.taken) == 1
    await world.know()
    await drained(worker)
    assert len(world.server.taken) == 2


async def test_a_claim_whose_process_died_is_taken_up_again(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    assert len(await Queue(world.engine, sending_lease=LEASE).claim(10, EMAIL, world.clock.now)) == 1
    worker = world.worker()
    await drained(worker)
    assert world.server.taken == []
    await world.pass_by(CLAIM_LEASE + SWEEP_EVERY)
    await drained(worker)
    assert await world.rows() == [(Status.SENT, None)]


async def test_two_workers_share_the_mail_and_none_is_sent_twice(world: World) -> None:
    for number in range(40):
        await world.know(f"c{number}@mail.example", customer=f"c{number}")
        await world.move(transition("abandoned", cause=f"e{number}", instance=f"i{number}"), customer=f"c{number}")
    await asyncio.gather(*(drained(world.worker()) for _ in range(3)))
    assert sorted(mail.rcpt_tos[0] for mail in world.server.taken) == sorted(f"c{n}@mail.example" for n in range(40))
    summary = await reads.summary(world.engine)
    assert summary.follow_ups == {"abandoned-cart": {"sent": 40}}


async def test_an_outcome_that_comes_after_the_lease_corrects_the_unknown(world: World) -> None:
    await world.know()
    await world.move(ABANDONED)
    slow = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await slow.claim(10, EMAIL, world.clock.now)
    await slow.mark_sending([mark(claimed)], world.clock.now)
    await world.pass_by(LEASE * 2)
    await drained(world.worker())
    assert await world.rows() == [(Status.UNKNOWN, None)]
    await slow.record(claimed.message.id, Delivered(answer="250"), resend_unknown=False, now=world.clock.now)
    assert await world.rows() == [(Status.SENT, None)]


async def test_an_address_that_the_server_does_not_have_gets_nothing_more(world: World) -> None:
    await world.know()
    await world.move(PLACED)
    world.server.at["RCPT"] = "550 5.1.1 <ada@mail.example> no such user"
    worker = world.worker()
    await drained(worker)
    world.server.at.clear()
    await world.move(transition("placed", track="order", instance="order-2", cause="o2"))
    await drained(worker)
    assert sorted(await world.rows(), key=str) == [(Status.DEAD, None), (Status.WITHHELD, Reason.SUPPRESSED)]
    assert world.server.taken == []


async def test_a_domain_that_is_paced_gets_its_mail_bit_by_bit_and_holds_up_nobody_elses(world: World) -> None:
    for number in range(12):
        domain = "gmail.com" if number < 10 else "mail.example"
        await world.know(f"c{number}@{domain}", customer=f"c{number}")
        await world.move(transition("abandoned", cause=f"e{number}", instance=f"i{number}"), customer=f"c{number}")
    worker = world.worker(pace={"gmail.com": 2})
    await drained(worker)
    to = [mail.rcpt_tos[0].rpartition("@")[2] for mail in world.server.taken]
    assert sorted(to) == ["gmail.com"] * 2 + ["mail.example"] * 2
    assert [row for row in await world.rows() if row[0] == Status.PENDING] == [(Status.PENDING, Reason.PACED)] * 8
    for _ in range(10):
        await world.pass_by(timedelta(seconds=1))
        await drained(worker)
    assert len(world.server.taken) == 12
