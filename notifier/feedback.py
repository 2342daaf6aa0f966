"""What came back of a message: a bounce, a complaint, an answer. What it means here, and what the engine is told.

Each in the caller's transaction, so that what is suppressed and what is said of it are one.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import choices, saying
from notifier.delivery import Way
from notifier.outbox import say
from notifier.saying import About
from notifier.store import reconsider
from notifier.suppression import Why, lift, place_of, suppress
from notifier.tables import answers, customers, messages
from services.contracts.changes import Profile

_profile = msgspec.json.Decoder(Profile)


async def about(connection: AsyncConnection, message: UUID, now: datetime) -> About | None:
    """The message as it stands, with what its customer has chosen by now; None when there is none of this id.

    One that was redirected is none: whoever reads it must not answer, unsubscribe or bounce for the customer. Who has
    become part of another has that one's profile; but for the root, by which they were asked.
    """
    m = messages.c
    row = (
        await connection.execute(
            sa.select(
                m.id,
                m.storefront,
                m.follow_up,
                m.channel,
                m.customer_id,
                m.address,
                sa.func.coalesce(m.to_staff, sa.false()).label("to_staff"),
                customers.c.part_of,
                sa.cast(customers.c.profile, sa.Text).label("profile"),
            )
            .join(customers, customers.c.id == m.customer_id)
            .where(m.id == message, m.delivery.is_distinct_from(Way.REDIRECT))
        )
    ).one_or_none()
    if row is None:
        return None
    customer, profile = row.customer_id, _profile.decode(row.profile)
    if row.part_of is not None and (now_part_of := await _who_they_are(connection, customer)) is not None:
        customer, profile = now_part_of.id, replace(_profile.decode(now_part_of.profile), root=profile.root)
    chosen = await choices.chosen(connection, [customer], now)
    return About(
        message=row.id,
        storefront=row.storefront,
        follow_up=row.follow_up,
        channel=row.channel,
        customer_id=customer,
        address=row.address,
        profile=choices.with_chosen(profile, chosen.get(customer, {})),
        to_staff=row.to_staff,
    )


async def _who_they_are(connection: AsyncConnection, customer: UUID) -> Any:  # noqa: ANN401  a row of customers
    """Whom they have become part of in the end; None where what was read of it does not come to an end yet."""
    c = customers.c
    chain = sa.select(c.id, c.part_of).where(c.id == customer).cte("chain", recursive=True)
    chain = chain.union(sa.select(c.id, c.part_of).join(chain, c.id == chain.c.part_of))
    end = sa.select(chain.c.id).where(chain.c.part_of.is_(None)).scalar_subquery()
    return (
        await connection.execute(sa.select(c.id, sa.cast(c.profile, sa.Text).label("profile")).where(c.id == end))
    ).one_or_none()


async def was_sent(connection: AsyncConnection, message: UUID, now: datetime) -> None:
    found = await about(connection, message, now)
    if found is not None:
        await say(connection, [saying.sent(found, now)], now)


async def bounced(
    connection: AsyncConnection,
    found: About,
    *,
    hard: bool,
    now: datetime,
    at: datetime | None = None,
    note: str | None = None,
) -> None:
    """A hard bounce says that the address is none: nothing goes there any more. `note` is what the other side said."""
    if hard and found.address is not None:
        await suppress(
            connection,
            storefront=found.storefront,
            address=found.address,
            why=Why.HARD_BOUNCE,
            now=now,
            at=at,
            note=note,
        )
    await say(connection, [saying.bounced(found, hard=hard, now=now)], now)


async def was_refused(connection: AsyncConnection, message: UUID, answer: str, now: datetime) -> None:
    """The mail server itself said that there is no such address: a hard bounce that needed no mail back."""
    found = await about(connection, message, now)
    if found is not None:
        await bounced(connection, found, hard=True, now=now, note=answer)


async def complained(
    connection: AsyncConnection, found: About, *, now: datetime, at: datetime | None = None, note: str | None = None
) -> None:
    """It was called spam: no more marketing, whatever was consented to. The shop's own people get none of us anyway."""
    if found.address is not None and not found.to_staff:
        await suppress(
            connection, storefront=found.storefront, address=found.address, why=Why.COMPLAINT, now=now, at=at, note=note
        )
    await say(connection, [saying.complained(found, now)], now)


async def answered(
    connection: AsyncConnection, found: About, kind: str, score: int, comment: str, *, now: datetime
) -> None:
    """By the form of a survey. The same twice is one answer, however often a button is pressed."""
    which = (answers.c.message_id == found.message, answers.c.kind == kind)
    none_yet = insert(answers).values(message_id=found.message, kind=kind, number=0, event_id="")
    await connection.execute(none_yet.on_conflict_do_nothing())
    last = (await connection.execute(sa.select(answers).where(*which).with_for_update())).one()
    same, other = (
        saying.survey_answered(found, kind, score, comment, now, number=number)
        for number in (last.number, last.number + 1)
    )
    if other is None or (same is not None and same.id == last.event_id):
        return
    await connection.execute(sa.update(answers).where(*which).values(number=last.number + 1, event_id=other.id))
    await say(connection, [other], now)


async def consented(connection: AsyncConnection, found: About, name: str, *, yes: bool, now: datetime) -> None:
    """By a page of ours, to a channel. What is so already is not said again, however often a link is used.

    A no counts at once, and for mail for every customer with this address; a yes undoes an earlier no.
    """
    was_so = found.profile.consent.get(name) is yes  # held then, it would stand against what the shop hears next
    news = not was_so and await choices.choose(connection, found.customer_id, name, yes=yes, now=now)
    if news and yes:
        await reconsider(connection, [found.customer_id], now)  # the engine may hear a no and this at once: no change
    if name == "email" and found.address is not None:
        place = place_of(found.storefront, found.address)
        if yes:
            by_themselves = [Why.UNSUBSCRIBED, Why.COMPLAINT]
            lifted = await lift(connection, place=place, why=by_themselves, because="they subscribed again", now=now)
            news = news or bool(lifted)
        else:
            stops = await suppress(
                connection, storefront=found.storefront, address=found.address, why=Why.UNSUBSCRIBED, now=now
            )
            news = news or stops
    if news:
        await say(connection, [saying.consented(found, name, yes=yes, now=now)], now)
