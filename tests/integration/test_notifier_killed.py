"""kill -9 of a notifier, wherever it was: nothing is received twice, and what nobody can know says so."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
import pytest
from faults_proxy import Proxy, Trap

from notifier.followups import FollowUps
from notifier.intake import Batch, take_in
from services.contracts.changes import Address, CustomerUpdated, Profile
from services.contracts.events import SaidBy
from services.postgres import create_engine, transaction
from services.settings import PostgresSettings
from tests.integration.notifier_process import PARTS, Notifier, Notifiers, Sink, sink
from tests.unit.notifier.builders import FOLLOW_UPS, changed, transition, uid

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

MANY = 20_000
AT_ONCE = 1_000
CONNECTIONS = 10


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack of our own, whose notifiers are ours to kill."""
    stack = start_stack("--only", PARTS, "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture(autouse=True)
async def nothing_is_planned(notifiers: Notifiers) -> None:
    await notifiers.sql("DELETE FROM notifier.messages")


async def plan(ground: Stack, names: list[str], follow_ups: FollowUps = FOLLOW_UPS) -> None:
    """A cart that each of these customers has just abandoned, taken in as the intake does."""
    engine = create_engine(PostgresSettings(dsn=ground.endpoints["postgres"]), application="test")
    now = datetime.now(UTC)
    for first in range(0, len(names), AT_ONCE):
        batch = Batch()
        for name in names[first : first + AT_ONCE]:
            address = Address(value=f"{name}@mail.example", said_by=SaidBy.SERVER)
            move = msgspec.structs.replace(transition("abandoned", cause=name, instance=f"cart-{name}"), at=now)
            abandoned = msgspec.structs.replace(changed(2, move, customer=name), storefront="test-shop")
            known = CustomerUpdated(
                storefront="test-shop",
                customer_id=uid(name),
                sequence=1,
                profile=Profile(addresses={"email": address}),
            )
            batch.changes += [known, abandoned]
        async with transaction(engine) as connection:
            await take_in(connection, batch, follow_ups, now)
    await engine.dispose()


@pytest.mark.long
async def test_of_twenty_thousand_none_comes_twice_though_one_of_two_notifiers_is_killed(
    ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    """The one that is killed has a mail server of its own, which leaves it without an answer on every connection."""
    began = datetime.now(UTC)
    await plan(ground, [f"c{number}" for number in range(MANY)])
    planned = datetime.now(UTC)
    async with sink() as beside:
        connections = str(CONNECTIONS)
        # So many of a follow-up within an hour are meant, here.
        killed = await notifiers.start(beside, SMTP__CONNECTIONS=connections, BLAST__TIMES="0")
        await notifiers.start(smtp, SMTP__CONNECTIONS=connections, BLAST__TIMES="0")

        def received() -> Counter[str]:
            return smtp.received + beside.received

        async def half_are_there() -> bool:
            return received().total() >= MANY / 2

        await eventually(half_are_there, within=1200)
        in_hand = 0

        async def give_no_answer() -> None:
            nonlocal in_hand
            in_hand += 1
            await asyncio.Event().wait()

        async def all_wait_for_an_answer() -> bool:
            return in_hand == CONNECTIONS

        beside.before["DATA"] = give_no_answer
        await eventually(all_wait_for_an_answer, within=60)
        await killed.kill()

        async def all_are_settled() -> bool:
            return set(await notifiers.statuses()) <= {"sent", "unknown"}

        await eventually(all_are_settled, within=1200)
        sent_in = datetime.now(UTC) - planned
        statuses = await notifiers.statuses()
        twice = [message for message, times in received().items() if times > 1]
        print(  # noqa: T201  the figures of the proof
            f"{MANY} messages, planned in {planned - began}, sent in {sent_in}: {dict(statuses)}, "
            f"{received().total()} received, {len(twice)} twice"
        )
        assert statuses.total() == MANY
        assert 0 < statuses["unknown"] <= CONNECTIONS
        assert twice == []
        sent = {str(row["id"]) for row in await notifiers.sql("SELECT id FROM notifier.messages WHERE status = 'sent'")}
        assert sent <= received().keys(), "what is called sent has arrived"
        recipients = smtp.recipients + beside.recipients
        assert recipients.total() == len(recipients), "nobody has two"


MARKS = b"first_sending_at=coalesce("
RECORDS = b"SELECT notifier.messages.status, notifier.messages.attempts"


@pytest.fixture
async def postgres_proxy(notifiers: Notifiers) -> AsyncIterator[Proxy]:
    proxy = notifiers.proxy()
    await proxy.start()
    yield proxy
    await proxy.close()


async def test_killed_before_it_said_MAIL_nothing_came_and_nobody_is_told_that_it_did(  # noqa: N802  SMTP's word
    ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    """Fault 4."""
    await plan(ground, ["before-mail"])
    first = await notifiers.start(smtp)
    smtp.before["MAIL"] = first.kill
    await ended_as("unknown", notifiers, smtp, eventually, first)
    assert smtp.received.total() == 0


async def test_killed_after_the_final_dot_it_came_once(
    ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually
) -> None:
    """Fault 4: the server has it, and its yes is on the way."""
    await plan(ground, ["after-the-dot"])
    first = await notifiers.start(smtp)
    smtp.before["DATA"] = first.kill
    await ended_as("unknown", notifiers, smtp, eventually, first)
    assert list(smtp.received.values()) == [1]


async def test_killed_after_the_servers_yes_and_before_it_was_written_it_came_once(
    ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually, postgres_proxy: Proxy
) -> None:
    """Fault 4."""
    await plan(ground, ["after-250"])
    first = await notifiers.start(smtp, postgres=postgres_proxy)
    trap = postgres_proxy.set(Trap(words=RECORDS, act=first.kill))
    await asyncio.wait_for(trap.sprung.wait(), 120)
    await ended_as("unknown", notifiers, smtp, eventually, first)
    assert list(smtp.received.values()) == [1]


async def test_killed_before_its_mark_was_written_it_is_still_to_go(
    ground: Stack, notifiers: Notifiers, smtp: Sink, eventually: Eventually, postgres_proxy: Proxy
) -> None:
    """Fault 4: up to the mark another may take it over."""
    await plan(ground, ["before-the-mark"])
    first = await notifiers.start(smtp, postgres=postgres_proxy)
    trap = postgres_proxy.set(Trap(words=MARKS, act=first.kill))
    await asyncio.wait_for(trap.sprung.wait(), 120)
    await ended_as("sent", notifiers, smtp, eventually, first)
    assert list(smtp.received.values()) == [1]


async def ended_as(status: str, notifiers: Notifiers, smtp: Sink, eventually: Eventually, first: Notifier) -> None:
    """After the one that was killed another comes, and finds what it left."""
    await asyncio.wait_for(first.process.wait(), 120)
    smtp.before.clear()
    await notifiers.start(smtp)

    async def is_settled() -> bool:
        return await notifiers.statuses() == {status: 1}

    await eventually(is_settled, within=120)
