"""What several files of the notifier's tests begin with: its tables in a database of their own, and a world in it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.notifier_sending import World, fresh_world
from tests.integration.notifier_world import database


@pytest.fixture(scope="session")
async def own_database(postgres: str) -> AsyncIterator[AsyncEngine]:
    """For all of them one after the other: each begins by emptying what it looks at."""
    async with database(postgres) as engine:
        yield engine


@pytest.fixture
async def world(own_database: AsyncEngine) -> AsyncIterator[World]:
    async with fresh_world(own_database) as world:
        yield world
