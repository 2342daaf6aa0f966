"""From a link in a mail back to the customer's stage, on the whole stack: people move themselves, scanners nobody."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from visiting import FERN, Visit

from notifier.tables import outbox
from services.postgres import create_engine, transaction
from services.settings import PostgresSettings

Eventually = Callable[..., Awaitable[None]]
STOPPED = {"consent_withdrawn", "suppressed"}
"""Why a second lesson is withheld: by the notifier's own list at once, by their word once it has come back."""


@pytest.fixture
async def customer(visit: Visit, eventually: Eventually) -> Visit:
    """Has ordered, began to learn, and was asked: a thank-you, a question and a first lesson lie in the inbox."""
    await visit.post("Customer Identified", email=visit.email, traits={"first_name": "Ann"})
    await visit.post("Order Completed", properties={"order_id": f"o-{visit.run}", "total": 10, "products": [FERN]})
    await visit.post("Onboarding Step Completed", properties={"step": 1})

    async def mailed() -> bool:
        return len(await visit.mails()) >= 3 and await status(visit, "lessons", 1) == ("sent", None)

    await eventually(mailed)
    return visit


async def status(visit: Visit, follow_up: str, step: int) -> tuple[str, str | None] | None:
    found = [m for m in await visit.messages() if (m["follow_up"], m["step"]) == (follow_up, step)]
    return (found[0]["status"], found[0]["reason"]) if found else None


async def links(visit: Visit) -> list[str]:
    """All that lead to our pages, of all mails to this visitor."""
    return sorted(
        {link for mail in await bodies(visit) for link in re.findall(r"http://127\.0\.0\.1:\d+/m/[\w?=/-]+", mail)}
    )


async def bodies(visit: Visit) -> list[str]:
    return [message["Text"] + message["HTML"] for message in await received(visit)]


async def received(visit: Visit) -> list[dict[str, Any]]:
    found = await visit.http.get(f"{visit.stack['mailbox']}/api/v1/messages", params={"limit": 500})
    mine = [m["ID"] for m in found.json()["messages"] if m["To"][0]["Address"] == visit.email]
    return [(await visit.http.get(f"{visit.stack['mailbox']}/api/v1/message/{one}")).json() for one in mine]


async def link_to(visit: Visit, page: str, ending: str = "") -> str:
    return next(link for link in await links(visit) if f"/m/{page}/" in link and link.endswith(ending))


async def said(visit: Visit) -> list[str]:
    return [event["name"] for event in await visit.events()]


async def test_a_nine_that_was_clicked_and_sent_makes_an_advocate(customer: Visit, eventually: Eventually) -> None:
    nine = await link_to(customer, "answer", "score=9")
    page = await customer.http.get(nine)
    assert re.search(r'value="9" required checked', page.text)
    answered = await customer.http.post(nine, data={"score": "9", "comment": "Lovely ferns."})
    assert answered.status_code == 200

    async def advocate() -> bool:
        return await customer.stage("lifecycle") == "advocacy"

    await eventually(advocate)
    (answer,) = [event for event in await customer.events() if event["name"] == "Survey Answered"]
    assert answer["properties"]["comment"] == "Lovely ferns."


async def test_what_opens_every_link_of_every_mail_moves_nobody(customer: Visit, eventually: Eventually) -> None:
    before = await customer.stage("lifecycle")
    opened = await links(customer)
    assert {link.split("/m/")[1].split("/")[0] for link in opened} >= {"answer", "unsubscribe", "preferences"}
    for link in opened:
        await customer.http.head(link)
        await customer.http.get(link)
    # What was said by that would be on its way before this, which says that a person has the address, and no more.
    await customer.http.post(await link_to(customer, "preferences"), data={"want": "email"})

    async def clicked() -> bool:
        return "Message Clicked" in await said(customer)

    await eventually(clicked)
    assert set(await said(customer)) == {
        "Customer Identified", "Order Completed", "Onboarding Step Completed", "Message Sent", "Message Clicked",
    }  # fmt: skip
    assert await customer.stage("lifecycle") == before


async def test_every_message_is_said_to_be_sent_once_and_is_no_activity(
    customer: Visit, eventually: Eventually
) -> None:
    async def all_said() -> bool:
        return (await said(customer)).count("Message Sent") >= 3

    await eventually(all_said)
    events = [event for event in await customer.events() if event["name"] == "Message Sent"]
    ids = [event["properties"]["message_id"] for event in events]
    assert sorted(ids) == sorted(m["id"] for m in await customer.messages() if m["status"] == "sent")


