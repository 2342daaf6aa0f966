"""What an operator sees is what happened: events through real Kafka and Postgres, pages over HTTP."""

import os
import re
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

Eventually = Callable[..., Awaitable[None]]


@pytest.fixture
async def console(stack: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in, as a browser is."""
    async with httpx.AsyncClient(base_url=stack["console"], trust_env=False, timeout=30) as client:
        answer = await client.post("/sign-in", data={"key": stack["operator_key"]})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client


@pytest.fixture
async def event(stack: dict[str, str], http: httpx.AsyncClient) -> str:
    """The id of one that ingest has accepted: a customer nobody has seen before looked at a product."""
    event_id = f"viewed-{uuid4()}"
    body = {
        "id": event_id,
        "name": "Product Viewed",
        "user_id": f"u-{uuid4()}",
        "properties": {"product_id": "mug", "name": "<b>Mug</b>"},
    }
    answer = await http.post(f"{stack['ingest']}/v1/events", json=body, auth=(stack["write_key"], ""))
    assert answer.is_success, answer.text
    return event_id


@pytest.fixture
async def customer(console: httpx.AsyncClient, event: str, eventually: Eventually) -> str:
    """The address of the page of who did the event, found by the event's id."""
    answers: list[httpx.Response] = []

    async def found() -> bool:
        answers.append(await console.get("/search", params={"q": event}))
        return answers[-1].status_code == 303

    await eventually(found)
    return answers[-1].headers["location"]


async def test_the_door_is_closed(stack: dict[str, str], http: httpx.AsyncClient) -> None:
    answer = await http.get(stack["console"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    wrong = await http.post(f"{stack['console']}/sign-in", data={"key": stack["write_key"]})
    assert wrong.status_code == 401


async def test_a_customers_page_tells_the_event_the_move_and_why(
    console: httpx.AsyncClient, customer: str, event: str
) -> None:
    page = (await console.get(customer)).text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert event in text
    assert "awareness → interest Product Viewed rule lifecycle.interest" in text
    assert "&lt;b&gt;Mug&lt;/b&gt;" in page


async def test_the_overview_shows_the_move_and_counts_the_customer(
    console: httpx.AsyncClient, customer: str, eventually: Eventually
) -> None:
    async def shown() -> bool:
        page = (await console.get("/")).text
        interested = re.search(r">interest</span>\s*<svg.*?</svg>\s*<strong>([\d,]+)<", page)
        return f'href="{customer}"' in page and interested is not None and interested[1] != "0"

    await eventually(shown)


async def test_a_customer_is_found_by_the_beginning_of_their_id(console: httpx.AsyncClient, customer: str) -> None:
    beginning = customer.removeprefix("/customers/")[:18]
    answer = await console.get("/search", params={"q": beginning})
    assert answer.headers["location"] == customer


async def test_nobody_is_found_by_what_nobody_did(console: httpx.AsyncClient) -> None:
    answer = await console.get("/search", params={"q": f"never-{uuid4()}"})
    assert answer.status_code == 200
    assert "Nobody found" in answer.text


async def test_a_customer_who_is_not_there_has_no_page(console: httpx.AsyncClient) -> None:
    assert (await console.get(f"/customers/{uuid4()}")).status_code == 404


async def test_no_page_shows_a_secret(stack: dict[str, str], console: httpx.AsyncClient, customer: str) -> None:
    password = urlsplit(stack["postgres"]).password
    assert password
    for path in ("/", customer, "/search?q=none", "/metrics"):
        page = (await console.get(path)).text
        for secret in (password, stack["operator_key"], stack["write_key"]):
            assert secret not in page


async def test_on_an_empty_database_it_says_what_to_run(stack: dict[str, str]) -> None:
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(stack["postgres"])
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        dsn = urlsplit(stack["postgres"])._replace(path=f"/{name}").geturl()
        env = {**os.environ, "STAGEPOST_POSTGRES__DSN": dsn, "STAGEPOST_OPERATOR_KEY": "a-key-for-this-test"}
        process = await create_subprocess_exec(sys.executable, "-m", "console", env=env, stderr=PIPE)
        _, said = await process.communicate()
        assert process.returncode == 2
        assert b"run: stagepost migrate" in said
        await connection.execute(f"DROP DATABASE {name}")
    finally:
        await connection.close()
