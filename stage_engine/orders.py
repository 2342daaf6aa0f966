"""The order book: one row per order, however often and by whom it was reported. Pure.

The latest copy gives the amounts; refunds stand beside them, also when they come first. Rows live outside a customer's
state, since a good customer has thousands; the fold reads those that its events name and returns those that changed.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from services.contracts.events import Event, Name
from stage_engine.money import first_amount, lines_of, lines_value

NOTHING = Decimal()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`completed_at` None: only refunds or updates of it are known so far, and it counts as no order."""

    key: str
    completed_at: datetime | None = None
    currency: str | None = None
    revenue: Decimal = NOTHING
    total: Decimal = NOTHING
    refunded: Decimal = NOTHING
    refunded_whole: bool = False
    cancelled: bool = False

    def net(self, of: str) -> Decimal:
        """What the order brought in the end, by `revenue` (without shipping and tax) or `total`."""
        if self.cancelled or self.refunded_whole or self.completed_at is None:
            return NOTHING
        return (self.total if of == "total" else self.revenue) - self.refunded


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
    return str(event.properties.get("order_id") or event.id)


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
            return msgspec.structs.replace(order, refunded=order.refunded + abs(back))
        case Name.ORDER_UPDATED if order.completed_at is None:
            return order
        case _:
            return _copied(order, event, currency)


def _copied(order: Order, event: Event, currency: str) -> Order:
    total, revenue = amounts(event)
    return msgspec.structs.replace(
        order,
        completed_at=order.completed_at or event.occurred_at,
        currency=str(event.properties.get("currency") or order.currency or currency).upper(),
        revenue=order.revenue if revenue is None else revenue,
        total=order.total if total is None else total,
    )


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
