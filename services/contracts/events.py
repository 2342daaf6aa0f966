"""An event as it travels on `storefront.events`: one thing that happened, in one vocabulary whatever client said it."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final

import msgspec

from services.contracts.identity import Who, identities_of

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its offset; without one it is refused, since nobody knows when it was."""


class SaidBy(StrEnum):
    """Taken from the kind of the write key, never from the body: keys of web pages are public."""

    SERVER = "server"
    BROWSER = "browser"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    `id` is the client's, at most 200 characters; times are UTC with microseconds and `occurred_at` is never later than
    `received_at`. `properties` are of the event, `traits` of the customer, `context` of the call (page, campaign, …).
    `imported_at` is when the import of old events began that brought it, None for what was told as it happened: what
    follows from it before that time starts no follow-up. `network` stands for the network that a browser called from: a
    keyed hash, good for counting and for nothing else.
    """

    id: str
    storefront: str
    name: str
    who: Who
    occurred_at: Moment
    received_at: Moment
    said_by: SaidBy
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    traits: dict[str, Any] = msgspec.field(default_factory=dict)
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    imported_at: Moment | None = None
    network: str | None = None


class Name:
    """Names that code refers to. The full vocabulary is in docs/events.md; unknown names are kept and folded too."""

    CUSTOMER_IDENTIFIED: Final = "Customer Identified"
    IDENTITY_ALIASED: Final = "Identity Aliased"
    GROUP_JOINED: Final = "Group Joined"
    PAGE_VIEWED: Final = "Page Viewed"
    SCREEN_VIEWED: Final = "Screen Viewed"
    PRODUCT_VIEWED: Final = "Product Viewed"
    PRODUCT_ADDED: Final = "Product Added"
    PRODUCT_REMOVED: Final = "Product Removed"
    CART_UPDATED: Final = "Cart Updated"
    CHECKOUT_STARTED: Final = "Checkout Started"
    ORDER_COMPLETED: Final = "Order Completed"
    ORDER_REPORTED: Final = "Order Reported"
    ORDER_UPDATED: Final = "Order Updated"
    ORDER_CANCELLED: Final = "Order Cancelled"
    ORDER_REFUNDED: Final = "Order Refunded"
    STAGE_SET: Final = "Stage Set"
    EMAIL_SUBSCRIBED: Final = "Email Subscribed"
    EMAIL_UNSUBSCRIBED: Final = "Email Unsubscribed"
    SUBSCRIPTION_REQUESTED: Final = "Email Subscription Requested"
    SURVEY_ANSWERED: Final = "Survey Answered"
    MESSAGE_SENT: Final = "Message Sent"
    MESSAGE_OPENED: Final = "Message Opened"
    MESSAGE_CLICKED: Final = "Message Clicked"
    MESSAGE_BOUNCED: Final = "Message Bounced"
    MESSAGE_COMPLAINED: Final = "Message Complained"


MESSAGE_EVENTS: Final = frozenset(
    {
        Name.MESSAGE_SENT,
        Name.MESSAGE_OPENED,
        Name.MESSAGE_CLICKED,
        Name.MESSAGE_BOUNCED,
        Name.MESSAGE_COMPLAINED,
    }
)
"""Said by our own mail, not by the customer's doing: they never count as activity."""

OF_A_MESSAGE: Final = {"source": "stagepost"}
"""The `context` of what the notifier says: what its mail met with, and what was answered by a link in one."""


def is_of_a_message(event: Event) -> bool:
    """Its `who` is a customer's root, which says nothing new of them: no address is learnt from it."""
    return event.said_by is SaidBy.SERVER and event.context.get("source") == OF_A_MESSAGE["source"]


class Rank(IntEnum):
    """Which of two events of one instant comes first. Shops' clocks have whole seconds, so ties are the rule.

    Stored as a smallint beside each event: numbers are for ever, gaps are for what comes later.
    """

    VIEW = 10
    CART = 20
    CHECKOUT = 30
    ORDER = 40
    SHIPMENT = 50
    REFUND = 60


_RANKED: Final = {
    Rank.CART: (
        "Product Added", "Product Removed", "Cart Updated", "Cart Viewed", "Cart Shared",
        "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
        "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed",
    ),
    Rank.CHECKOUT: (
        "Checkout Started", "Checkout Step Viewed", "Checkout Step Completed", "Payment Info Entered", "Payment Failed",
    ),
    Rank.ORDER: ("Order Completed", "Order Reported", "Order Updated"),
    Rank.SHIPMENT: ("Order Shipped", "Order Delivered"),
    Rank.REFUND: ("Order Cancelled", "Order Refunded"),
}  # fmt: skip
_RANK_OF: Final = {name: rank for rank, names in _RANKED.items() for name in names}


def rank_of(name: str) -> Rank:
    """Everything without a rank of its own (views, searches, surveys, unknown names) comes with the views."""
    return _RANK_OF.get(name, Rank.VIEW)


_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    return _encoder.encode(event)


def decode_event(value: bytes) -> Event:
    """Raises `msgspec.DecodeError` (with the path of what is wrong) for what is not an event."""
    return _decoder.decode(value)


def record_key(event: Event) -> bytes:
    """The key on the topic: the strongest identity, so that one customer's events mostly share a partition.

    Only locality hangs on it. Two partitions may hold one customer's events and the fold comes out the same.
    """
    strongest = identities_of(event.who, event.id)[0]
    return f"{event.storefront}\x00{strongest.kind.field}\x00{strongest.value}".encode()
