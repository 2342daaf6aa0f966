"""What a template may speak of: the shop, the customer's name, and what the instance is about. Pure.

Everything here was said by a server, or stands in the shop's own files. Of an item that only a browser named, not even
its id is shown: it is text that a stranger could have written.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency

from notifier.followups import FollowUp, Purpose
from notifier.links import Links
from services.contracts.changes import Profile, Subject
from services.contracts.storefront import Storefront

LONGEST_TEXT: Final = 200
LONGEST_NAME: Final = 60
MOST_ITEMS: Final = 12
"""A mail shows so many; of a longer cart it says how many more there are."""
MOST_OF_ONE: Final = 9999
_REFERENCE = re.compile(r"#?[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")
"""An order's number, as against the id of an event that stands for an order without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`price` is of one, `total` of `quantity`; None where no server said it. Links and pictures are http(s) only."""

    name: str
    variant: str | None
    quantity: int
    price: str | None
    total: str | None
    url: str | None
    image_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    name: str
    url: str
    email: str
    logo: str | None
    colour: str
    ink: str
    background: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`more` counts the things that are meant but not shown: unnamed ones, and those beyond MOST_ITEMS."""

    shop: Shop
    first_name: str | None
    items: tuple[Item, ...]
    more: int
    total: str | None
    reference: str | None
    link: str | None
    marketing: bool
    lang: str
    links: Links

    @property
    def count(self) -> int:
        return sum(item.quantity for item in self.items) + self.more


def content_of(
    follow_up: FollowUp, storefront: Storefront, profile: Profile, subject: Subject, key: str, links: Links
) -> Content:
    """`key` is the instance's: an order's is shown as its `reference` if it reads like one. `link` leads back to it."""
    locale = _locale(storefront.locale)
    currency = subject.currency or storefront.currency
    named = [item for item in subject.items if isinstance(item.get("name"), str) and _text(item["name"])]
    shown = tuple(_item(item, currency, locale) for item in named[:MOST_ITEMS])
    meant = sum(_quantity(item.get("quantity")) for item in subject.items)
    fallback = storefront.cart_url if follow_up.track == "cart" else None
    return Content(
        shop=_shop(storefront),
        first_name=_first_name(profile),
        items=shown,
        more=meant - sum(item.quantity for item in shown),
        total=_money(_amount(subject.value), currency, locale),
        reference=key if follow_up.track == "order" and _REFERENCE.fullmatch(key) else None,
        link=safe_url(subject.url) or safe_url(fallback),
        marketing=follow_up.purpose is Purpose.MARKETING,
        lang=locale.language,
        links=links,
    )


def safe_url(value: object) -> str | None:
    """The address if a browser would only ever open a page with it: http or https, with a host, and nothing hidden."""
    if not isinstance(value, str) or not value.isprintable() or " " in value or "\\" in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.hostname else None


def _item(item: dict[str, Any], currency: str, locale: Locale) -> Item:
    price, quantity = _amount(item.get("price")), _quantity(item.get("quantity"))
    return Item(
        name=_text(item["name"]),
        variant=_text(item.get("variant")) or None,
        quantity=quantity,
        price=_money(price, currency, locale),
        total=_money(None if price is None else price * quantity, currency, locale),
        url=safe_url(item.get("url")),
        image_url=safe_url(item.get("image_url")),
    )


def _shop(storefront: Storefront) -> Shop:
    look = storefront.look
    return Shop(
        name=storefront.name,
        url=storefront.url,
        email=storefront.sender.email,
        logo=safe_url(look.logo),
        colour=look.colour,
        ink=_ink_on(look.colour),
        background=look.background,
    )


def _ink_on(colour: str) -> str:
    """White or near black, whichever reads better on this colour (WCAG's relative luminance)."""
    digits = colour.removeprefix("#")
    try:
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    except ValueError:
        return "#ffffff"
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]  # noqa: PLR2004  sRGB
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.179 else "#1c1c1a"  # noqa: PLR2004  where both have the same contrast


def _first_name(profile: Profile) -> str | None:
    for name in ("first_name", "firstName"):
        said = profile.traits.get(name)
        if isinstance(said, str) and _text(said):
            return _text(said)[:LONGEST_NAME]
    return None


def _text(value: object) -> str:
    """One line of printable text; joiners and marks of other scripts stay."""
    if not isinstance(value, str | int):
        return ""
    return " ".join("".join(c if c >= " " and c != "\x7f" else " " for c in str(value)).split())[:LONGEST_TEXT]


def _quantity(value: object) -> int:
    try:
        return min(max(int(str(value)), 1), MOST_OF_ONE)
    except ValueError:
        return 1


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | float | Decimal) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def _money(amount: Decimal | None, currency: str, locale: Locale) -> str | None:
    return None if amount is None else str(format_currency(amount, currency, locale=locale))


def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")
