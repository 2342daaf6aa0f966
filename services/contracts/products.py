"""A shop's catalogue on `storefront.products`: what a product is called, costs and looks like, as its server said it.

The topic is compacted: under each key stands what was said last. A record without a value says that there is no such
product any more.
"""

from decimal import Decimal

import msgspec

from services.contracts.events import Moment


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What differs from the product it is a variant of; what is not said is the product's."""

    id: str
    name: str | None = None
    sku: str | None = None
    url: str | None = None
    image_url: str | None = None
    price: Decimal | None = None
    compare_at_price: Decimal | None = None
    available: bool | None = None
    stock: int | None = None
    size: str | None = None
    colour: str | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`variant` is set where a record is about one variant alone, which then has a key of its own.

    `url` is http(s), or a path at the storefront's own address. Money is in `currency`, else in the storefront's.
    """

    storefront: str
    product_id: str
    variant: str | None = None
    name: str | None = None
    sku: str | None = None
    url: str | None = None
    image_url: str | None = None
    price: Decimal | None = None
    compare_at_price: Decimal | None = None
    currency: str | None = None
    available: bool | None = None
    stock: int | None = None
    size: str | None = None
    colour: str | None = None
    style: str | None = None
    category: str | None = None
    brand: str | None = None
    updated_at: Moment | None = None
    variants: tuple[Variant, ...] = ()


class ProductGone(msgspec.Struct, frozen=True, kw_only=True):
    """Becomes a record without a value."""

    storefront: str
    product_id: str
    variant: str | None = None


_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Product)


def encode_product(product: Product) -> bytes:
    return _encoder.encode(product)


def decode_product(value: bytes) -> Product:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def key_of_product(product: Product | ProductGone) -> bytes:
    parts = (product.storefront, product.product_id, *([] if product.variant is None else [product.variant]))
    return "\x00".join(parts).encode()


def gone_of_key(key: bytes) -> ProductGone:
    """What a record without a value is about. Raises ValueError for what is no key of a product."""
    storefront, product_id, *variant = key.decode().split("\x00")
    if len(variant) > 1 or not storefront or not product_id:
        raise ValueError("the key is not storefront, product and perhaps variant with NUL between them")
    return ProductGone(storefront=storefront, product_id=product_id, variant=variant[0] if variant else None)
