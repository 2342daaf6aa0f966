"""The doors of shop platforms' webhooks: the storefront is the one whose secret has signed the body.

The whole body is read before anybody is known, bounded as every body is, and not looked into before its signature is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ingest.cleaning import cleaned
from ingest.dialects import shopify, woocommerce
from ingest.dialects.reading import Body
from ingest.doors import Asked, Door, Opened
from ingest.limits import without_half_pairs
from ingest.signatures import Secrets
from ingest.storefronts import Source
from services.contracts.webhook_secrets import Platform

Headers = Mapping[bytes, bytes]


def _nothing_unsigned(_: bytes) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRoute:
    """`open_delivery` never raises: what is signed and not understood is answered 200 and kept as a dead letter."""

    path: str
    platform: Platform
    signature: tuple[bytes, ...]
    """The headers that may hold it."""
    open_delivery: Callable[[bytes, Headers], Body]
    about: str
    open_unsigned: Callable[[bytes], Body | None] = _nothing_unsigned
    """For what says nothing and comes unsigned: the body, or None for what must be signed."""


WEBHOOK_ROUTES: Final = (
    WebhookRoute(
        path="/v1/webhooks/shopify/{storefront}",
        platform=Platform.SHOPIFY,
        signature=(b"shopify-hmac-sha256", b"x-shopify-hmac-sha256"),
        open_delivery=shopify.open_delivery,
        about="Shopify's webhooks, signed",
    ),
    WebhookRoute(
        path="/v1/webhooks/woocommerce/{storefront}",
        platform=Platform.WOOCOMMERCE,
        signature=(b"x-wc-webhook-signature",),
        open_delivery=woocommerce.open_delivery,
        open_unsigned=woocommerce.open_unsigned,
        about="WooCommerce's webhooks, signed",
    ),
)


def by_signature(secrets: Secrets, route: WebhookRoute) -> Door:
    def asked(call: Asked) -> Opened:
        storefront = str(call.path["storefront"])
        signature = next((call.headers[name] for name in route.signature if name in call.headers), b"")

        def opened(raw: bytes) -> tuple[Body, Source]:
            if not signature and (body := route.open_unsigned(raw)) is not None:
                return body, secrets.unsigned(route.platform, storefront)
            source = secrets.source_of(route.platform, storefront, signature, raw)
            return cleaned(lambda signed: route.open_delivery(signed, call.headers))(without_half_pairs(raw)), source

        return Opened(body=opened, sent_again=False)  # WooCommerce never, and Shopify gives a subscription up

    return asked
