"""The order book: one row per order, however often and by whom it was reported. Pure.

The latest copy gives the amounts; refunds stand beside them, also when they come first. Rows live outside a customer's
state, since a good customer has thousands; the fold reads those that its events name and returns those that changed.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from services.contracts.events import Event, Name
from services.contracts.identity import names_nobody
from stage_engine.money import currency_of, first_amount, lines_of, lines_value

NOTHING = Decimal()
MAX_ID = 500
"""Characters of an id that count: as an index key in Postgres it has to stay below 2,700 bytes."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`completed_at` None: only refunds or updates of it are known so far, and it counts as no order.

    All amounts are in `currency`; what was said of it in another is left out.
    """

    key: str
    completed_at: datetime | None = None
    currency: str | None = None
    revenue: Decimal = NOTHING
    total: Decimal = NOTHING
    refunded: Decimal = NOTHING
    refunded_whole: bool = False
    cancelled: bool = False

    def gross(self, of: str) -> Decimal:
        """What the order brought, by `revenue` (without shipping and tax) or `total`; nothing if it was cancelled."""
        if self.cancelled or self.completed_at is None:
            return NOTHING
        return self.total if of == "total" else self.revenue

    def net(self, of: str) -> Decimal:
        """What is left of it after refunds: never less than nothing, though a refund may hold shipping and tax."""
        gross = self.gross(of)
        if not self.refunded and not self.refunded_whole:
            return gross
        return NOTHING if self.refunded_whole else max(NOTHING, gross - self.refunded)


ORDER_EVENTS = frozenset(
    {
        Name.ORDER_COMPLETED,
        Name.ORDER_REPORTED,
        Name.ORDER_UPDATED,
        Name.ORDER_CANCELLED,
        Name.ORDER_REFUNDED,
        "Order Shipped",
        "Order Delivered",
    }
)
BOOKED = frozenset({Name.ORDER_COMPLETED, Name.ORDER_UPDATED, Name.ORDER_CANCELLED, Name.ORDER_REFUNDED})


def order_key(event: Event) -> str:
    """Without an order id the event stands for its order."""
    return said_id(event.properties.get("order_id")) or event.id


def said_id(value: Any) -> str | None:  # noqa: ANN401  any JSON
    """An id of something, of text or a whole number; None for what names nothing, such as `null` and `0`."""
    if isinstance(value, bool) or not isinstance(value, str | int) or names_nobody(str(value)):
        return None
    return str(value).strip()[:MAX_ID]


def booked(order: Order | None, event: Event, *, currency: str) -> Order:
    """The order's row after the event, one of BOOKED. Amounts of a currency without a word are in the storefront's."""
    order = order or Order(key=order_key(event))
    match event.name:
        case Name.ORDER_CANCELLED:
            return msgspec.structs.replace(order, cancelled=True)
        case Name.ORDER_REFUNDED:
            back = first_amount(event.properties, "revenue", "total", "value", "amount")
            back = lines_value(lines_of(event.properties)) if back is None else back
            if back is None:  # the e-commerce spec: a refund that names no amount and no products is of all of it
                return msgspec.structs.replace(order, refunded_whole=True)
            return _refunded(order, abs(back), currency_of(event.properties))
        case Name.ORDER_UPDATED if order.completed_at is None:
            return order
        case _:
            return _copied(order, event, currency)


def _copied(order: Order, event: Event, currency: str) -> Order:
    total, revenue = amounts(event)
    now = (currency_of(event.properties) if total is not None else None) or order.currency or currency
    return msgspec.structs.replace(
        order,
        completed_at=order.completed_at or event.occurred_at,
        currency=now,
        revenue=order.revenue if revenue is None else revenue,
        total=order.total if total is None else total,
        refunded=order.refunded if order.currency in (None, now) else NOTHING,
    )


def _refunded(order: Order, back: Decimal, currency: str | None) -> Order:
    """A refund that comes before its order says what the currency is, until the order itself does."""
    if currency is not None and order.currency not in (None, currency):
        return order
    return msgspec.structs.replace(order, refunded=order.refunded + back, currency=order.currency or currency)


def amounts(event: Event) -> tuple[Decimal | None, Decimal | None]:
    """Total and revenue of an order event, each worked out from the other or from its products where missing."""
    total = first_amount(event.properties, "total", "value")
    revenue = first_amount(event.properties, "revenue")
    if revenue is None and total is not None:
        shipping = first_amount(event.properties, "shipping") or NOTHING
        revenue = total - shipping - (first_amount(event.properties, "tax") or NOTHING)
    if revenue is None:
        revenue = lines_value(lines_of(event.properties))
    return (revenue if total is None else total), revenue
