"""The names of events that documented sources send, and their older forms. docs/events.md says it to people."""

from typing import Final

from services.contracts.events import MESSAGE_EVENTS, Name

SPEC: Final[dict[str, tuple[str, ...]]] = {
    "Products Searched": (),
    "Product List Viewed": ("Viewed Product Category",),
    "Product List Filtered": (),
    "Promotion Viewed": ("Viewed Promotion",),
    "Promotion Clicked": ("Clicked Promotion",),
    "Product Clicked": ("Clicked Product",),
    "Product Viewed": ("Viewed Product", "Viewed Product Details"),
    "Product Added": ("Added Product",),
    "Product Removed": ("Removed Product",),
    "Cart Viewed": (),
    "Checkout Started": ("Started Order", "Order Started", "Started Checkout"),
    "Checkout Step Viewed": ("Viewed Checkout Step",),
    "Checkout Step Completed": ("Completed Checkout Step",),
    "Payment Info Entered": ("Payment Info Added", "Added Payment Info"),
    "Order Completed": ("Completed Order",),
    "Order Updated": ("Updated Order",),
    "Order Cancelled": ("Cancelled Order", "Order Canceled", "Canceled Order"),
    "Order Refunded": ("Refunded Order",),
    "Coupon Entered": ("Entered Coupon",),
    "Coupon Applied": ("Applied Coupon",),
    "Coupon Denied": ("Denied Coupon",),
    "Coupon Removed": ("Removed Coupon",),
    "Product Added to Wishlist": (),
    "Product Removed from Wishlist": ("Wishlist Product Removed",),
    "Wishlist Product Added to Cart": (),
    "Product Shared": (),
    "Cart Shared": (),
    "Product Reviewed": (),
}
"""The e-commerce spec, version 2, each name with the older forms that clients still send (and Segment's own
integrations still match)."""

OWN: Final = (
    Name.CUSTOMER_IDENTIFIED,
    Name.IDENTITY_ALIASED,
    Name.GROUP_JOINED,
    Name.PAGE_VIEWED,
    Name.SCREEN_VIEWED,
    Name.CART_UPDATED,
    Name.ORDER_REPORTED,
    Name.EMAIL_SUBSCRIBED,
    Name.EMAIL_UNSUBSCRIBED,
    Name.SUBSCRIPTION_REQUESTED,
    "Order Shipped",
    "Order Delivered",
    "Payment Failed",
    "Enquiry Made",
    "Enquiry Answered",
    "Ad Impression",
    "Ad Clicked",
    "Content Viewed",
    "Loyalty Joined",
    "Onboarding Step Completed",
    "Survey Answered",
    "Referral Completed",
    "Support Case Opened",
    "Support Case Closed",
    "Stage Set",
    "Product Back In Stock",
    "Product Price Dropped",
    *sorted(MESSAGE_EVENTS),
)
"""Our own names beside the spec's."""


def folded(name: str) -> str:
    """`Order Completed`, `order_completed` and `orderCompleted` are one: so Segment's own matching has it."""
    return name.replace(" ", "").replace("_", "").lower()


NAMES: Final = frozenset({*SPEC, *OWN})
SPELLINGS: Final[dict[str, str]] = {
    folded(spelling): name
    for name, older in (*SPEC.items(), *((name, ()) for name in OWN))
    for spelling in (name, *older)
}
"""Every folded spelling, and the one name it stands for."""

PROPERTIES: Final = (
    "query", "list_id", "category", "products", "filters", "sorts", "promotion_id", "creative", "name", "position",
    "product_id", "sku", "brand", "variant", "price", "quantity", "coupon", "url", "image_url", "currency", "value",
    "cart_id", "order_id", "revenue", "shipping", "tax", "discount", "checkout_id", "step", "shipping_method",
    "payment_method", "total", "subtotal", "coupon_id", "coupon_name", "reason", "wishlist_id", "wishlist_name",
    "share_via", "share_message", "recipient", "review_id", "review_body", "rating",
    "previous_id", "group_id", "group_traits", "path", "title", "referrer", "tracking_url", "kind", "subject",
    "campaign", "tier", "score", "referred_id", "list", "case_id", "track", "stage", "key", "by", "previous_price",
    "message_id", "follow_up", "channel", "page", "address", "comment",
)  # fmt: skip
"""What the events in docs/events.md may say of themselves, beside who it is. A shop's own properties are kept, too."""
