"""A mail to look at with a real customer's data, on a real Postgres: for operators only, and nothing comes of it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.api import create_app
from notifier.holdings import Customer, Instance
from notifier.preview_routes import preview_routes
from notifier.store import lock_customers, save_customers, save_instances
from notifier.tables import messages
from services.contracts.changes import Profile, Subject
from services.postgres import SCHEMA_REVISION, transaction
from services.process import Readiness
from tests.integration.notifier_world import database
from tests.integration.test_pages import OPERATOR, TERMS
from tests.unit.notifier.builders import ABANDONED_CART, NOON

TERMS_WITH_ONE = replace(TERMS, follow_ups={"abandoned-cart": ABANDONED_CART})
AUTH = {"authorization": f"Bearer {OPERATOR}"}
ADA, GUEST, NEWCOMER, ONE, OTHER = (uuid4() for _ in range(5))
MIGRATED = {"at": SCHEMA_REVISION}
"""The database is made from the tables; that the migrations make the same is tested with the migrations."""
MUG = {"product_id": "mug", "name": "Mug <b>", "quantity": 2, "price": "18.50"}


def cart(key: str, stage: str, item: dict[str, object]) -> Instance:
    return Instance(
        instance=uuid4(),
        customer_id=ADA,
        track="cart",
        key=key,
        stage=stage,
        since=NOON,
        subject=Subject(items=[item], value="37.00", currency="EUR"),
        moves=(),
        moved_by=0,
    )


@pytest.fixture(scope="module")
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with database(postgres) as made:
        async with transaction(made) as connection:
            await lock_customers(connection, dict.fromkeys((ADA, GUEST, NEWCOMER, ONE, OTHER), "main-shop"))
            ada = Customer(id=ADA, storefront="main-shop", profile=Profile(traits={"first_name": "Ada"}))
            joined = ((GUEST, ADA), (ONE, OTHER), (OTHER, ONE))
            others = [Customer(id=who, storefront="main-shop", part_of=whose) for who, whose in joined]
            await save_customers(connection, [ada, *others])
            await save_instances(
                connection, [cart("old", "abandoned", MUG), cart("new", "active", {"product_id": "x", "name": "Other"})]
            )
        yield made


@pytest.fixture
async def http(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(engine, Readiness(set()), SecretStr(OPERATOR), lambda: NOON)
    app.include_router(preview_routes(engine, lambda: TERMS_WITH_ONE, SecretStr(OPERATOR), lambda: NOON))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifier.test") as client:
        yield client


async def asked(http: httpx.AsyncClient, customer: UUID, **more: str) -> httpx.Response:
    return await http.get("/v1/preview/abandoned-cart", params={"customer": str(customer), **more}, headers=AUTH)


@pytest.mark.parametrize("customer", [ADA, GUEST])
async def test_it_speaks_of_the_cart_that_would_start_it_and_of_who_the_customer_is_by_now(
    http: httpx.AsyncClient, customer: UUID
) -> None:
    mail = (await asked(http, customer)).json()
    assert mail["subject"] == "Ada, your cart is waiting"
    assert "Mug &lt;b&gt;" in mail["html"]
    assert "Mug <b>" in mail["text"]
    assert "Other" not in mail["text"]


async def test_another_language_can_be_asked_for(http: httpx.AsyncClient) -> None:
    assert (await asked(http, ADA, locale="de")).json()["subject"] == "Ada, Ihr Warenkorb wartet"


async def test_what_is_not_there_is_told(http: httpx.AsyncClient) -> None:
    for answer, said in (
        (await asked(http, uuid4()), "knows no customer"),
        (await asked(http, NEWCOMER), "nothing on the track `cart`"),
        (await asked(http, ONE), "nothing on the track `cart`"),
        (await asked(http, ADA, step="7"), "has no step 7"),
        (await asked(http, ADA, locale="fr"), "no words in `fr`"),
        (await http.get(f"/v1/preview/nothing?customer={ADA}", headers=AUTH), "there is no follow-up `nothing`"),
    ):
        assert answer.status_code == 404
        assert said in answer.json()["message"]


async def test_it_asks_for_the_operators_key_and_its_page_holds_nothing_of_anybody(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/v1/preview/abandoned-cart?customer={ADA}")).status_code == 401
    page = await http.get(f"/v1/preview/abandoned-cart/page?customer={ADA}")
    assert page.status_code == 200
    assert "Ada" not in page.text
    assert page.text.count("<iframe sandbox ") == page.text.count("<iframe") == 2


async def test_looking_makes_no_message(http: httpx.AsyncClient, engine: AsyncEngine) -> None:
    assert (await asked(http, ADA)).status_code == 200
    async with engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(messages)) == 0


async def test_the_command_shows_it_with_the_words_of_a_directory(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute(
            sa.text("CREATE TABLE public.alembic_version AS SELECT CAST(:at AS text) AS version_num"), MIGRATED
        )
    done = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("stagepost"),
        *("preview", "abandoned-cart", "--customer", str(ADA), "--text", "--locale", "de"),
        env={**os.environ, "STAGEPOST_POSTGRES__DSN": dsn_of(engine)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await done.communicate()
    assert done.returncode == 0, output
    assert output.decode().splitlines()[0] == "Subject: Ada, Ihr Warenkorb wartet"
    assert "Mug <b>" in output.decode()


def dsn_of(engine: AsyncEngine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
