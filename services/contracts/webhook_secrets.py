"""What shop platforms sign their webhooks with. A signature is made of them, so they are kept whole."""

from enum import StrEnum
from typing import Annotated

import msgspec


class Platform(StrEnum):
    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several of one storefront and platform hold at once, while one takes another's place."""

    storefront: str
    platform: Platform
    secret: Annotated[str, msgspec.Meta(min_length=8)]

    def __repr__(self) -> str:
        return f"WebhookSecret({self.storefront!r}, {self.platform.value!r})"
