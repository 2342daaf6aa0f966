"""The catalogue: our own shape, Shopify's and WooCommerce's, each as the notifier will read it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from platforms import RECEIVED, as_asgi, decided, shopify_headers, woocommerce_headers

from ingest.decide import Decision
from ingest.dialects import products, shopify, woocommerce
from services.contracts.products import Product, ProductGone, decode_product, gone_of_key, key_of_product
from services.contracts.topics import PRODUCTS

MUG = {
    "product_id": 17, "name": "Mug", "url": "https://shop.example/mug", "image_url": "/img/mug.jpg", "price": "12.50",
    "compare_at_price": 15, "currency": "eur", "available": True, "stock": 4, "sku": "M-1", "size": "L",
    "colour": "red", "style": "plain", "category": "Cups", "brand": "Fern",
}  # fmt: skip


def told(decision: Decision) -> list[Product | ProductGone]:
    assert decision.rejected == ()
    assert {record.topic for record in decision.records} <= {PRODUCTS}
    found: list[Product | ProductGone] = []
    for record in decision.others:
        assert record.key is not None
        one = gone_of_key(record.key) if record.value is None else decode_product(record.value)
        assert key_of_product(one) == record.key
        found.append(one)
    return found


def native(*said: dict[str, Any]) -> list[Product | ProductGone]:
    return told(decided(products.open_body(json.dumps(said[0] if len(said) == 1 else said).encode())))


def test_a_product_is_kept_with_all_that_it_says() -> None:
    assert native(MUG) == [
        Product(
            storefront="shop", product_id="17", name="Mug", url="https://shop.example/mug", image_url="/img/mug.jpg",
            price=Decimal("12.50"), compare_at_price=Decimal(15), currency="EUR", available=True, stock=4, sku="M-1",
            size="L", colour="red", style="plain", category="Cups", brand="Fern", updated_at=RECEIVED,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "price"), [("0.1", "0.1"), (0.1, "0.1"), ("19.99", "19.99"), (1e-9, "0.0000"), (7, "7")]
)
def test_a_price_is_exact(said: object, price: str) -> None:
    (product,) = native({"product_id": "p", "price": said})
    assert isinstance(product, Product)
    assert str(product.price) == price


def test_a_variant_has_a_key_of_its_own_and_what_is_deleted_is_gone() -> None:
    whole, variant, gone = native(
        {"product_id": "p"}, {"product_id": "p", "variant": 3}, {"product_id": "p", "variant": 3, "deleted": True}
    )
    assert key_of_product(whole) == b"shop\x00p"
    assert key_of_product(variant) == key_of_product(gone) == b"shop\x00p\x003"
    assert gone == ProductGone(storefront="shop", product_id="p", variant="3")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"name": "Mug"}, "missing_id"),
        ({"product_id": "x" * 201}, "bad_id"),
        ({"product_id": "a\nb"}, "bad_id"),
        ({"product_id": 1, "prise": 3}, "unknown_field"),
        ({"product_id": 1, "price": "cheap"}, "invalid"),
        ({"product_id": 1, "price": -1}, "invalid"),
        ({"product_id": 1, "price": "NaN"}, "invalid"),
        ({"product_id": 1, "compare_at_price": "1e999"}, "invalid"),
        ({"product_id": 1, "currency": "euros"}, "invalid"),
        ({"product_id": 1, "url": "javascript:alert(1)"}, "bad_url"),
        ({"product_id": 1, "url": "//evil.example/x"}, "bad_url"),
        ({"product_id": 1, "image_url": "data:image/png;base64,xx"}, "bad_url"),
        ({"product_id": 1, "updated_at": "soon"}, "bad_time"),
    ],
)
def test_what_can_t_be_meant_is_named(said: dict[str, Any], code: str) -> None:
    decision = decided(products.open_body(json.dumps([MUG, said]).encode()))
    assert [(r.index, r.refusal.code) for r in decision.rejected] == [(1, code)]
    assert len(decision.others) == 1
    assert len(decision.letters) == 1


def by_shopify(document: dict[str, Any], topic: str = "products/update") -> list[Product | ProductGone]:
    raw = json.dumps(document).encode()
    return told(decided(shopify.open_delivery(raw, as_asgi(shopify_headers(topic, raw, "secret")))))


SHIRT: dict[str, Any] = {
    "id": 788032119674292922,
    "title": "Shirt",
    "handle": "shirt",
    "vendor": "Fern",
    "product_type": "Shirts",
    "status": "active",
    "updated_at": "2026-11-22T10:00:00+01:00",
    "options": [{"name": "Color"}, {"name": "Size"}],
    "images": [{"id": 1, "src": "https://cdn.example/1.jpg"}, {"id": 2, "src": "https://cdn.example/2.jpg"}],
    "image": {"id": 1, "src": "https://cdn.example/1.jpg"},
    "variants": [
        {"id": 808950810, "title": "Red / L", "option1": "Red", "option2": "L", "price": "20.00", "sku": "S-RL",
         "compare_at_price": "25.00", "inventory_quantity": 0, "inventory_management": "shopify", "image_id": 2},
        {"id": 808950811, "title": "Blue / M", "option1": "Blue", "option2": "M", "price": "21.00", "sku": "S-BM",
         "inventory_quantity": -1, "inventory_management": "shopify", "inventory_policy": "continue"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("topic", ["products/create", "products/update"])
def test_a_shopify_product_comes_with_its_variants(topic: str) -> None:
    (product,) = by_shopify(SHIRT, topic)
    assert isinstance(product, Product)
    assert (product.product_id, product.name, product.url) == ("788032119674292922", "Shirt", "/products/shirt")
    assert (product.brand, product.category, product.image_url) == ("Fern", "Shirts", "https://cdn.example/1.jpg")
    assert (product.price, product.available, product.sku) == (None, True, None)
    assert product.updated_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    red, blue = product.variants
    assert (red.id, red.name, red.sku, red.price, red.compare_at_price) == (
        "808950810", "Red / L", "S-RL", Decimal("20.00"), Decimal("25.00")
    )  # fmt: skip
    assert (red.size, red.colour, red.image_url) == ("L", "Red", "https://cdn.example/2.jpg")
    assert (red.available, red.stock, red.url) == (False, 0, "/products/shirt?variant=808950810")
    assert (blue.available, blue.image_url) == (True, None)


def test_a_shopify_product_with_one_variant_has_its_price_and_number() -> None:
    only = {**SHIRT["variants"][0], "title": "Default Title"}
    (product,) = by_shopify({**SHIRT, "variants": [only]})
    assert isinstance(product, Product)
    assert (product.price, product.sku, product.stock) == (Decimal("20.00"), "S-RL", 0)
    assert product.variants[0].name is None


@pytest.mark.parametrize(
    ("document", "topic"),
    [
        ({"id": 7}, "products/delete"),
        ({**SHIRT, "id": 7, "status": "archived"}, "products/update"),
        ({**SHIRT, "id": 7, "status": "draft"}, "products/create"),
    ],
)
def test_what_shopify_no_longer_sells_is_gone(document: dict[str, Any], topic: str) -> None:
    assert by_shopify(document, topic) == [ProductGone(storefront="shop", product_id="7")]


def by_woocommerce(document: dict[str, Any], topic: str = "product.updated") -> list[Product | ProductGone]:
    raw = json.dumps(document).encode()
    return told(decided(woocommerce.open_delivery(raw, as_asgi(woocommerce_headers(topic, raw, "secret")))))


HOODIE: dict[str, Any] = {
    "id": 799, "name": "Ship &amp; Hoodie", "permalink": "https://shop.example/hoodie/", "type": "variable",
    "status": "publish", "sku": "H", "price": "21.99", "regular_price": "30.00", "sale_price": "21.99", "on_sale": True,
    "stock_quantity": None, "stock_status": "instock", "date_modified_gmt": "2026-11-22T08:00:00",
    "categories": [{"name": "Clothing"}], "images": [{"src": "https://shop.example/h.jpg"}],
    "attributes": [{"name": "Size", "options": ["S", "M"]}],
}  # fmt: skip


@pytest.mark.parametrize("topic", ["product.created", "product.updated", "product.restored"])
def test_a_woocommerce_product_is_kept(topic: str) -> None:
    (product,) = by_woocommerce(HOODIE, topic)
    assert product == Product(
        storefront="shop", product_id="799", name="Ship & Hoodie", url="https://shop.example/hoodie/", sku="H",
        image_url="https://shop.example/h.jpg", price=Decimal("21.99"), compare_at_price=Decimal("30.00"),
        available=True, category="Clothing", updated_at=datetime(2026, 11, 22, 8, tzinfo=UTC),
    )  # fmt: skip


def test_a_variation_is_one_of_its_product() -> None:
    said = {**HOODIE, "id": 801, "type": "variation", "parent_id": 799, "attributes": [{"name": "Size", "option": "M"}]}
    (product,) = by_woocommerce(said)
    assert isinstance(product, Product)
    assert (product.product_id, product.variant, product.size) == ("799", "801", "M")


@pytest.mark.parametrize(
    ("document", "topic"), [({"id": 799}, "product.deleted"), ({**HOODIE, "status": "draft"}, "product.updated")]
)
def test_what_woocommerce_no_longer_sells_is_gone(document: dict[str, Any], topic: str) -> None:
    assert by_woocommerce(document, topic) == [ProductGone(storefront="shop", product_id="799")]


@pytest.mark.parametrize("topic", ["products/update", "products/delete", "product.updated", "product.deleted"])
@pytest.mark.parametrize("document", [{}, {"id": 0}, {"id": {}}, {"id": "x" * 300}])
def test_a_product_without_an_id_is_kept_as_a_dead_letter(topic: str, document: dict[str, Any]) -> None:
    raw = json.dumps(document).encode()
    shopify_s = "/" in topic
    headers = as_asgi((shopify_headers if shopify_s else woocommerce_headers)(topic, raw, "secret"))
    decision = decided((shopify if shopify_s else woocommerce).open_delivery(raw, headers))
    assert [rejected.refusal.code for rejected in decision.rejected] == ["missing_id"]
    assert len(decision.letters) == 1


ODD = [None, 1, -1, "x", [], [None], {}, [{}], True, "1e9", 1e300]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_no_document_of_a_platform_s_breaks_it(odd: object) -> None:
    for read, sound in ((by_shopify, SHIRT), (by_woocommerce, HOODIE)):
        for key in sound:
            if key != "id":
                assert len(read({**sound, key: odd})) == 1
    for key in SHIRT["variants"][0]:
        assert len(by_shopify({**SHIRT, "variants": [{**SHIRT["variants"][0], key: odd}]})) == 1


def test_a_key_of_no_product_is_named() -> None:
    for key in (b"", b"shop", b"shop\x00", b"a\x00b\x00c\x00d", b"\xff\x00x"):
        with pytest.raises(ValueError, match=r"."):
            gone_of_key(key)
