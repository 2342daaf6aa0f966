"""What the notifier goes by: follow-ups, templates and storefronts of the revision in force, and since when each."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.followups import BEFORE_ALL, FollowUp, FollowUps
from notifier.followups_file import read_follow_ups
from notifier.render import Renderer
from notifier.tables import follow_ups as table
from notifier.trial import try_out
from services.postgres import among, transaction
from services.revisions.following import Following
from services.revisions.store import Active, Revision
from services.shop import Shop, load_shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of one revision, in force since `since`."""

    shop: Shop
    follow_ups: FollowUps
    renderer: Renderer
    since: datetime


def following(engine: AsyncEngine) -> Following[Terms]:
    async def with_beginnings(terms: Terms) -> Terms:
        async with transaction(engine) as connection:
            return replace(terms, follow_ups=await begun(connection, terms.follow_ups, terms.since))

    return Following(engine, terms_of, finish=with_beginnings)


def terms_of(directory: Path, _: Revision, active: Active) -> Terms:
    """Raises ShopError for what can't be meant, or can't be rendered for one of the storefronts."""
    shop = load_shop(directory)
    follow_ups, renderer = read_follow_ups(shop.file("followups.yaml")), Renderer(directory)
    for follow_up in follow_ups.values():
        for storefront in shop.storefronts.values():
            try_out(renderer, follow_up, storefront)
    return Terms(shop=shop, follow_ups=follow_ups, renderer=renderer, since=active.since)


async def begun(connection: AsyncConnection, follow_ups: FollowUps, since: datetime) -> FollowUps:
    """Each with the time from which moves start it: since it was first in force without a break, and starts there.

    The very first ones begin before all time: there was nothing that could have been otherwise.
    """
    c = table.c
    await connection.execute(sa.text("LOCK TABLE notifier.follow_ups IN EXCLUSIVE MODE"))
    rows = await connection.execute(sa.select(table))
    known = {(row.name, row.track, row.stage, row.leaving): row.since for row in rows}
    otherwise = since if known else BEFORE_ALL
    found = {f.name: replace(f, since=known.get(_start(f), otherwise)) for f in follow_ups.values()}
    await connection.execute(sa.delete(table).where(~among(c.name, list(found))))
    for one in found.values():
        start = dict(zip(("name", "track", "stage", "leaving"), _start(one), strict=True))
        values = {**start, "since": one.since}
        await connection.execute(
            insert(table).values(values).on_conflict_do_update(index_elements=[c.name], set_=values)
        )
    return found


def _start(follow_up: FollowUp) -> tuple[str, str, str, bool]:
    return follow_up.name, follow_up.track, follow_up.stage, follow_up.leaving
