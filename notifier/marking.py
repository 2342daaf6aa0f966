"""The mark `sending`: what may have changed since the guard looked is looked at again, under the customers' locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from notifier import blast_store, choices, suppression, switch_store
from notifier.beside_reads import former_ids, load_given
from notifier.blast_store import OFF, BlastSettings
from notifier.claimed import Claimed, claim_of
from notifier.claims import Caps, spend
from notifier.delivery import Way
from notifier.followups import Purpose
from notifier.guard import Send
from notifier.limits import Wish, granted
from notifier.status import Status
from notifier.tables import customers, messages
from services.postgres import among


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Wanted: from `claimed` to `sending`, if the customer is still as the guard saw them.

    `consents` are the names under which nobody must have said no to it.
    """

    claimed: Claimed
    send: Send
    marketing: bool
    consents: tuple[str, ...] = ()
    priority: int = 0
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    dated: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Whose claims may be marked, and until when they then are theirs."""

    by: UUID
    until: datetime


async def mark_sending(
    connection: AsyncConnection,
    marks: Sequence[Mark],
    hold: Hold,
    caps: Caps,
    now: datetime,
    *,
    blast: BlastSettings = OFF,
) -> dict[UUID, Marked]:
    """The customers are locked, and those whose stream has moved on since the guard looked are left claimed.

    So an order that was taken in between is seen here; and an unsubscribing, a switch, and what another notifier has
    sent them since, which may leave no room. What goes in the shadow ends here. Returns what was marked.
    """
    seen = {mark.claimed.message.id: mark for mark in marks}
    current = await connection.execute(
        sa.select(customers.c.id, customers.c.sequence)
        .where(among(customers.c.id, {mark.claimed.customer.id for mark in marks}))
        .order_by(customers.c.id)
        .with_for_update()
    )
    sequences = {row.id: row.sequence for row in current}
    switches = await switch_store.load(connection, now)
    unmoved = [
        m
        for m in marks
        if sequences.get(m.claimed.customer.id) == m.claimed.customer.sequence
        and not switches.pause(m.claimed.follow_up, m.claimed.storefront, m.send.channel)
    ]
    unmoved = await _unrefused(connection, await _unsuppressed(connection, unmoved), now)
    unmoved = await _with_room(connection, unmoved, now)
    unmoved = await blast_store.admitted(connection, unmoved, blast, now)
    claims = [claim for m in unmoved if m.send.claim and (claim := claim_of(m.claimed)) is not None]
    lost = await spend(connection, claims, caps, now)
    marked: dict[UUID, Marked] = {}
    for message_id in sorted(m.claimed.message.id for m in unmoved if m.claimed.message.id not in lost):
        row = await connection.execute(_to_sending(seen[message_id], hold, now))
        if (found := row.one_or_none()) is not None:
            marked[message_id] = Marked(dated=found.first_sending_at, attempts=found.attempts)
    return marked


def _to_sending(mark: Mark, hold: Hold, now: datetime) -> ReturningUpdate[Any]:
    send, shadow = mark.send, mark.send.way is Way.SHADOW
    coupon = None if shadow else send.coupon  # a code that nobody has must not be redeemable
    ended = sa.case((messages.c.unknowns > 0, Status.UNKNOWN), else_=Status.SHADOWED)
    return (
        sa.update(messages)
        .where(
            messages.c.id == mark.claimed.message.id,
            messages.c.status == Status.CLAIMED,
            messages.c.claimed_by == hold.by,
            messages.c.customer_id == mark.claimed.customer.id,
        )
        .values(
            status=ended if shadow else Status.SENDING,
            reason=None,
            address=send.address,
            channel=send.channel,
            delivery=send.way,
            subject=mark.subject if shadow else None,
            to_staff=send.to_staff,
            purpose=Purpose.MARKETING if mark.marketing else Purpose.TRANSACTIONAL,
            variant=send.variant,
            coupon_code=coupon.code if coupon else None,
            coupon_expires_at=coupon.expires_at if coupon else None,
            drawn_as=sa.func.coalesce(messages.c.drawn_as, send.drawn_as),
            lease_until=None if shadow else hold.until,
            first_sending_at=sa.func.coalesce(messages.c.first_sending_at, now),
            changed_at=now,
        )
        .returning(messages.c.first_sending_at, messages.c.attempts)
    )


async def _unsuppressed(connection: AsyncConnection, marks: Sequence[Mark]) -> list[Mark]:
    """By the customer's own address, also where the mail goes to another."""
    aimed = [
        (mark, suppression.place_of(mark.claimed.storefront, mark.send.meant_for or mark.send.address))
        for mark in marks
    ]
    found = await suppression.standing(connection, {place for _, place in aimed})
    return [
        mark for mark, place in aimed if found.get(place, suppression.NOTHING).against(marketing=mark.marketing) is None
    ]


async def _unrefused(connection: AsyncConnection, marks: Sequence[Mark], now: datetime) -> list[Mark]:
    """By a page of ours, since the guard looked."""
    refused = await choices.refused(connection, {mark.claimed.customer.id for mark in marks if mark.consents}, now)
    return [mark for mark in marks if refused.get(mark.claimed.customer.id, {}).keys().isdisjoint(mark.consents)]


async def _with_room(connection: AsyncConnection, marks: Sequence[Mark], now: datetime) -> list[Mark]:
    """Their customers are locked: what has been sent to them can't change before this is committed."""
    bound = [mark for mark in marks if mark.send.limits.bind]
    if not bound:
        return list(marks)
    since = now - max(mark.send.limits.looks_back for mark in bound)
    former = await former_ids(connection, {mark.claimed.customer.id for mark in bound})
    given = await load_given(connection, former, since)
    wishes = [
        Wish(
            message=mark.claimed.message.id,
            customer=mark.claimed.customer.id,
            marketing=mark.marketing,
            limits=mark.send.limits,
            priority=mark.priority,
            due_at=mark.claimed.due_at,
        )
        for mark in marks
    ]
    going = granted(wishes, given, now)
    return [mark for mark in marks if mark.claimed.message.id in going]
