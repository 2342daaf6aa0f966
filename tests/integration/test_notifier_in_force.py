"""Since when a follow-up is in force: what somebody did before that does not start it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.followups import BEFORE_ALL, FollowUp
from notifier.in_force import begun
from services.postgres import transaction
from tests.integration.notifier_world import database
from tests.unit.notifier.builders import ABANDONED_CART, NOON, THANK_YOU

LATER = NOON + timedelta(days=1)
LATEST = NOON + timedelta(days=2)


@pytest.fixture
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with database(postgres) as engine:
        yield engine


async def since(engine: AsyncEngine, at: datetime, *follow_ups: FollowUp) -> dict[str, datetime]:
    async with transaction(engine) as connection:
        found = await begun(connection, {f.name: f for f in follow_ups}, at)
    return {name: follow_up.since for name, follow_up in found.items()}


async def test_the_first_ones_begin_before_all_time_and_later_ones_with_their_revision(engine: AsyncEngine) -> None:
    assert await since(engine, NOON, ABANDONED_CART) == {"abandoned-cart": BEFORE_ALL}
    both = {"abandoned-cart": BEFORE_ALL, "thank-you": LATER}
    assert await since(engine, LATER, ABANDONED_CART, THANK_YOU) == both
    assert await since(engine, LATER, ABANDONED_CART, THANK_YOU) == both, "for every notifier the same"
    assert await since(engine, LATEST, replace(ABANDONED_CART, max_age=timedelta(hours=1)), THANK_YOU) == both


async def test_one_that_was_away_or_starts_elsewhere_begins_anew(engine: AsyncEngine) -> None:
    await since(engine, NOON, ABANDONED_CART, THANK_YOU)
    assert await since(engine, LATER, replace(ABANDONED_CART, stage="active")) == {"abandoned-cart": LATER}
    assert (await since(engine, LATEST, THANK_YOU))["thank-you"] == LATEST
