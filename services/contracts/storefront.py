"""A storefront as its shop declares it: the tenant that events belong to."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Sender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who a storefront's mail comes from."""

    name: Annotated[str, Meta(description="As it stands before the address.")]
    email: Annotated[str, Meta(examples=["hello@shop.example"])]


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a storefront's mail looks. Colours are `#rrggbb`."""

    logo: Annotated[
        str | None, Meta(description="Where the picture is.", examples=["https://shop.example/logo.png"])
    ] = None
    colour: Annotated[str, Meta(description="Of buttons and links.")] = "#1f4b3f"
    background: Annotated[str, Meta(description="Behind the mail.")] = "#f5f3ee"


class Storefront(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of events: one shop as its customers know it."""

    name: Annotated[str, Meta(description="As customers know it.")]
    url: Annotated[str, Meta(examples=["https://shop.example"])]
    currency: Annotated[
        str,
        Meta(
            description="ISO 4217. Amounts in others are kept apart, never added.",
            examples=["EUR"],
            extra_json_schema={"pattern": "^[A-Z]{3}$"},
        ),
    ]
    timezone: Annotated[str, Meta(description="Its name in the tz database.", examples=["Europe/Berlin"])]
    sender: Sender
    locale: Annotated[str, Meta(description="Language and formats of mails.", examples=["en", "de-AT"])] = "en"
    cart_url: Annotated[str | None, Meta(description="Where a reminder leads when the event named no link.")] = None
    own_addresses: Annotated[
        list[str], Meta(description="What a till types in for every guest: these addresses name nobody.")
    ] = []
    trust: Annotated[
        Literal["server", "browser"],
        Meta(description="`browser`: orders that only a browser reported count too, and anybody can make them up."),
    ] = "server"
    assume_consent: Annotated[
        bool, Meta(description="May marketing mail go to who has said nothing about it? Ask your lawyer, not us.")
    ] = False
    look: Look = Look()


StorefrontsWritten = dict[str, Storefront]
"""`storefronts.yaml`: each by its name in routes and keys."""
