"""What of the properties are numbers or ids, and whose address is the customer's. docs/events.md says it to people."""

from typing import Final

from services.contracts.events import Name

NAMES_A_CONTACT: Final = frozenset({Name.EMAIL_SUBSCRIBED, Name.EMAIL_UNSUBSCRIBED, "Enquiry Made"})
"""Beside checkouts and orders, whose `email` and `phone` are the customer's. A `Cart Shared` has a friend's."""

NUMBERS: Final = frozenset(
    {
        "price",
        "quantity",
        "value",
        "revenue",
        "total",
        "subtotal",
        "shipping",
        "tax",
        "discount",
        "position",
        "step",
        "rating",
        "score",
    }
)
"""Written as text these become numbers, when the text is one: `"18.90"`, not `"Fedex"` or `"home_banner_top"`."""

WHOLE: Final = frozenset({"quantity", "position", "step"})
"""Of these a number without a fraction is a whole one, however it was written: `"2.0"` is 2."""

IDS: Final = frozenset(
    {
        "order_id",
        "cart_id",
        "cart_token",
        "checkout_id",
        "product_id",
        "variant_id",
        "sku",
        "variant",
        "list_id",
        "promotion_id",
        "wishlist_id",
        "review_id",
        "coupon_id",
        "coupon",
        "group_id",
        "previous_id",
    }
)
"""Written as numbers these become text: 1001 and "1001" are one order."""
