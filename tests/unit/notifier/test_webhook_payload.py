"""What a webhook says of a message, and of its customer no more than the endpoint is told."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from notifier.coupons import Issued
from notifier.guard import Message
from notifier.holdings import Customer, Instance, Move
from notifier.webhook_payload import payload_of
from services.contracts.changes import Address, Cause, Profile, Subject
from services.contracts.events import SaidBy
from services.contracts.storefront import Endpoint
from tests.unit.notifier.builders import ABANDONED_CART, NOON, uid

PROFILE = Profile(
    traits={"first_name": "Ada", "vip": True},
    claims={"note": "typed by a stranger"},
    addresses={
        "email": Address(value="ada@mail.example", said_by=SaidBy.SERVER),
        "phone": Address(value="+49301234567", said_by=SaidBy.BROWSER),
    },
)
CART = Instance(
    instance=uid("cart-1"),
    customer_id=uid("ada"),
    track="cart",
    key="cart-1",
    stage="abandoned",
    since=NOON,
    subject=Subject(items=[{"product_id": "mug", "quantity": 2}], value="37.00", currency="EUR"),
    moves=(
        Move(
            id=uid("move"),
            to_stage="abandoned",
            at=NOON,
            cause=Cause(identity=uid("i"), event_id="e1"),
            starts=True,
            facts={"revenue": "12.50"},
        ),
    ),
    moved_by=0,
)


@dataclass(frozen=True)
class Due:
    message: Message
    customer: Customer
    instance: Instance


def said(*tells: Any, coupon: Issued | None = None) -> dict[str, Any]:  # noqa: ANN401  what an endpoint may be told
    message = Message(
        id=uid("m"),
        step=1,
        occasion=uid("occasion"),
        transition=uid("move"),
        expires_at=NOON + ABANDONED_CART.max_age,
    )
    due = Due(message, Customer(id=uid("ada"), storefront="main-shop", profile=PROFILE), CART)
    endpoint = Endpoint(url="https://hooks.example/", tells=list(tells))
    body = payload_of(due, ABANDONED_CART, endpoint, variant="a", coupon=coupon)
    payload: dict[str, Any] = json.loads(body)
    return payload


def test_it_says_what_became_due_and_of_what() -> None:
    payload = said()
    assert (payload["type"], payload["timestamp"]) == ("follow_up.due", "2026-11-22T12:00:00Z")
    data = payload["data"]
    assert (data["storefront"], data["follow_up"], data["step"]) == ("main-shop", "abandoned-cart", 1)
    assert (data["customer_id"], data["track"], data["key"], data["stage"]) == (
        str(uid("ada")),
        "cart",
        "cart-1",
        "abandoned",
    )
    assert data["moved"] == {"to": "abandoned", "at": "2026-11-22T12:00:00Z", "facts": {"revenue": "12.50"}}
    assert data["subject"]["value"] == "37.00"
    assert data["subject"]["items"] == [{"product_id": "mug", "quantity": 2}]


@pytest.mark.parametrize(
    ("tells", "told"),
    [
        ((), {}),
        (("email",), {"email": "ada@mail.example"}),
        (("phone",), {}),  # only a web page said it
        (("name",), {"traits": {"first_name": "Ada"}}),
        (("email", "name", "traits"), {"email": "ada@mail.example", "traits": {"first_name": "Ada", "vip": True}}),
    ],
)
def test_of_the_customer_it_says_no_more_than_the_endpoint_is_told(
    tells: tuple[str, ...], told: dict[str, Any]
) -> None:
    assert said(*tells)["data"]["customer"] == told


def test_what_a_stranger_typed_is_never_said() -> None:
    assert "stranger" not in json.dumps(said("email", "phone", "name", "traits"))


def test_a_coupon_is_said_as_it_would_be_mailed() -> None:
    data = said(coupon=Issued(code="BACK-1", worth="10 %", expires_at=NOON))["data"]
    assert data["coupon"] == {"code": "BACK-1", "worth": "10 %", "expires_at": "2026-11-22T12:00:00Z"}
    assert data["variant"] == "a"
