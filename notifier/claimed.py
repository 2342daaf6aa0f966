"""A claimed message with all that is known of it: what the guard decides by, and what is handed over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import choices, suppression
from notifier.addresses import deliverable, fingerprint
from notifier.claims import Claim
from notifier.guard import Message
from notifier.holdings import Customer, Instance
from notifier.store import CUSTOMER_COLUMNS, INSTANCE_COLUMNS, as_text, customer_of, instance_of
from notifier.tables import customers, instances, messages
from services.contracts.changes import Subject
from services.contracts.events import SaidBy
from services.postgres import among


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message with all that is known of it, read at one moment."""

    message: Message
    storefront: str
    follow_up: str
    channel: str
    attempts: int
    unknowns: int
    due_at: datetime
    first_sending_at: datetime | None
    customer: Customer
    instance: Instance

    def about(self, subject: Subject) -> "Claimed":
        return replace(self, instance=replace(self.instance, subject=subject))


def claim_of(claimed: Claimed) -> Claim | None:
    """What this message would use up; None where a server said the address."""
    given = claimed.customer.profile.addresses.get("email")
    if given is None or given.said_by is not SaidBy.BROWSER:
        return None
    return Claim(
        message=claimed.message.id,
        storefront=claimed.storefront,
        customer=claimed.customer.id,
        address=fingerprint(deliverable(given.value) or given.value),
        network=given.network,
    )


def place_of(claimed: Claimed, staff: str | None) -> suppression.Place | None:
    """What may stand against it stands there. `staff` is who gets it in place of the customer, where somebody does."""
    given = claimed.customer.profile.addresses.get("email")
    address = staff if staff is not None else given.value if given is not None else None
    return None if address is None else suppression.place_of(claimed.storefront, address)


async def load_claimed(connection: AsyncConnection, ids: Collection[UUID], now: datetime) -> list[Claimed]:
    """With what their customers have refused by now."""
    if not ids:
        return []
    names = (
        "id",
        "step",
        "transition",
        "occasion",
        "variant",
        "coupon_expires_at",
        "storefront",
        "follow_up",
        "channel",
        "attempts",
        "unknowns",
        "at",
        "due_at",
        "expires_at",
        "first_sending_at",
    )
    of_message = [messages.c[name].label(f"message_{name}") for name in names]
    found = await connection.execute(
        sa.select(*of_message, *as_text(INSTANCE_COLUMNS), *as_text(CUSTOMER_COLUMNS))
        .select_from(messages)
        .join(instances, instances.c.instance == messages.c.instance)
        .join(customers, customers.c.id == messages.c.customer_id)
        .where(among(messages.c.id, ids))
        .order_by(messages.c.due_at)
    )
    read = found.all()
    refused = await choices.refused(connection, {row.id for row in read}, now)
    return [
        Claimed(
            message=Message(
                id=row.message_id,
                step=row.message_step,
                transition=row.message_transition,
                occasion=row.message_occasion,
                variant=row.message_variant,
                coupon_expires_at=row.message_coupon_expires_at,
                expires_at=row.message_expires_at,
                channel=row.message_channel if row.message_unknowns else None,
            ),
            storefront=row.message_storefront,
            follow_up=row.message_follow_up,
            channel=row.message_channel,
            attempts=row.message_attempts,
            unknowns=row.message_unknowns,
            due_at=row.message_due_at,
            first_sending_at=row.message_first_sending_at,
            customer=_with_chosen(customer_of(row), refused),
            instance=instance_of(row),
        )
        for row in read
    ]


def _with_chosen(customer: Customer, chosen: Mapping[UUID, Mapping[str, bool]]) -> Customer:
    return replace(customer, profile=choices.with_chosen(customer.profile, chosen.get(customer.id, {})))
