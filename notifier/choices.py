"""What people chose on our pages: it shows there at once, and a no counts at once, until the engine says the same.

By then it is part of their profile, and what they or the shop say later is the engine's to tell. A yes counts then: the
shop may have heard a no since, and what waits for a yes is decided again when it comes.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.tables import choices, customers
from services.contracts.changes import Profile
from services.postgres import among

HELD: Final = timedelta(hours=1)
"""If the engine never says the same, because the shop has said otherwise since. While it is silent, nothing is sent."""
_C = choices.c


async def choose(connection: AsyncConnection, customer: UUID, name: str, *, yes: bool, now: datetime) -> bool:
    """In the caller's transaction. `name` is as in `Profile.consent`. False if that is what they chose last."""
    made = insert(choices).values(customer_id=customer, name=name, yes=yes, at=now)
    written = await connection.execute(
        made.on_conflict_do_update(
            index_elements=[_C.customer_id, _C.name],
            set_={"yes": yes, "at": now},
            where=sa.or_(_C.yes.is_distinct_from(yes), _C.at <= now - HELD),
        )
    )
    return written.rowcount > 0


async def chosen(connection: AsyncConnection, whose: Collection[UUID], now: datetime) -> dict[UUID, dict[str, bool]]:
    """By customer, what the engine has not said yet."""
    found: dict[UUID, dict[str, bool]] = {}
    rows = await connection.execute(sa.select(choices).where(among(_C.customer_id, whose), _C.at > now - HELD))
    for row in rows:
        found.setdefault(row.customer_id, {})[row.name] = row.yes
    return found


async def refused(connection: AsyncConnection, whose: Collection[UUID], now: datetime) -> dict[UUID, dict[str, bool]]:
    """Of that, the noes: mail goes by them alone."""
    found = await chosen(connection, whose, now)
    return {customer: {name: yes for name, yes in said.items() if not yes} for customer, said in found.items()}


async def came_back(connection: AsyncConnection, whose: Collection[UUID]) -> None:
    """These customers' profiles have changed: what they say as well is theirs to say from now on."""
    said = sa.cast(sa.func.jsonb_extract_path_text(customers.c.profile, "consent", _C.name), sa.Boolean)
    await connection.execute(
        sa.delete(choices).where(among(_C.customer_id, whose), customers.c.id == _C.customer_id, said == _C.yes)
    )


async def forget(connection: AsyncConnection, now: datetime) -> set[UUID]:
    """Whose they were: what they kept back is to be decided again."""
    return set(await connection.scalars(sa.delete(choices).where(_C.at <= now - HELD).returning(_C.customer_id)))


def with_chosen(profile: Profile, chosen: Mapping[str, bool]) -> Profile:
    return replace(profile, consent={**profile.consent, **chosen}) if chosen else profile
