"""A call in the address of a picture says what the same call says in a body."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decide import Decision, decide
from ingest.dialects import pixel
from ingest.dialects.reading import Call
from ingest.limits import Limits
from ingest.openapi import document
from ingest.routes import HOT_ROUTES, PIXEL_ROUTES, PixelRoute
from services.contracts.events import Event, SaidBy, decode_event
from services.contracts.identity import Who
from services.errors import BadRequest

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def told(query: str, kind: str = "track") -> Decision:
    call = Call(storefront="shop", said_by=SaidBy.BROWSER, received_at=NOW, new_id=lambda: "made")
    return decide(pixel.open_query(query.encode("latin-1"), kind=kind), call, Limits(), route="/pixel")


def event(query: str, kind: str = "track") -> Event:
    (record,) = told(query, kind).events
    return decode_event(record.value or b"")


def test_dots_lead_into_objects_and_numbers_become_numbers() -> None:
    found = event(
        "writeKey=k&event=Viewed+Product&anonymousId=a1&userId=u1&messageId=m1&properties.product_id=17"
        "&properties.price=12.50&context.page.url=https%3A%2F%2Fshop.example%2F%3Fa%3D1"
    )
    assert (found.id, found.name, found.who) == ("m1", "Product Viewed", Who(user_id="u1", anonymous_id="a1"))
    assert found.properties == {"product_id": "17", "price": 12.5}
    assert found.context == {"page": {"url": "https://shop.example/?a=1"}}


def test_a_page_says_its_name_and_may_have_none() -> None:
    assert event("anonymousId=a&name=Caf%C3%A9&type=track", "page").properties == {"name": "Café"}
    assert event("anonymousId=a", "page").name == "Page Viewed"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("anonymousId=a", "missing_name"),
        ("event=Product+Viewed", "missing_id"),
        ("event=x&anonymousId=a&properties=1", "invalid"),
        ("event=x&anonymousId=a%00", "bad_text"),
        ("event=x&anonymousId=a&properties.long=" + "x" * 40_000, "too_large"),
    ],
)
def test_what_can_t_be_taken_is_named(query: str, code: str) -> None:
    assert [rejected.refusal.code for rejected in told(query).rejected] == [code]


def test_too_many_parameters_are_refused_outright() -> None:
    with pytest.raises(BadRequest):
        told("&".join(f"p{n}=1" for n in range(1000)))


def test_a_name_that_is_a_text_and_an_object_is_what_came_first() -> None:
    assert event("event=x&anonymousId=a&context.page=1&context.page.url=2").context == {"page": "1"}
    assert event("event=x&anonymousId=a&context.page.url=2&context.page=1").context == {"page": {"url": "2"}}


@given(st.dictionaries(st.text("ab.x", max_size=300), st.text(max_size=20), max_size=8))
def test_no_address_breaks_it(said: dict[str, str]) -> None:
    query = urlencode({f"properties.{name}": value for name, value in said.items()}, errors="replace")
    decision = told(f"event=x&anonymousId=a&{query}")
    assert decision.received == 1
    assert {r.refusal.code for r in decision.rejected} <= {"bad_text", "too_deep"}


@pytest.mark.parametrize("route", PIXEL_ROUTES, ids=lambda route: route.path)
def test_the_documented_example_is_taken(route: PixelRoute) -> None:
    get = document({}, HOT_ROUTES, (), PIXEL_ROUTES)["paths"][route.path]["get"]
    query = urlencode({parameter["name"]: parameter["example"] for parameter in get["parameters"]})
    assert told(query, route.kind).rejected == ()


def test_the_key_does_not_come_into_the_dead_letter() -> None:
    (letter,) = told("writeKey=spwk_secret&anonymousId=a").letters
    assert b"spwk_secret" not in (letter.value or b"")