async def test_what_is_published_twice_is_one_event(customer: Visit, eventually: Eventually) -> None:
    """As when the notifier is killed after the ack and before its mark."""
    engine = create_engine(PostgresSettings(dsn=SecretStr(customer.stack["postgres"])), application="test")
    ids = [m["id"] for m in await customer.messages() if m["status"] == "sent"]
    mine = sa.or_(*(outbox.c.value.contains(one.encode()) for one in ids))
    waiting = sa.select(sa.func.count()).where(mine, outbox.c.published_at.is_(None))

    async def published() -> bool:
        async with engine.connect() as connection:
            return await connection.scalar(waiting) == 0

    async def heard() -> bool:
        return (await said(customer)).count("Message Sent") == len(ids)

    try:
        await eventually(published)
        await eventually(heard)
        before = sorted(await said(customer))
        async with transaction(engine) as connection:
            again = await connection.execute(sa.update(outbox).where(mine).values(published_at=None))
        assert again.rowcount == len(ids)
        await eventually(published)
    finally:
        await engine.dispose()
    await customer.post("Moon Landed")  # of the same identity, so on the same partition: read after them

    async def read() -> bool:
        return "Moon Landed" in await said(customer)

    await eventually(read)
    assert sorted(await said(customer)) == sorted([*before, "Moon Landed"])


@pytest.mark.parametrize("way", ["page", "one click", "the storefront"])
async def test_who_unsubscribes_gets_no_marketing_that_was_queued_and_still_hears_of_orders(
    customer: Visit, eventually: Eventually, way: str
) -> None:
    assert await status(customer, "lessons", 2) == ("pending", None)
    if way == "page":
        answer = await customer.http.post(await link_to(customer, "unsubscribe"))
        assert "unsubscribed" in answer.text
    elif way == "one click":
        (headers,) = [header for header in await unsubscribe_headers(customer) if "List-Unsubscribe-Post" in header]
        url = headers["List-Unsubscribe"].split(">")[0].removeprefix("<")
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert (await customer.http.post(url, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    else:
        await customer.post("Email Unsubscribed", email=customer.email)

    async def withheld() -> bool:
        found = await status(customer, "lessons", 2)
        return found is not None and found[0] == "withheld"

    await eventually(withheld)
    found = await status(customer, "lessons", 2)
    assert found is not None
    assert found[1] in STOPPED

    async def known() -> bool:
        (one,) = await customer.customers()
        return bool(one["consent"] == {"email": False})

    await eventually(known)
    before = len(await customer.mails())
    await customer.post("Order Completed", properties={"order_id": f"o2-{customer.run}", "total": 10})

    async def thanked() -> bool:
        return len(await customer.mails()) == before + 1

    await eventually(thanked)


async def unsubscribe_headers(visit: Visit) -> list[dict[str, str]]:
    found = []
    for message in await received(visit):
        answer = await visit.http.get(f"{visit.stack['mailbox']}/api/v1/message/{message['ID']}/headers")
        found.append({name: " ".join(values[0].split()) for name, values in answer.json().items()})
    return found


async def test_who_changes_their_mind_on_the_page_is_mailed_again(customer: Visit, eventually: Eventually) -> None:
    preferences = await link_to(customer, "preferences")
    await customer.http.post(preferences, data={})

    async def consent_is(yes: bool) -> bool:  # noqa: FBT001  what is waited for
        (one,) = await customer.customers()
        return bool(one["consent"] == {"email": yes})

    async def says_no() -> bool:
        return await consent_is(yes=False)

    async def says_yes() -> bool:
        return await consent_is(yes=True)

    await eventually(says_no)
    await customer.http.post(preferences, data={"want": "email"})
    await eventually(says_yes)

    async def second_lesson() -> bool:
        return await status(customer, "lessons", 2) == ("sent", None)

    await eventually(second_lesson)


async def test_who_wants_nothing_of_a_topic_gets_no_more_of_it_and_all_the_rest(
    customer: Visit, eventually: Eventually
) -> None:
    assert await status(customer, "lessons", 2) == ("pending", None)
    preferences = await link_to(customer, "preferences")
    assert "How to grow ferns" in (await customer.http.get(preferences)).text
    await customer.http.post(preferences, data={"shown": ["email", "topic:lessons"], "want": "email"})

    async def withheld() -> bool:
        return await status(customer, "lessons", 2) == ("withheld", "topic_refused")

    async def known() -> bool:
        (one,) = await customer.customers()
        return bool(one["consent"] == {"topic:lessons": False})

    await eventually(withheld)
    await eventually(known)
    await customer.post("Product Added", properties={"cart_id": f"c-{customer.run}", **FERN})

    async def reminded() -> bool:
        return await status(customer, "abandoned-cart", 1) == ("sent", None)

    await eventually(reminded)
    await customer.http.post(
        preferences, data={"shown": ["email", "topic:lessons"], "want": ["email", "topic:lessons"]}
    )

    async def second_lesson() -> bool:
        return await status(customer, "lessons", 2) == ("sent", None)

    await eventually(second_lesson)
