"""A storefront as its shop declares it: the tenant that events belong to."""

from typing import Annotated, Final, Literal

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


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When no marketing goes out, by the customer's own clock."""

    from_: Annotated[str, Meta(description="From this time of day.", examples=["21:00"])] = msgspec.field(name="from")
    to: Annotated[str, Meta(description="To this one; the next morning's if it is earlier.", examples=["08:00"])]


class Cap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much marketing one customer gets on one channel: in any 24 hours, in any 7 days. None: as much as is due."""

    day: Annotated[int | None, Meta(description="At most so many in 24 hours.", extra_json_schema={"minimum": 0})] = 1
    week: Annotated[int | None, Meta(description="At most so many in 7 days.", extra_json_schema={"minimum": 0})] = 3


class Redirect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it goes to one address of the shop's own."""

    redirect: Annotated[str, Meta(description="The address.", examples=["staging@shop.example"])]


Delivery = Literal["live", "shadow"] | Redirect
"""`live` to customers; `shadow` to nobody: what would have gone out is only written down."""
TOPIC: Final = "[a-z0-9][a-z0-9-]{0,39}"
"""What a topic may be called."""
MOST_TOPICS: Final = 20
"""As many as anybody reads on one page."""
MARKETING_STOPS_IN: Final = {"satisfaction": ["unhappy"]}
"""Whoever is unhappy is a case for a person, and not somebody to send offers to. Every preset has the track."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a storefront's webhooks go. What they are signed with is no matter of files: it is a setting."""

    url: Annotated[str, Meta(description="https, on the internet.", examples=["https://hooks.example/stagepost"])]
    tells: Annotated[
        list[Literal["email", "phone", "name", "traits"]],
        Meta(description="What of the customer is said there, beside their id. Only what a server said."),
    ] = []


def endpoint_key(storefront: str, endpoint: str) -> str:
    """How settings and operators name one endpoint of one storefront."""
    return f"{storefront}/{endpoint}"


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
    address: Annotated[
        str | None,
        Meta(
            description="Its postal address, at the foot of every mail: laws ask for it.",
            examples=["Fern & Fable, Lindenweg 3, 50674 Köln"],
        ),
    ] = None
    domains: Annotated[
        list[str],
        Meta(
            description="Where mails may lead and take pictures from, beside the shop's own addresses.",
            examples=[["cdn.shop.example"]],
        ),
    ] = []
    staff: Annotated[
        str | None,
        Meta(description="Who is told of an unhappy customer.", examples=["service@shop.example"]),
    ] = None
    referral_url: Annotated[str | None, Meta(description="Where customers invite their friends.")] = None
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
    quiet_hours: Annotated[
        QuietHours | None, Meta(description="No marketing then: by the customer's `timezone`, else by the shop's.")
    ] = None
    caps: Annotated[
        dict[str, Cap],
        Meta(description="The most marketing that one customer gets, by channel; 1 a day and 3 a week unless you say."),
    ] = {}
    marketing_stops_in: Annotated[
        dict[str, list[str]],
        Meta(description="By track the stages in which a customer gets no marketing."),
    ] = msgspec.field(default_factory=MARKETING_STOPS_IN.copy)
    topics: Annotated[
        dict[str, dict[str, str]],
        Meta(
            description="What marketing is about, as customers can choose of it: by name, what the page calls it.",
            examples=[{"news": {"en": "What is new", "de": "Neuigkeiten"}}],
        ),
    ] = {}
    double_opt_in: Annotated[
        bool,
        Meta(description="May a web page ask for news? It counts once it is confirmed by a link in a mail."),
    ] = False
    track_clicks: Annotated[
        bool, Meta(description="Do links of mails lead by way of us, who note that they were followed?")
    ] = False
    track_opens: Annotated[
        bool, Meta(description="Does a mail hold a picture of one dot that tells when it is opened?")
    ] = False
    delivery: Annotated[Delivery, Meta(description="To whom all of it goes.", examples=["live", "shadow"])] = "live"
    endpoints: Annotated[
        dict[str, Endpoint], Meta(description="Where steps with `channel: webhook` go, each by its name.")
    ] = {}


def topic_name(topic: str) -> str:
    """How a topic stands in a customer's consent, beside the channels."""
    return f"topic:{topic}"


StorefrontsWritten = dict[str, Storefront]
"""`storefronts.yaml`: each by its name in routes and keys."""
