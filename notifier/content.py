"""What a template may speak of: the shop, the customer's name, and what the instance is about. Pure.

Everything here was said by a server, or stands in the shop's own files. Of an item that only a browser named, not even
its id is shown: it is text that a stranger could have written. What leads outside the shop's own domains is left out.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from babel.core import Locale

from notifier import shown
from notifier.coupons import Issued
from notifier.domains import own_domains, own_url
from notifier.language import chain
from notifier.links import Links
from services.contracts.changes import Profile, Subject
from services.contracts.storefront import Storefront

LONGEST_NAME: Final = 60
MOST_ITEMS: Final = 12
"""A mail shows so many; of a longer cart it says how many more there are."""
_REFERENCE = re.compile(r"#?[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")
"""An order's number, as against the id of an event that stands for an order without one."""
_CART_TRACKS: Final = frozenset({"cart", "checkout"})
"""Where the shop's `cart_url` leads on, if the events named no link of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`price` is of one, `total` of `quantity`; None where no server said it. Links and pictures are the shop's own."""

    name: str
    variant: str | None
    quantity: int
    price: str | None
    total: str | None
    url: str | None
    image_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """`ink` can be read on `colour`. `address` is the postal one. `domains` are those that a mail may lead to."""

    name: str
    url: str
    email: str
    address: str | None
    referral_url: str
    logo: str | None
    colour: str
    ink: str
    background: str
    domains: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coupon of the customer's own, good until the end of the day `expires`."""

    code: str
    worth: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """Of whom a mail to the shop's own people speaks: `id` is what operators know them by, `page` where they see them.

    `survey` is what they answered (`csat`, `nps`, `delivery`; `cases` for a support case) and `score` how. `comment` is
    what they wrote, line by line: theirs, not ours, and never markup.
    """

    id: str
    name: str | None
    email: str | None
    phone: str | None
    survey: str | None
    score: str | None
    comment: tuple[str, ...] = ()
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`more` counts the things that are meant but not shown: unnamed ones, and those beyond MOST_ITEMS.

    `languages` are those in which words are looked for, in turn.
    """

    shop: Shop
    first_name: str | None
    items: tuple[Item, ...]
    more: int
    total: str | None
    reference: str | None
    link: str | None
    tracking: str | None
    coupon: Code | None
    customer: Concerned | None
    marketing: bool
    lang: str
    languages: tuple[str, ...]
    links: Links

    @property
    def count(self) -> int:
        return sum(item.quantity for item in self.items) + self.more


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a mail is made of. `track` and `key` are the instance's.

    `concerned` is for mails to the shop's own people only.
    """

    storefront: Storefront
    profile: Profile
    track: str
    key: str
    subject: Subject
    marketing: bool
    links: Links
    locale: Locale
    coupon: Issued | None = None
    concerned: Concerned | None = None


def content_of(of: Material) -> Content:
    """An order's key is shown as its `reference` if it reads like one. `link` leads back to the cart or the order.

    A cart has a `total` where all of it has a price: its value is the sum of what has one.
    """
    storefront, subject, locale = of.storefront, of.subject, of.locale
    currency, domains = subject.currency or storefront.currency, own_domains(storefront)
    named = [item for item in subject.items if isinstance(item.get("name"), str) and shown.line(item["name"])]
    items = tuple(_item(item, currency, locale, domains) for item in named[:MOST_ITEMS])
    meant = sum(shown.quantity(item.get("quantity")) for item in subject.items)
    in_part = of.track in _CART_TRACKS and any(shown.amount(item.get("price")) is None for item in subject.items)
    fallback = storefront.cart_url if of.track in _CART_TRACKS else None
    return Content(
        shop=_shop(storefront, domains),
        first_name=_first_name(of.profile),
        items=items,
        more=meant - sum(item.quantity for item in items),
        total=None if in_part else shown.money(shown.amount(subject.value), currency, locale),
        reference=of.key if of.track == "order" and _REFERENCE.fullmatch(of.key) else None,
        link=own_url(subject.url, domains) or own_url(fallback, domains),
        tracking=own_url(subject.tracking_url, domains),
        coupon=None if of.coupon is None else _code(of.coupon, storefront.timezone, locale),
        customer=of.concerned,
        marketing=of.marketing,
        lang=locale.language,
        languages=chain(locale),
        links=of.links,
    )


def _item(item: dict[str, Any], currency: str, locale: Locale, domains: frozenset[str]) -> Item:
    price, quantity = shown.amount(item.get("price")), shown.quantity(item.get("quantity"))
    return Item(
        name=shown.line(item["name"]),
        variant=shown.line(item.get("variant")) or None,
        quantity=quantity,
        price=shown.money(price, currency, locale),
        total=shown.money(None if price is None else price * quantity, currency, locale),
        url=own_url(item.get("url"), domains),
        image_url=own_url(item.get("image_url"), domains),
    )


def _shop(storefront: Storefront, domains: frozenset[str]) -> Shop:
    look = storefront.look
    return Shop(
        name=storefront.name,
        url=storefront.url,
        email=storefront.sender.email,
        address=storefront.address,
        referral_url=own_url(storefront.referral_url, domains) or storefront.url,
        logo=own_url(look.logo, domains),
        colour=look.colour,
        ink=shown.ink_on(look.colour),
        background=look.background,
        domains=domains,
    )


def _code(issued: Issued, timezone: str, locale: Locale) -> Code:
    return Code(
        code=issued.code,
        worth=shown.worth(issued.worth, locale),
        expires=shown.day(issued.expires_at, timezone, locale),
    )


def _first_name(profile: Profile) -> str | None:
    for name in ("first_name", "firstName"):
        said = profile.traits.get(name)
        if isinstance(said, str) and shown.line(said):
            return shown.line(said)[:LONGEST_NAME]
    return None
