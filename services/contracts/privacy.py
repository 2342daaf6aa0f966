"""What somebody's law asks of a shop: on `storefront.privacy` until it is done.

The topic is compacted: a request stays, however long that takes, until whoever has carried it out writes a tombstone
under its key. So none is lost, and the address in it goes when the request does.
"""

from enum import StrEnum

import msgspec

from services.contracts.events import Moment
from services.contracts.identity import Who


class PrivacyKind(StrEnum):
    ACCESS = "access"
    """Tell a customer what is kept of them."""
    ERASE = "erase"
    """Forget a customer."""
    ERASE_STOREFRONT = "erase_storefront"
    """Forget all of a storefront's: the shop has left."""


class PrivacyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the same for each repeat of one request. `orders` are the shop's order ids that it names."""

    id: str
    storefront: str
    kind: PrivacyKind
    who: Who
    orders: tuple[str, ...] = ()
    asked_by: str
    """The platform and its own name of the request: `shopify customers/redact`."""
    received_at: Moment


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PrivacyRequest)


def encode_request(request: PrivacyRequest) -> bytes:
    return _encoder.encode(request)


def decode_request(value: bytes) -> PrivacyRequest:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def key_of_request(request: PrivacyRequest) -> bytes:
    return f"{request.storefront}\x00{request.id}".encode()
