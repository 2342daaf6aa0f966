"""Each follow-up that comes along, from calls over HTTP to the mail in the inbox; and what ends it ends it."""

import asyncio
import html
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from stacks import RunningStack, StartStack
from visiting import FERN, Visit

from notifier.shipped import shipped

Eventually = Callable[..., Awaitable[None]]
Said = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What starts a follow-up, what ends it, and the subjects of its mails, oldest first."""

    start: list[Said]
    end: Said
    subjects: list[str]
    to: str | None = None
    words: str | None = None
    """That stand in each of them, in HTML and text."""


ORDER: Said = ("Order Completed", {"order_id": "o1", "total": "49.80", "currency": "EUR", "products": [FERN]})
ANOTHER: Said = ("Order Completed", {"order_id": "o2", "total": "49.80", "currency": "EUR", "products": [FERN]})
CANCELLED: Said = ("Order Cancelled", {"order_id": "o1"})
REFUNDED: Said = ("Order Refunded", {"order_id": "o1"})
DELIVERED: Said = ("Order Delivered", {"order_id": "o1"})
PARCEL = "https://fern-and-fable.example/parcels/7"
STORIES = {
    "abandoned-cart": Story(
        start=[("Product Added", {"cart_id": "c1", **FERN})],
        end=ORDER,
        subjects=["Ann, your cart is waiting", "10% off what you left in your cart"],
    ),
    "checkout-abandoned": Story(
        start=[("Checkout Started", {"checkout_id": "k1", "products": [FERN]})],
        end=ORDER,
        subjects=["Ann, your order is not finished yet"],
    ),
    "payment-failed": Story(
        start=[("Payment Failed", {"checkout_id": "k1"})], end=ORDER, subjects=["Your payment did not go through"]
    ),
    "browse-abandonment": Story(
        start=[("Product Viewed", {**FERN}), ("Product Viewed", {**FERN})],
        end=("Product Added", {"cart_id": "c1", **FERN}),
        subjects=["Still looking at Boston fern?"],
    ),
    "welcome": Story(
        start=[("Email Subscribed", {})],
        end=("Email Unsubscribed", {}),
        subjects=["Welcome to Fern & Fable: 10% off your first order"],
    ),
    "onboarding": Story(
        start=[ORDER],
        end=CANCELLED,
        subjects=[
            "Making the most of your order",
            "How to get more out of it",
            "Is there anything you would like to know?",
        ],
    ),
    "thank-you": Story(start=[ORDER], end=CANCELLED, subjects=["Thank you for your order o1"]),
    "order-shipped": Story(
        start=[ORDER, ("Order Shipped", {"order_id": "o1", "tracking_url": PARCEL})],
        end=DELIVERED,
        subjects=["Your order o1 is on its way"],
    ),
    "delivery-check-in": Story(
        start=[ORDER, DELIVERED], end=REFUNDED, subjects=["Is everything all right with your order?"]
    ),
    "csat-survey": Story(start=[ORDER, DELIVERED], end=REFUNDED, subjects=["How did we do?"]),
    "review-request": Story(start=[ORDER, DELIVERED], end=REFUNDED, subjects=["How do you like Boston fern?"]),
    "after-purchase-discount": Story(start=[ORDER], end=ANOTHER, subjects=["10% off next time, as a thank-you"]),
    "nps-survey": Story(start=[ORDER, DELIVERED], end=REFUNDED, subjects=["Would you recommend us?"]),
    "referral-invitation": Story(
        start=[("Survey Answered", {"kind": "nps", "score": 9})],
        end=("Survey Answered", {"kind": "nps", "score": 5}),
        subjects=["You would recommend us. Who should know?"],
    ),
    "unhappy-answer": Story(
        start=[("Survey Answered", {"kind": "csat", "score": 1, "comment": "It came with a crack & nobody answers."})],
        end=("Survey Answered", {"kind": "csat", "score": 5}),
        subjects=["Ann is not happy"],
        to="service@fern-and-fable.example",
        words="It came with a crack & nobody answers.",
    ),
    "at-risk": Story(start=[ORDER], end=ANOTHER, subjects=["Ann, it has been a while"]),
    "win-back": Story(start=[ORDER], end=ANOTHER, subjects=["Ann, we miss you"]),
}
"""All but `confirm-subscription`, which test_double_opt_in.py sees through."""


@pytest.fixture(scope="module")
def everything_on(start_stack: StartStack) -> Iterator[RunningStack]:
    stack = start_stack("--shop", str(Path(__file__).with_name("shipped_shop")), "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


async def starts(visit: Visit, story: Story) -> None:
    await visit.post("Customer Identified", email=visit.email, traits={"first_name": "Ann"})
    for said in story.start:
        await says(visit, said)


async def says(visit: Visit, said: Said) -> None:
    """With ids of this visitor's own, since all of them share a shop."""
    name, properties = said
    own = {
        key: f"{value}-{visit.run}" if key in ("cart_id", "checkout_id") else value for key, value in properties.items()
    }
    await visit.post(name, email=visit.email, properties=own)


async def statuses(visit: Visit, follow_up: str) -> dict[str, str]:
    """Of its messages, by their ids."""
    if not await visit.customers():
        return {}
    return {message["id"]: message["status"] for message in await visit.messages() if message["follow_up"] == follow_up}


async def test_each_is_received(everything_on: RunningStack, http: httpx.AsyncClient, eventually: Eventually) -> None:
    async def received(name: str, story: Story) -> None:
        visit = Visit(http, everything_on.endpoints)
        await starts(visit, story)

        async def there() -> bool:
            return set(story.subjects) <= set(await visit.mails(story.to))

        try:
            await eventually(there, within=150)
        except TimeoutError:
            missing.append(name)
            return
        mails = [subject for subject in reversed(await visit.mails(story.to)) if subject in story.subjects]
        assert mails == story.subjects, "each once, in its order"
        if story.words is not None:
            (written,) = await visit.parts(mails[0], story.to)
            assert all(story.words in html.unescape(part) for part in written)

    missing: list[str] = []
    await asyncio.gather(*(received(name, story) for name, story in STORIES.items()))
    assert missing == []


async def test_what_ends_it_ends_it(
    everything_on: RunningStack, http: httpx.AsyncClient, eventually: Eventually
) -> None:
    """While its message waits for its time, it happens; then that message does not go out."""

    async def ended(name: str, story: Story) -> None:
        visit = Visit(http, everything_on.endpoints)
        await starts(visit, story)

        async def waits() -> bool:
            return set((await statuses(visit, name)).values()) == {"pending"}

        async def over() -> bool:
            now = await statuses(visit, name)
            return {now[message] for message in waiting} <= {"cancelled", "withheld"}

        waiting: set[str] = set()
        try:
            await eventually(waits, within=150)
            waiting |= set(await statuses(visit, name))
            await says(visit, story.end)
            await eventually(over, within=60)
        except TimeoutError:
            not_ended[name] = await statuses(visit, name)

    not_ended: dict[str, dict[str, str]] = {}
    await asyncio.gather(*(ended(name, story) for name, story in STORIES.items()))
    assert not_ended == {}


def test_every_one_that_comes_along_has_its_story() -> None:
    assert set(STORIES) | {"confirm-subscription"} == set(shipped())
