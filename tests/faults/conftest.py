"""What a test of the checker looks at."""

from collections.abc import AsyncIterator

import pytest
from faults_recorded import recorded
from faults_verdicts import Recorded
from faults_world import stack

from migrations.migrate import upgrade
from services.postgres import create_engine
from services.settings import PostgresSettings


@pytest.fixture(scope="session")
async def sound() -> AsyncIterator[Recorded]:
    """A stack's evidence with nothing wrong in it, and the Postgres that it was taken from."""
    async with stack("postgres") as up:
        engine = create_engine(PostgresSettings(dsn=up.endpoints["postgres"]), application="faults")
        await upgrade(engine)
        yield Recorded(engine, await recorded(engine, seed=7, events=80))
        await engine.dispose()
