"""A storefront as its shop declares it: the tenant that events belong to."""

from typing import Literal

import msgspec


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who a storefront's mail comes from."""

    name: str
    email: str


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a storefront's mail looks. Colours are `#rrggbb`."""

    logo: str | None = None
    colour: str = "#1f4b3f"
    background: str = "#f5f3ee"


class Storefront(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of events: one shop as its customers know it.

    `currency` is ISO 4217: amounts in others are kept apart, never added. `trust: browser` lets orders that only a
    browser reported count. `assume_consent` says whether marketing mail may go to who has said nothing about it.
    """

    name: str
    url: str
    currency: str
    timezone: str
    sender: Sender
    locale: str = "en"
    cart_url: str | None = None
    own_addresses: list[str] = []
    trust: Literal["server", "browser"] = "server"
    assume_consent: bool = False
    look: Look = Look()
