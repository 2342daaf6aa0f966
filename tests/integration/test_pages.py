"""The pages that links in mails lead to, on a real Postgres: what shows, what acts, and what nobody can make act."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.api import create_app
from notifier.in_force import Terms
from notifier.intake import Batch, take_in
from notifier.links import VALID, Act, LinkMaker, Links, Signer
from notifier.pages.pace import AT_MOST
from notifier.pages.routes import Pages
from notifier.render import Renderer
from notifier.status import Status
from notifier.suppression import NOTHING, Standing, Why, place_of, standing, suppress
from notifier.tables import customers, messages, outbox
from services.contracts.changes import Address, CustomerUpdated, Profile, Root
from services.contracts.events import Event, SaidBy, decode_event
from services.contracts.reasons import Reason
from services.contracts.storefront import Sender, Storefront
from services.postgres import transaction
from services.process import Readiness
from services.shop import Shop
from tests.integration.notifier_world import Clock, database
from tests.unit.notifier.builders import NOON

ADDRESS = "ada@mail.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
OPERATOR = "an operator's key of a test"
SHOP = Shop(
    directory=Path("nowhere"),
    storefronts={
        "main-shop": Storefront(
            name="Fern & Fable",
            url="https://shop.example",
            currency="EUR",
            timezone="Europe/Berlin",
            sender=Sender(name="Fern & Fable", email="hello@shop.example"),
            assume_consent=True,
            topics={"news": {"en": "What is new", "de": "Neuigkeiten"}, "offers": {"de": "Angebote & mehr"}},
        )
    },
)
MAKER = LinkMaker(base="https://mail.shop.example", signer=Signer("a secret of this test, long enough"))
TERMS = Terms(shop=SHOP, follow_ups={}, renderer=Renderer(Path("nowhere")), since=NOON)


@pytest.fixture(scope="module")
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with database(postgres) as made:
        yield made


@dataclass
class World:
    """One customer who was sent one mail, and the browser that opens its links."""

    engine: AsyncEngine
    http: httpx.AsyncClient
    clock: Clock
    address: str
    message: UUID = field(default_factory=uuid4)
    customer: UUID = field(default_factory=uuid4)
    sequence: int = 1

    @property
    def links(self) -> Links:
        return MAKER.of(self.message, self.clock.now)

    async def mailed(self, profile: Profile | None = None, **message: Any) -> None:  # noqa: ANN401  any of its columns
        customer = self.customer
        known = profile or Profile(root=Root(kind="user_id", value=str(customer)))
        async with transaction(self.engine) as connection:
            await connection.execute(
                sa.insert(customers).values(
                    id=customer,
                    storefront="main-shop",
                    sequence=1,
                    profile=msgspec.to_builtins(known),
                    table_number=0,
                )
            )
            blank: dict[str, Any] = {
                column.name: uuid4() if isinstance(column.type, sa.Uuid) else 0
                for column in messages.c
                if not column.nullable and isinstance(column.type, sa.Uuid | sa.SmallInteger)
            }
            times = dict.fromkeys(("at", "due_at", "expires_at", "created_at", "changed_at"), NOON)
            row = {"id": self.message, "customer_id": customer, "storefront": "main-shop", "follow_up": "win-back"}
            more = {"channel": "email", "status": Status.SENT, "address": self.address, **message}
            await connection.execute(sa.insert(messages).values(blank | times | row | more))

    async def heard(self, profile: Profile) -> None:
        """From the engine."""
        self.sequence += 1
        change = CustomerUpdated(
            storefront="main-shop", customer_id=self.customer, sequence=self.sequence, profile=profile
        )
        async with transaction(self.engine) as connection:
            await take_in(connection, Batch(changes=[change]), {}, self.clock.now)

    async def said(self) -> list[Event]:
        async with self.engine.connect() as connection:
            found = await connection.scalars(sa.select(outbox.c.value).order_by(outbox.c.id))
            events = [decode_event(value) for value in found]
        return [event for event in events if event.properties["message_id"] == str(self.message)]

    async def names(self) -> list[str]:
        return [event.name for event in await self.said()]

    async def stands(self) -> Standing:
        place = place_of("main-shop", self.address)
        async with self.engine.connect() as connection:
            return (await standing(connection, [place])).get(place, NOTHING)


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[World]:
    clock = Clock(NOON)
    app = create_app(engine, Readiness(set()), SecretStr(OPERATOR), clock)
    app.router.routes.extend(Pages(engine, MAKER, lambda: TERMS, clock).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=MAKER.base) as http:
        made = World(engine, http, clock, f"{uuid4().hex}@mail.example")
        await made.mailed()
        yield made


def all_pages(links: Links) -> list[str]:
    return [links.unsubscribe, links.preferences, links.confirm, links.answer("nps", 9)]


async def test_what_only_opens_links_changes_nothing_and_says_nothing(world: World) -> None:
    for link in all_pages(world.links):
        for method in ("GET", "HEAD"):
            answer = await world.http.request(method, link)
            assert answer.status_code == 200
            assert bool(answer.text) is (method == "GET")
    assert await world.names() == []
    assert (await world.stands()) == NOTHING


async def test_one_click_unsubscribes_at_once(world: World) -> None:
    answer = await world.http.post(world.links.unsubscribe, data=ONE_CLICK)
    assert answer.status_code == 200
    assert (await world.stands()).against(marketing=True) is Why.UNSUBSCRIBED
    assert (await world.stands()).against(marketing=False) is None
    (event,) = await world.said()
    assert (event.name, event.said_by, event.who.email) == ("Email Unsubscribed", SaidBy.SERVER, None)


async def test_the_form_of_the_page_unsubscribes_too(world: World) -> None:
    shown = await world.http.get(world.links.unsubscribe)
    assert '<form method="post">' in shown.text
    assert world.address not in shown.text
    assert "@mail.example" in shown.text
    await world.http.post(world.links.unsubscribe)
    assert (await world.stands()).against(marketing=True) is Why.UNSUBSCRIBED


async def test_unsubscribing_again_and_again_is_said_no_more_once_it_is_known(
    engine: AsyncEngine, world: World
) -> None:
    known = Profile(consent={"email": False}, root=Root(kind="user_id", value="u3"))
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(known)
    for _ in range(3):
        world.clock.pass_by(timedelta(seconds=1))
        assert (await world.http.post(other.links.unsubscribe, data=ONE_CLICK)).status_code == 200
    assert await other.names() == ["Email Unsubscribed"]


async def test_a_multipart_one_click_is_understood(world: World) -> None:
    await world.http.post(world.links.unsubscribe, files={"List-Unsubscribe": (None, "One-Click")})
    assert (await world.stands()).against(marketing=True) is Why.UNSUBSCRIBED


async def test_preferences_show_what_is_so_and_change_what_was_changed(world: World) -> None:
    assert 'value="email" checked' in (await world.http.get(world.links.preferences)).text
    await world.http.post(world.links.preferences, data={})
    assert (await world.stands()).against(marketing=True) is Why.UNSUBSCRIBED
    assert 'value="email" checked' not in (await world.http.get(world.links.preferences)).text
    world.clock.pass_by(timedelta(minutes=1))
    await world.http.post(world.links.preferences, data={"want": "email"})
    assert await world.stands() == NOTHING
    names = await world.names()
    assert [name for name in names if name != "Message Clicked"] == ["Email Unsubscribed", "Email Subscribed"]


async def test_saving_preferences_as_they_are_says_nothing_of_consent(world: World) -> None:
    await world.http.post(world.links.preferences, data={"want": "email"})
    assert await world.names() == ["Message Clicked"]


async def test_a_channel_that_reaches_them_can_be_chosen_by_itself(engine: AsyncEngine, world: World) -> None:
    profile = Profile(
        addresses={"sms": Address(value="+491701234567", said_by=SaidBy.SERVER)},
        consent={"sms": True},
        root=Root(kind="user_id", value="u1"),
    )
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(profile)
    assert 'value="sms" checked' in (await world.http.get(other.links.preferences)).text
    await world.http.post(other.links.preferences, data={"want": "email"})
    said = {event.name: event for event in await other.said()}
    assert said["Customer Identified"].traits == {"consent": {"sms": False}}
    assert "Email Unsubscribed" not in said


async def test_by_a_mail_from_before_they_logged_in_they_choose_for_who_they_are(
    engine: AsyncEngine, world: World
) -> None:
    known = World(engine, world.http, world.clock, world.address)
    await known.mailed(Profile(consent={"topic:offers": False, "sms": True}, **SMS))
    async with transaction(engine) as connection:
        await connection.execute(
            sa.update(customers).where(customers.c.id == world.customer).values(part_of=known.customer)
        )
    form = {"shown": ["email", "sms", "topic:news", "topic:offers"], "want": ["email", "topic:news"]}
    shown = (await world.http.get(world.links.preferences)).text
    assert re.findall(r'value="([a-z:]+)" checked', shown) == ["email", "sms", "topic:news"]
    await world.http.post(world.links.preferences, data=form)
    assert re.findall(r'value="([a-z:]+)" checked', (await world.http.get(known.links.preferences)).text) == [
        "email",
        "topic:news",
    ]
    (event,) = [event for event in await world.said() if event.traits]
    assert (event.traits, event.who.user_id) == ({"consent": {"sms": False}}, str(world.customer)), "as they were asked"


async def test_a_topic_has_a_box_in_the_readers_language_and_what_was_not_shown_was_not_left_out(world: World) -> None:
    shown = (await world.http.get(world.links.preferences)).text
    assert re.findall(r'value="(topic:\w+)" checked> (.*?)</label>', shown) == [
        ("topic:news", "What is new"),
        ("topic:offers", "Angebote &amp; mehr"),
    ]
    await world.http.post(world.links.preferences, data={"want": "email"})
    assert await world.names() == ["Message Clicked"], "a page from before there were topics"
    for _ in range(2):
        await world.http.post(world.links.preferences, data={"shown": ["email", "topic:news"], "want": "email"})
    (event,) = [event for event in await world.said() if event.traits]
    assert (event.name, event.traits) == ("Customer Identified", {"consent": {"topic:news": False}})
    again = (await world.http.get(world.links.preferences)).text
    assert ('value="topic:news" checked' in again, 'value="topic:offers" checked' in again) == (False, True)


async def test_a_complaint_is_taken_back_by_who_made_it_and_a_dead_address_is_not(
    engine: AsyncEngine, world: World
) -> None:
    async with transaction(engine) as connection:
        for why in (Why.COMPLAINT, Why.HARD_BOUNCE):
            await suppress(connection, storefront="main-shop", address=world.address, why=why, now=NOON)
    await world.http.post(world.links.preferences, data={"want": "email"})
    assert set((await world.stands()).by_scope.values()) == {Why.HARD_BOUNCE}


async def test_an_answer_counts_when_its_form_is_sent_with_what_was_chosen_there(world: World) -> None:
    shown = await world.http.get(world.links.answer("nps", 9))
    assert re.search(r'value="9" required checked', shown.text)
    answer = await world.http.post(
        world.links.answer("nps", 9), data={"score": "3", "comment": "  It came\r\nbroken.\0 "}
    )
    assert answer.status_code == 200
    said = {event.name: event.properties for event in await world.said()}
    assert said["Survey Answered"]["score"] == 3
    assert said["Survey Answered"]["kind"] == "nps"
    assert said["Survey Answered"]["comment"] == "It came\nbroken."
    assert said["Message Clicked"]["address"] == world.address


async def test_the_same_answer_again_is_one_and_of_several_the_last_is_said_last(world: World) -> None:
    for score in ("9", "9", "3", "9", "9"):
        world.clock.pass_by(timedelta(seconds=1))
        await world.http.post(world.links.answer("nps"), data={"score": score})
    await world.http.post(world.links.answer("csat"), data={"score": "3"})
    answered = [event for event in await world.said() if event.name == "Survey Answered"]
    assert [(event.properties["kind"], event.properties["score"]) for event in answered] == [
        ("nps", 9), ("nps", 3), ("nps", 9), ("csat", 3),
    ]  # fmt: skip
    assert len({event.id for event in answered}) == len(answered)


async def test_a_button_that_is_pressed_many_times_at_once_says_one_thing(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(world.http.post(world.links.answer("nps"), data={"score": "9"}))
            group.create_task(world.http.post(world.links.confirm))
    assert sorted(set(await world.names()) - {"Message Clicked"}) == ["Email Subscribed", "Survey Answered"]
    assert len([name for name in await world.names() if name != "Message Clicked"]) == 2


SMS = {
    "addresses": {"sms": Address(value="+491701234567", said_by=SaidBy.SERVER)},
    "root": Root(kind="user_id", value="u1"),
}


async def consents(world: World) -> list[Any]:
    return [event.traits["consent"] for event in await world.said() if event.traits]


async def test_who_says_no_and_yes_within_seconds_is_heard_each_time_and_seen_at_once(
    engine: AsyncEngine, world: World
) -> None:
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(Profile(consent={"sms": True}, **SMS))
    both, mail_only = {"want": ["email", "sms"]}, {"want": ["email"]}
    for form, shown in [(mail_only, False), (mail_only, False), (both, True), (both, True), (mail_only, False)]:
        world.clock.pass_by(timedelta(seconds=1))
        await world.http.post(other.links.preferences, data=form)
        page = (await world.http.get(other.links.preferences)).text
        assert ('value="sms" checked' in page) is shown
    assert await consents(other) == [{"sms": False}, {"sms": True}, {"sms": False}]


async def test_what_was_chosen_is_the_engines_to_tell_once_it_says_the_same(engine: AsyncEngine, world: World) -> None:
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(Profile(consent={"sms": True}, **SMS))
    await world.http.post(other.links.preferences, data={"want": "email"})

    async def told(yes: bool) -> bool:  # noqa: FBT001  what the engine says
        """Whether the page shows a tick then."""
        await other.heard(Profile(consent={"sms": yes}, **SMS))
        return 'value="sms" checked' in (await world.http.get(other.links.preferences)).text

    assert await told(yes=True) is False, "it does not know of the no yet"
    assert await told(yes=False) is False
    assert await told(yes=True) is True, "the shop's own server has heard another word since"


@pytest.mark.parametrize("yes", [True, False])
async def test_what_is_chosen_though_it_was_so_already_does_not_outlast_what_the_shop_hears_next(
    engine: AsyncEngine,
    world: World,
    yes: bool,  # noqa: FBT001  both ways
) -> None:
    other = World(engine, world.http, world.clock, world.address)
    reached = {"email": Address(value=world.address, said_by=SaidBy.SERVER)}
    known = Profile(addresses=reached, consent={"email": yes}, root=Root(kind="user_id", value="u1"))
    await other.mailed(known)
    await world.http.post(other.links.confirm if yes else other.links.unsubscribe)
    await other.heard(msgspec.structs.replace(known, consent={"email": not yes}))
    page = (await world.http.get(other.links.preferences)).text
    assert ('value="email" checked' in page) is not yes


async def test_what_a_no_kept_back_is_decided_again_when_a_yes_follows_before_the_engine_heard_either(
    engine: AsyncEngine, world: World
) -> None:
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(Profile(consent={"sms": True}, **SMS))
    kept_back = {"status": Status.WITHHELD, "reason": Reason.CONSENT_WITHDRAWN}
    await world.http.post(other.links.preferences, data={"want": "email"})
    async with transaction(engine) as connection:
        later = NOON + timedelta(hours=1)
        row = sa.update(messages).where(messages.c.id == other.message)
        await connection.execute(row.values(**kept_back, expires_at=later))
    await world.http.post(other.links.preferences, data={"want": ["email", "sms"]})
    async with engine.connect() as connection:
        found = await connection.scalar(sa.select(messages.c.status).where(messages.c.id == other.message))
    assert found == Status.PENDING


async def test_a_form_without_a_score_asks_for_one_and_keeps_the_words(world: World) -> None:
    answer = await world.http.post(world.links.answer("csat"), data={"comment": "All <b>well</b>"})
    assert answer.status_code == 422
    assert "Please choose one of these." in answer.text
    assert "All &lt;b&gt;well&lt;/b&gt;" in answer.text
    assert await world.names() == []


async def test_a_body_without_an_end_is_refused_unread(world: World) -> None:
    answer = await world.http.post(world.links.answer("csat"), data={"score": "1", "comment": "x" * 100_000})
    assert answer.status_code == 413
    assert await world.names() == []


async def test_a_confirmed_subscription_is_consent_and_makes_an_address_of_the_claim(world: World) -> None:
    await world.http.post(world.links.confirm)
    said = {event.name: event.properties for event in await world.said()}
    assert set(said) == {"Email Subscribed", "Message Clicked"}
    assert said["Message Clicked"]["address"] == world.address


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_forged_link_does_nothing_and_says_so_kindly(world: World, method: str) -> None:
    for link in all_pages(world.links):
        before, _, query = link.partition("?")
        forged = before[:-1] + ("A" if before[-1] != "A" else "B") + (f"?{query}" if query else "")
        answer = await world.http.request(method, forged, data=ONE_CLICK if method == "POST" else None)
        assert answer.status_code == 404
        assert "This link leads nowhere." in answer.text
    assert await world.names() == []
    assert (await world.stands()) == NOTHING


async def test_a_link_for_one_thing_is_none_for_another(world: World) -> None:
    token = world.links.answer("nps").rpartition("/")[2]
    answer = await world.http.post(f"/m/{Act.UNSUBSCRIBE}/{token}", data=ONE_CLICK)
    assert answer.status_code == 404
    assert (await world.stands()) == NOTHING


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_link_does_nothing_and_says_so_kindly(world: World, method: str) -> None:
    links = all_pages(world.links)
    world.clock.pass_by(max(VALID.values()))
    for link in links:
        answer = await world.http.request(method, link, data={"score": "9"} if method == "POST" else None)
        assert answer.status_code == 410
        assert "no longer good" in answer.text
    assert await world.names() == []


async def test_a_link_of_a_message_that_there_never_was_leads_nowhere(world: World) -> None:
    for link in all_pages(MAKER.of(uuid4(), NOON)):
        assert (await world.http.post(link, data={"score": "9"})).status_code == 404


async def test_by_a_mail_to_the_shops_own_people_nobody_answers_for_the_customer(
    engine: AsyncEngine, world: World
) -> None:
    told = World(engine, world.http, world.clock, "service@shop.example")
    await told.mailed(to_staff=True)
    for link in all_pages(told.links):
        assert (await world.http.post(link, data={"score": "9"})).status_code == 404
    url = "https://shop.example/orders/7"
    assert (await world.http.get(told.links.click(url))).headers["location"] == url
    await world.http.get(told.links.pixel)
    assert await told.said() == []
    assert await told.stands() == NOTHING


async def test_one_link_is_opened_so_often_and_no_more_for_a_minute(world: World) -> None:
    answers = [(await world.http.get(world.links.preferences)).status_code for _ in range(AT_MOST + 1)]
    assert answers == [200] * AT_MOST + [429]
    assert (await world.http.post(world.links.unsubscribe)).status_code == 200
    world.clock.pass_by(timedelta(minutes=1))
    assert (await world.http.get(world.links.preferences)).status_code == 200


async def test_a_click_leads_on_and_is_noted_once_for_each_address_without_confirming_anything(world: World) -> None:
    url = "https://shop.example/mug?a=1&b=2"
    for _ in range(2):
        answer = await world.http.get(world.links.click(url))
        assert (answer.status_code, answer.headers["location"]) == (302, url)
    (event,) = await world.said()
    assert (event.name, event.properties["url"]) == ("Message Clicked", url)
    assert "address" not in event.properties


@pytest.mark.parametrize(("method", "headers"), [("HEAD", {}), ("GET", {"sec-purpose": "prefetch;prerender"})])
async def test_a_click_that_nobody_made_leads_on_and_is_not_noted(
    world: World, method: str, headers: dict[str, str]
) -> None:
    answer = await world.http.request(method, world.links.click("https://shop.example/"), headers=headers)
    assert answer.status_code == 302
    await world.http.request(method, world.links.pixel, headers=headers)
    assert await world.names() == []


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "ftp://shop.example/"])
async def test_a_click_leads_to_web_pages_only(world: World, url: str) -> None:
    answer = await world.http.get(world.links.click(url))
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_a_forged_click_leads_nowhere(world: World) -> None:
    link = world.links.click("https://shop.example/")
    assert (await world.http.get(link[:-4] + "AAAA")).status_code == 404


async def test_an_open_picture_is_a_dot_and_noted_once(world: World) -> None:
    for _ in range(2):
        answer = await world.http.get(world.links.pixel)
        assert answer.headers["content-type"] == "image/gif"
        assert answer.content.startswith(b"GIF89a")
    assert await world.names() == ["Message Opened"]


async def test_pages_run_nothing_and_leave_no_trace_of_the_link(world: World) -> None:
    answer = await world.http.get(world.links.preferences)
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    (nonce,) = re.findall(r"style-src 'nonce-([^']+)'", policy)
    assert f'<style nonce="{nonce}">' in answer.text
    assert 'style="' not in answer.text
    assert (answer.headers["referrer-policy"], answer.headers["cache-control"]) == ("no-referrer", "no-store")


async def test_pages_speak_the_customers_language(engine: AsyncEngine, world: World) -> None:
    other = World(engine, world.http, world.clock, world.address)
    await other.mailed(Profile(traits={"locale": "de-AT"}, root=Root(kind="user_id", value="u2")))
    shown = (await world.http.get(other.links.unsubscribe)).text
    assert '<html lang="de">' in shown
    assert "Abmelden" in shown


async def test_operators_routes_are_not_below_the_pages(world: World) -> None:
    assert (await world.http.get("/m/v1/messages")).status_code == 404


async def test_an_operator_suppresses_lists_and_lifts_with_a_reason(world: World) -> None:
    operator = {"authorization": f"Bearer {OPERATOR}"}
    one = {"storefront": "main-shop", "address": world.address.upper()}
    assert (await world.http.post("/v1/suppressions", json={**one, "note": "asked by phone"})).status_code == 401
    made = await world.http.post("/v1/suppressions", json={**one, "note": "asked by phone"}, headers=operator)
    assert made.status_code == 200
    assert (await world.stands()).against(marketing=False) is Why.OPERATOR
    listed = (await world.http.get("/v1/suppressions", headers=operator)).json()["suppressed"]
    (found,) = [row for row in listed if row["note"] == "asked by phone"]
    assert found["lifted_at"] is None
    assert world.address not in str(listed)
    lift = {**one, "because": "asked by phone again"}
    assert (await world.http.post("/v1/suppressions/lift", json=lift, headers=operator)).json() == {
        "lifted": ["operator"]
    }
    assert await world.stands() == NOTHING
    assert (await world.http.post("/v1/suppressions/lift", json=lift, headers=operator)).status_code == 404


JUNK: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"storefront": 7, "address": [], "note": {}, "because": null}',
    b'{"storefront": "x", "address": "", "note": "", "because": ""}',
    b'{"storefront": "a\\u0000", "address": "b\\u0000", "note": "c\\u0000", "because": "d\\u0000"}',
    b'{"storefront": "\\ud800", "address": "\\ud800", "note": "\\ud800", "because": "\\ud800"}',
    b"[" * 50_000,
    b"score=9&score=x&text=%00&address=%FF",
    b"\xff\xfe\x00",
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
async def test_junk_at_any_route_is_refused_clearly_and_changes_nothing(world: World, junk: bytes) -> None:
    paths = [
        "/v1/suppressions",
        "/v1/suppressions/lift",
        "/v1/endpoints/%00/a%00/enable",
        "/v1/endpoints/%FF/%ED%A0%80/enable",
        "/v1/customers/%00/messages",
        "/m/%00",
        "/m/u/%00",
        *all_pages(world.links)[2:],
    ]
    for path in paths:
        for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"):
            headers = {"authorization": f"Bearer {OPERATOR}", "content-type": kind}
            answer = await world.http.post(path, content=junk, headers=headers)
            assert answer.status_code < 500, (path, kind)
            if path.startswith("/v1/"):
                assert answer.status_code >= 400, (path, kind)
                said = answer.json()
                assert said.get("message") or said.get("detail"), (path, kind)
    assert await world.stands() == NOTHING
