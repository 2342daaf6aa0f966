"""What only a browser named is called and priced by the catalogue, and no word of the browser's comes into a mail."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.catalogue import Catalogue, Entry, asked_for, entries_of, filled
from services.contracts.changes import Subject
from services.contracts.products import Product, Variant
from tests.unit.notifier.test_render import shop

SHIRT = Product(
    storefront="shop",
    product_id="17",
    name="Shirt",
    url="/products/shirt",
    image_url="https://cdn.example/1.jpg",
    variants=(
        Variant(id="8", name="Red / L", sku="S-RL", price=Decimal("20.00"), url="/products/shirt?variant=8"),
        Variant(id="9", size="M", colour="Blue", sku="S-BM", price=Decimal("21.00"), image_url="/b.jpg"),
    ),
)
MUG = Product(storefront="shop", product_id="mug", name="Mug", sku="M-1", price=Decimal("12.5"), currency="EUR")
CATALOGUE = Catalogue((*entries_of(SHIRT), *entries_of(MUG)))
SHOP = shop(url="https://shop.example/", currency="EUR")


def one(item: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401  fields of a Subject
    (found,) = filled(Subject(items=[item], **more), "cart", CATALOGUE, SHOP).items
    return found


def test_what_only_a_browser_named_has_the_catalogue_s_name_price_picture_and_link() -> None:
    assert one({"product_id": "17", "variant": "8", "quantity": 2}) == {
        "product_id": "17",
        "variant": "Red / L",
        "quantity": 2,
        "name": "Shirt",
        "price": "20.00",
        "url": "https://shop.example/products/shirt?variant=8",
        "image_url": "https://cdn.example/1.jpg",
    }


@pytest.mark.parametrize(
    ("item", "name", "variant"),
    [
        ({"product_id": "17"}, "Shirt", None),
        ({"product_id": "17", "variant": "Red / L"}, "Shirt", "Red / L"),
        ({"product_id": "17", "variant": "9"}, "Shirt", "M / Blue"),
        ({"product_id": "17", "sku": "S-BM"}, "Shirt", "M / Blue"),
        ({"product_id": "17", "variant": "<b>free</b>"}, "Shirt", None),
        ({"sku": "S-RL"}, "Shirt", "Red / L"),
        ({"product_id": "S-RL"}, "Shirt", "Red / L"),
        ({"product_id": "8"}, "Shirt", "Red / L"),
        ({"product_id": "M-1"}, "Mug", None),
        ({"product_id": "other", "sku": "M-1"}, "Mug", None),
    ],
)
def test_a_thing_is_found_by_product_variant_or_number(item: dict[str, Any], name: str, variant: str | None) -> None:
    found = one({**item, "quantity": 1})
    assert (found["name"], found.get("variant")) == (name, variant)


def test_what_is_not_sold_stays_as_it_was() -> None:
    item = {"product_id": "nothing", "variant": "red", "quantity": 1}
    assert one(item) == item


@pytest.mark.parametrize("item", [{"sku": "unknown"}, {"variant": "8"}, {}])
def test_what_names_no_product_is_no_product(item: dict[str, Any]) -> None:
    """Beside it lie the things of other customers, whose messages are due at the same time."""
    assert one({**item, "quantity": 1}) == {**item, "quantity": 1}


def test_what_a_server_told_is_not_overruled() -> None:
    told = {"product_id": "17", "variant": "8", "name": "Shirt, reduced", "price": "15.00", "quantity": 1}
    found = one(told, value="15.00")
    assert {name: found[name] for name in told} == told
    assert found["url"] == "https://shop.example/products/shirt?variant=8"


def test_what_a_server_told_whole_is_not_asked_for() -> None:
    whole = {
        "product_id": "1",
        "name": "n",
        "price": "1",
        "url": "https://x.example",
        "image_url": "https://x.example/i",
    }
    assert asked_for(Subject(items=[whole, {"product_id": "2", "sku": "s"}, {"variant": "v"}])) == {"2", "s"}


def test_a_cart_of_which_everything_has_a_price_has_a_value() -> None:
    items = [{"product_id": "17", "variant": "8", "quantity": 2}, {"product_id": "mug", "quantity": 3}]
    assert filled(Subject(items=items, currency="EUR"), "cart", CATALOGUE, SHOP).value == "77.50"
    unknown = [*items, {"product_id": "?", "quantity": 1}]
    assert filled(Subject(items=unknown, currency="EUR"), "cart", CATALOGUE, SHOP).value is None
    assert filled(Subject(items=items, currency="EUR", value="70.00"), "cart", CATALOGUE, SHOP).value == "70.00"


def test_a_sum_of_the_lines_that_had_a_price_grows_with_those_that_get_one() -> None:
    told = {"product_id": "told", "name": "Told", "price": "10.00", "quantity": 1}
    cart = Subject(items=[told, {"product_id": "mug", "quantity": 2}], currency="EUR", value="10.00")
    assert filled(cart, "cart", CATALOGUE, SHOP).value == "35.00"
    unknown = msgspec.structs.replace(cart, items=[*cart.items, {"product_id": "?", "quantity": 1}])
    assert filled(unknown, "cart", CATALOGUE, SHOP).value is None
    fine = msgspec.structs.replace(
        cart, items=[{**told, "price": "0.0125", "quantity": 2}, cart.items[1]], value="0.025"
    )
    assert filled(fine, "cart", CATALOGUE, SHOP).value == "25.0250", "however many places it is said with"
    other = msgspec.structs.replace(cart, value="14.90")
    assert filled(other, "cart", CATALOGUE, SHOP).value == "14.90", "somebody reckoned otherwise"


def test_what_an_order_cost_is_its_own_word() -> None:
    """What has no price in it may have been a present."""
    told = {"product_id": "told", "name": "Told", "price": "10.00", "quantity": 1}
    order = Subject(items=[told, {"product_id": "mug", "quantity": 1}], currency="EUR", value="10.00")
    after = filled(order, "order", CATALOGUE, SHOP)
    assert after.value == "10.00"
    assert [(item["name"], item.get("price")) for item in after.items] == [("Told", "10.00"), ("Mug", None)]


def test_a_price_in_another_currency_is_none() -> None:
    assert "price" not in one({"product_id": "mug", "quantity": 1}, currency="USD")
    shirt = {"product_id": "17", "quantity": 1}
    assert "price" not in one({**shirt, "variant": "8"}, currency="USD"), "without a currency it is in the storefront's"
    assert one({**shirt, "variant": "8"}, currency="EUR")["price"] == "20.00"
    told = {"product_id": "told", "name": "Told", "price": "10.00", "quantity": 1}
    pounds = Catalogue([Entry(product_id="tea", name="Tea", price=Decimal(3), currency="GBP")])
    mixed = filled(Subject(items=[{"product_id": "tea", "quantity": 1}, told]), "cart", pounds, SHOP)
    assert (mixed.currency, mixed.items[0].get("price")) == (None, None), "what was told is in the storefront's"
    subject = filled(Subject(items=[{"product_id": "mug", "quantity": 1}]), "cart", CATALOGUE, SHOP)
    assert (subject.currency, subject.items[0]["price"]) == ("EUR", "12.5")


@given(
    st.lists(
        st.fixed_dictionaries(
            {"quantity": st.integers(1, 5)},
            optional={
                "product_id": st.sampled_from(["17", "mug", "8", "?"]),
                "sku": st.sampled_from(["S-RL", "M-1", "?"]),
                "variant": st.sampled_from(["8", "Red / L", "BROWSER"]),
            },
        ),
        max_size=4,
    )
)
def test_no_variant_that_a_browser_made_up_stands_beside_a_name(items: list[dict[str, Any]]) -> None:
    after = filled(Subject(items=items), "cart", CATALOGUE, SHOP)
    assert [item["quantity"] for item in after.items] == [item["quantity"] for item in items]
    for item in after.items:
        if "name" in item:
            assert item.get("variant") != "BROWSER"
    assert filled(after, "cart", CATALOGUE, SHOP).items == after.items
