"""A follow-up's mail with a real customer's data, as it would be written now: for operators.

Nothing is sent, no coupon is given away, and its links lead nowhere: they are a sample's.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import catalogue_store
from notifier.catalogue import asked_for, filled
from notifier.content import Material, content_of
from notifier.coupons import issued
from notifier.followups import FollowUps
from notifier.holdings import Customer, Instance
from notifier.language import language_for
from notifier.links import SAMPLE
from notifier.packing import concerned
from notifier.preview import check_language, chosen_step
from notifier.render import Rendered, Renderer
from notifier.store import CUSTOMER_COLUMNS, INSTANCE_COLUMNS, as_text, customer_of, instance_of
from notifier.tables import customers, instances
from services.contracts.changes import Profile, Subject
from services.contracts.storefront import Storefront
from services.errors import NotFound
from services.shop import Shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`locale` stands before the customer's own language."""

    follow_up: str
    customer: UUID
    step: int = 1
    locale: str | None = None


async def preview_of(
    connection: AsyncConnection, shop: Shop, follow_ups: FollowUps, renderer: Renderer, asked: Asked, now: datetime
) -> Rendered:
    """Raises ConfigurationError for a follow-up that is not there, NotFound for a customer, RenderError."""
    follow_up, step = chosen_step(follow_ups, asked.follow_up, asked.step)
    if asked.locale is not None:
        check_language(renderer.languages, asked.locale)
    customer = await _customer(connection, asked.customer)
    storefront = shop.storefronts.get(customer.storefront)
    if storefront is None:
        raise NotFound(f"the shop has no storefront `{customer.storefront}`, where this customer is")
    instance = await _instance(connection, customer, follow_up.track, follow_up.stage)
    profile = Profile() if step.to_staff else customer.profile
    template, coupon = step.look(step.variants[0].name if step.variants else None)
    content = content_of(
        Material(
            storefront=storefront,
            profile=profile,
            track=instance.track,
            key=instance.key,
            subject=await _as_sold(connection, instance, customer.storefront, storefront),
            marketing=follow_up.marketing,
            links=SAMPLE,
            locale=language_for(_asked_in(asked.locale, profile), storefront, renderer.languages),
            coupon=None if coupon is None else issued(coupon, UUID(int=0), now),
            concerned=concerned(customer, instance, _came(instance, follow_up.stage), SAMPLE)
            if step.to_staff
            else None,
        )
    )
    return renderer.render(template or "", content)


def _asked_in(locale: str | None, profile: Profile) -> Profile:
    return profile if locale is None else Profile(traits={"locale": locale})


async def _customer(connection: AsyncConnection, asked: UUID) -> Customer:
    """Who was joined to another goes on as the other.

    Of two who changed places, one stream may be read before the other: then each is part of the other for a while.
    """
    wanted: UUID | None = asked
    seen: set[UUID] = set()
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        row = (
            await connection.execute(sa.select(*as_text(CUSTOMER_COLUMNS)).where(customers.c.id == wanted))
        ).one_or_none()
        if row is None:
            raise NotFound(f"the notifier knows no customer {wanted}")
        found = customer_of(row)
        wanted = found.part_of
    return found


async def _instance(connection: AsyncConnection, customer: Customer, track: str, stage: str) -> Instance:
    """The latest that stands where the follow-up starts, else the latest of its track."""
    row = (
        await connection.execute(
            sa.select(*as_text(INSTANCE_COLUMNS))
            .where(instances.c.customer_id == customer.id, instances.c.track == track)
            .order_by((instances.c.stage == stage).desc().nulls_last(), instances.c.since.desc().nulls_last())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"this customer has nothing on the track `{track}`, of which the mail speaks")
    return instance_of(row)


async def _as_sold(connection: AsyncConnection, instance: Instance, name: str, storefront: Storefront) -> Subject:
    subject, track = instance.subject, instance.track
    held = (await catalogue_store.load(connection, {name: asked_for(subject)})).get(name)
    return subject if held is None else filled(subject, track, held, storefront)


def _came(instance: Instance, stage: str) -> UUID | None:
    return next((move.id for move in reversed(instance.moves) if move.to_stage == stage), None)
