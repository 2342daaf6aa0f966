"""The sample shop's visitors: what `visitors.yaml` says of them, as events in the order of their times."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from services.contracts.storefront import Storefront
from services.shop import YamlFile


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    price: float


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`at` is in seconds after the start. A `product` fills in what the shop knows of it."""

    at: float
    event: str
    product: str | None = None
    quantity: int = 1
    properties: dict[str, Any] = {}


class Visitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    story: str
    mails: list[str]
    steps: list[Step]


class Visitors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    products: dict[str, Product]
    visitors: list[Visitor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One event to post, `at` seconds after the start, on behalf of `who`."""

    at: float
    who: str
    event: dict[str, Any]


def read_visitors(shop: Path) -> Visitors:
    return YamlFile(shop / "visitors.yaml").read([], Visitors)


def calls(visitors: Visitors, shop: Storefront, run: str) -> list[Call]:
    """Everything that the visitors do, in order. `run` makes this run's names its own."""
    made = [
        call
        for number, visitor in enumerate(visitors.visitors, 1)
        for call in _Visit(visitor, visitors.products, shop, run, number).calls()
    ]
    return sorted(made, key=lambda call: call.at)


def user_id(visitor: Visitor, run: str) -> str:
    return f"{visitor.name.lower()}-{run}"


def device_id(visitor: Visitor, run: str) -> str:
    return f"device-of-{user_id(visitor, run)}"


def address(visitor: Visitor, run: str) -> str:
    return f"{user_id(visitor, run)}@example.com"


class _Visit:
    """One visitor's way: a device first, an account from `Customer Identified` on, and what lies in the cart."""

    def __init__(self, visitor: Visitor, products: dict[str, Product], shop: Storefront, run: str, number: int) -> None:
        self._visitor = visitor
        self._products = products
        self._shop = shop
        self._run = run
        self._number = number
        self._who: dict[str, str] = {"anonymous_id": device_id(visitor, run)}
        self._lines: list[dict[str, Any]] = []
        self._carts = 0

    def calls(self) -> list[Call]:
        return [Call(at=step.at, who=self._visitor.name, event=self._event(step)) for step in self._visitor.steps]

    def _event(self, step: Step) -> dict[str, Any]:
        traits: dict[str, Any] = {}
        properties = dict(step.properties)
        if step.event == "Customer Identified":
            self._who |= {"user_id": user_id(self._visitor, self._run), "email": address(self._visitor, self._run)}
            traits = {"first_name": self._visitor.name}
        if step.product is not None:
            properties |= self._line(step.product, step.quantity)
        match step.event:
            case "Product Added":
                self._carts += not self._lines
                self._lines.append(self._line(step.product or "", step.quantity))
                properties["cart_id"] = self._cart()
            case "Checkout Started":
                properties |= {"cart_id": self._cart(), "products": self._lines, "currency": self._shop.currency}
            case "Order Completed":
                properties |= self._order()
        return {
            "id": secrets.token_hex(12),
            "name": step.event,
            **self._who,
            "properties": properties,
            **({"traits": traits} if traits else {}),
        }

    def _line(self, product: str, quantity: int) -> dict[str, Any]:
        known = self._products[product]
        return {
            "product_id": product,
            "name": known.name,
            "price": known.price,
            "quantity": quantity,
            "url": f"{self._shop.url}/products/{product}",
            "image_url": f"{self._shop.url}/pictures/{product}.jpg",
        }

    def _cart(self) -> str:
        return f"cart-{user_id(self._visitor, self._run)}-{self._carts}"

    def _order(self) -> dict[str, Any]:
        lines, self._lines = self._lines, []
        total = sum(line["price"] * line["quantity"] for line in lines)
        return {
            "order_id": f"{self._run.upper()}-{self._number}{self._carts}",
            "cart_id": self._cart(),
            "products": lines,
            "total": f"{total:.2f}",
            "revenue": f"{total:.2f}",
            "currency": self._shop.currency,
        }
