"""What operators may ask about messages: a row each, never an address in full."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.addresses import masked
from notifier.beside_reads import former_ids
from notifier.delivery import Way
from notifier.followups import EMAIL
from notifier.status import Status
from notifier.tables import messages
from services.contracts.reasons import in_words
from services.postgres import among


class MessageView(BaseModel):
    """`address` is masked, or an endpoint's name. `subject` is kept of what went nowhere.

    `to_staff`: it went to the shop's own people, about the customer.

    `maybe_twice`: one of unknown outcome was followed by another.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    storefront: str
    follow_up: str
    step: int
    variant: str | None
    coupon_code: str | None
    customer_id: UUID
    channel: str
    to_staff: bool
    delivery: Way | None
    subject: str | None
    status: Status
    reason: str | None
    reason_in_words: str | None
    answer: str | None
    address: str | None
    at: datetime
    due_at: datetime
    expires_at: datetime
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    maybe_twice: bool


class MessageList(BaseModel):
    messages: list[MessageView]


class Summary(BaseModel):
    """Counts by follow-up and status."""

    follow_ups: dict[str, dict[str, int]]


async def of_customer(engine: AsyncEngine, customer: UUID, limit: int) -> MessageList:
    """Also those that went to them under an id that has become theirs."""
    async with engine.connect() as connection:
        former = await former_ids(connection, [customer])
    return await _read(engine, among(messages.c.customer_id, {customer, *former}), limit)


async def latest(engine: AsyncEngine, status: Status | None, limit: int) -> MessageList:
    return await _read(engine, sa.true() if status is None else messages.c.status == status, limit)


async def summary(engine: AsyncEngine) -> Summary:
    counted = sa.select(messages.c.follow_up, messages.c.status, sa.func.count()).group_by(
        messages.c.follow_up, messages.c.status
    )
    async with engine.connect() as connection:
        found = await connection.execute(counted.order_by(messages.c.follow_up, messages.c.status))
    follow_ups: dict[str, dict[str, int]] = {}
    for follow_up, status, count in found:
        follow_ups.setdefault(follow_up, {})[status] = count
    return Summary(follow_ups=follow_ups)


async def _read(engine: AsyncEngine, which: sa.ColumnElement[bool], limit: int) -> MessageList:
    async with engine.connect() as connection:
        found = await connection.execute(
            sa.select(messages).where(which).order_by(messages.c.created_at.desc(), messages.c.id).limit(limit)
        )
    return MessageList(messages=[_view(row) for row in found])


def _view(row: Any) -> MessageView:  # noqa: ANN401  a row of messages
    return MessageView(
        id=row.id,
        storefront=row.storefront,
        follow_up=row.follow_up,
        step=row.step,
        variant=row.variant,
        coupon_code=row.coupon_code,
        customer_id=row.customer_id,
        channel=row.channel,
        to_staff=bool(row.to_staff),
        delivery=row.delivery,
        subject=row.subject,
        status=Status(row.status),
        reason=row.reason,
        reason_in_words=in_words(row.reason),
        answer=row.answer,
        address=masked(row.address) if row.address and row.channel == EMAIL else row.address,
        at=row.at,
        due_at=row.due_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        maybe_twice=row.unknowns > 0 and row.attempts > 1,
    )
