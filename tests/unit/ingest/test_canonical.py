"""One vocabulary: names, numbers, ids, addresses. Both dialects go through it, here by the native one."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dialects.canonical import as_number, canonical_name, canonical_properties
from ingest.dialects.vocabulary import WHOLE
from services.contracts.events import Event
from services.contracts.vocabulary import NAMES, SPEC


def test_every_older_spelling_leads_to_the_one_name() -> None:
    assert {canonical_name(older) for older in ("Completed Order", "completed order", "COMPLETED ORDER")} == {
        "Order Completed"
    }
    for name, older in SPEC.items():
        assert {canonical_name(spelling) for spelling in (name, name.lower(), *older)} == {name}


def test_underscores_and_camels_are_spellings_too() -> None:
    assert canonical_name("order_completed") == canonical_name("orderCompleted") == "Order Completed"


def test_no_spelling_stands_for_two_names() -> None:
    for name in NAMES:
        assert canonical_name(name) == name


@given(st.text())
def test_a_name_settles_at_once(name: str) -> None:
    assert canonical_name(canonical_name(name)) == canonical_name(name)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18.90", 18.9),
        ("2", 2),
        (" 3 ", 3),
        ("-1.5", -1.5),
        ("0", 0),
        ("1,234.50", "1,234.50"),
        ("1e9", "1e9"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("", ""),
        ("Fedex", "Fedex"),
        ("٣", "٣"),
        ("9" * 16, "9" * 16),
        ("123456789012.345", 123456789012.345),
        ("123456789012.3456", "123456789012.3456"),
    ],
)
def test_only_plain_numbers_in_text_become_numbers(text: str, number: float | str) -> None:
    assert as_number(text) == number
    assert type(as_number(text)) is type(number)


@given(st.decimals(-(10**9), 10**9, places=4, allow_nan=False))
def test_an_amount_in_text_stays_exact(amount: Decimal) -> None:
    assert Decimal(str(as_number(format(amount, "f")))) == amount


def test_numbers_and_ids_are_put_right_in_products_too() -> None:
    said = {
        "total": "27.50",
        "order_id": 1001,
        "order_name": 7,
        "coupon": 10,
        "products": [{"product_id": 17, "price": "12.50", "quantity": "2", "sku": True}, "odd", None],
    }
    assert canonical_properties(said) == {
        "total": 27.5,
        "order_id": "1001",
        "order_name": 7,
        "coupon": "10",
        "products": [{"product_id": "17", "price": 12.5, "quantity": 2, "sku": True}, "odd", None],
    }


@pytest.mark.parametrize("key", sorted(WHOLE))
def test_what_is_counted_is_whole_however_it_was_written(key: str) -> None:
    for said, counted in (
        ("2.0", 2),
        (2.0, 2),
        ("2", 2),
        (2, 2),
        ("1.5", 1.5),
        (1.5, 1.5),
        ("two", "two"),
        (True, True),
    ):
        found = canonical_properties({"price": "2.0", "products": [{key: said}]})["products"][0][key]
        assert (found, type(found)) == (counted, type(counted))


def test_what_is_no_number_keeps_its_text() -> None:
    said = {"position": "home_banner_top", "shipping": "Fedex", "value": None, "price": [1]}
    assert canonical_properties(said) == said


def test_names_of_people_are_found_under_one_key(event: Callable[..., Event]) -> None:
    traits = event({"id": "e", "name": "n", "traits": {"firstName": "Ada", "lastName": "L"}}, "native").traits
    assert traits == {"firstName": "Ada", "lastName": "L", "first_name": "Ada", "last_name": "L"}
    both = event({"id": "e", "name": "n", "traits": {"firstName": "A", "first_name": "Ada"}}, "native").traits
    assert both["first_name"] == "Ada"


@pytest.mark.parametrize("name", ["Order Completed", "Checkout Started", "Email Subscribed", "Enquiry Made"])
def test_an_order_s_or_a_sign_up_s_address_is_the_customer_s(event: Callable[..., Event], name: str) -> None:
    who = event({"id": "e", "name": name, "properties": {"email": "a@b.example", "phone": 4930123}}, "native").who
    assert (who.email, who.phone) == ("a@b.example", "4930123")


@pytest.mark.parametrize("name", ["Product Shared", "Cart Shared", "Product Viewed", "Something Else", "Order Shipped"])
def test_other_events_properties_name_nobody(event: Callable[..., Event], name: str) -> None:
    assert event({"id": "e", "name": name, "properties": {"email": "friend@b.example"}}, "native").who.email is None


def test_what_is_said_outright_comes_before_traits_and_these_before_properties(event: Callable[..., Event]) -> None:
    said = {"id": "e", "name": "Order Completed", "properties": {"email": "p@b.example"}}
    assert event(said, "native").who.email == "p@b.example"
    said["traits"] = {"email": "t@b.example"}
    assert event(said, "native").who.email == "t@b.example"
    said["email"] = "o@b.example"
    assert event(said, "native").who.email == "o@b.example"


@pytest.mark.parametrize("email", [None, "", " ", True, ["a@b.example"], "x" * 501])
def test_what_can_be_no_address_is_passed_over(event: Callable[..., Event], email: object) -> None:
    assert event({"id": "e", "name": "n", "traits": {"email": email}}, "native").who.email is None


def test_a_cart_s_token_names_its_holder(event: Callable[..., Event]) -> None:
    assert event({"id": "e", "name": "Cart Updated", "properties": {"cart_token": 77}}, "native").who.cart_token == "77"
