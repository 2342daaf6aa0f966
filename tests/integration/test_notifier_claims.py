"""How many mails go to addresses that only browsers said: on a real Postgres, for all notifiers together."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.addresses import fingerprint
from notifier.claims import Caps, Claim, Refused, refused, spend
from notifier.tables import spent_claims
from services.postgres import transaction
from tests.unit.notifier.builders import NOON

CAPS = Caps(network_a_day=3, storefront_an_hour=5)


@pytest.fixture
async def engine(own_database: AsyncEngine) -> AsyncEngine:
    async with transaction(own_database) as connection:
        await connection.execute(sa.delete(spent_claims))
    return own_database


def claim(network: str | None = "n1", *, storefront: str = "shop", address: str | None = None) -> Claim:
    """Of a stranger's address, unless it is named."""
    stranger = uuid4()
    return Claim(
        message=uuid4(),
        storefront=storefront,
        customer=stranger,
        address=fingerprint(address or f"{stranger}@mail.example"),
        network=network,
    )


async def spent(engine: AsyncEngine, *claims: Claim, after: timedelta = timedelta()) -> set[UUID]:
    """The messages that have their claims."""
    async with transaction(engine) as connection:
        lost = await spend(connection, claims, CAPS, NOON + after)
    return {claim.message for claim in claims} - lost


async def looked(engine: AsyncEngine, *claims: Claim, after: timedelta = timedelta()) -> Refused:
    async with engine.connect() as connection:
        return await refused(connection, claims, CAPS, NOON + after)


async def test_a_network_gets_so_many_a_day_and_another_its_own(engine: AsyncEngine) -> None:
    assert len(await spent(engine, *[claim("n1") for _ in range(10)])) == 3
    one, other = claim("n1"), claim("n2")
    assert await looked(engine, one, other) == Refused(capped=frozenset({one.message}))
    assert len(await spent(engine, *[claim("n1"), claim("n2")])) == 1
    day = timedelta(days=1)
    assert await looked(engine, one, after=day) == Refused()
    assert len(await spent(engine, one, after=day)) == 1


async def test_a_storefront_gets_so_many_an_hour_however_many_networks_they_come_from(engine: AsyncEngine) -> None:
    assert len(await spent(engine, *[claim(f"n{number}") for number in range(10)])) == 5
    new = claim("new")
    assert (await looked(engine, new)).capped == {new.message}
    assert (await looked(engine, claim("new", storefront="other"))) == Refused()
    assert await looked(engine, new, after=timedelta(hours=1)) == Refused()


async def test_where_nobody_knows_the_network_all_are_of_one(engine: AsyncEngine) -> None:
    assert len(await spent(engine, *[claim(None) for _ in range(10)])) == 3


async def test_a_message_keeps_the_claim_that_it_has_for_its_next_attempt(engine: AsyncEngine) -> None:
    own = [claim("n1") for _ in range(3)]
    assert len(await spent(engine, *own)) == 3
    assert await looked(engine, *own) == Refused()
    assert len(await spent(engine, *own)) == 3


async def test_an_address_and_a_customer_have_one_each(engine: AsyncEngine) -> None:
    first = claim(address="ada@mail.example")
    assert await spent(engine, first) == {first.message}
    again = claim("n2", address="ada@mail.example")
    other = Claim(
        message=uuid4(), storefront="shop", customer=first.customer, address=fingerprint("b@c.example"), network="n3"
    )
    assert await looked(engine, again, other) == Refused(spent=frozenset({again.message, other.message}))
    assert await spent(engine, again, other) == set()


async def test_processes_that_use_claims_at_one_moment_keep_to_the_caps_together(engine: AsyncEngine) -> None:
    several = [[claim("n1") for _ in range(3)] for _ in range(4)]
    results = await asyncio.gather(*(spent(engine, *claims) for claims in several))
    assert sum(len(result) for result in results) == 3
