"""A web page asks for news: one mail asks back, and the yes to that is consent. On a whole stack with such a shop."""

import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from stacks import RunningStack, StartStack
from visiting import Visit

Eventually = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def asking(start_stack: StartStack) -> Iterator[RunningStack]:
    stack = start_stack("--shop", str(Path(__file__).with_name("opt_in_shop")), "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture
def visit(asking: RunningStack, http: httpx.AsyncClient) -> Visit:
    return Visit(http, asking.endpoints)


async def asks_for_news(visit: Visit, email: str) -> None:
    """As a shop's page does, with its own key."""
    event = {"id": uuid.uuid4().hex, "name": "Email Subscribed", "anonymous_id": f"d-{visit.run}", "email": email}
    key = {"X-Write-Key": visit.stack["browser_key"]}
    answer = await visit.http.post(f"{visit.stack['ingest']}/v1/events", json=event, headers=key)
    assert answer.json()["accepted"] == 1


async def confirm_link(visit: Visit) -> str:
    found = await visit.http.get(f"{visit.stack['mailbox']}/api/v1/messages", params={"limit": 500})
    (one,) = [m["ID"] for m in found.json()["messages"] if m["To"][0]["Address"] == visit.email]
    mail = (await visit.http.get(f"{visit.stack['mailbox']}/api/v1/message/{one}")).json()
    return re.findall(r"http://127\.0\.0\.1:\d+/m/confirm/[\w-]+", mail["Text"])[0]


async def test_only_who_has_the_address_and_says_yes_gets_news(visit: Visit, eventually: Eventually) -> None:
    other = Visit(visit.http, visit.stack)
    for one in (visit, other):
        await asks_for_news(one, one.email)

        async def asked(one: Visit = one) -> bool:
            return await one.mails() == ["Is it you who wants news from Fern & Fable?"]

        await eventually(asked)
    (customer,) = await visit.customers(email=visit.email)
    assert customer["consent"] == {}

    link = await confirm_link(visit)
    assert (await visit.http.get(link)).status_code == 200
    assert (await visit.http.post(link)).status_code == 200

    async def gets_news() -> bool:
        return len(await visit.mails()) == 2

    await eventually(gets_news)
    (customer,) = await visit.customers(email=visit.email)
    assert customer["consent"] == {"email": True}

    # The other never answered, and asks again: one mail is all that an address gets which only a page said.
    await asks_for_news(other, other.email)
    events = [event["name"] for event in await visit.events(email=visit.email)]
    assert events.count("Email Subscribed") == 2
    (silent,) = await other.customers(email=other.email)
    assert silent["consent"] == {}
    assert len(await other.mails()) == 1
