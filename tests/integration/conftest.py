"""What several files of the notifier's tests begin with.

A world is its tables in a database of their own; notifiers are processes beside the `ground`, a stack of one file.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.notifier_process import Notifiers, Sink, sink
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


@pytest.fixture
async def notifiers(ground: Any, tmp_path: Path) -> AsyncIterator[Notifiers]:  # noqa: ANN401  the RunningStack of stacks.py
    made = Notifiers(ground.endpoints, tmp_path)
    yield made
    await made.end()


@pytest.fixture
async def smtp() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made
