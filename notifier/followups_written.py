"""What `followups.yaml` may say, as it is written; an unknown key is a fault. `followups_file` reads it."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from services.contracts.storefront import Delivery
from services.written import Condition, Span

_PURPOSE: Final = "Marketing needs consent. Transactional is about something the customer did."
_MAX_AGE: Final = "How long after its time a message is still worth sending."
Template = Annotated[
    str,
    Meta(
        description="A file of templates/ without its ending, else one of ours.",
        examples=["abandoned-cart", "thank-you"],
        extra_json_schema={"pattern": "^[a-z0-9][a-z0-9_-]*$"},
    ),
]
Channel = Literal["email", "webhook"]
Asked = Annotated[
    Condition,
    Meta(
        description="Only if this holds when it is due: of customer, stages, subject, facts, move.",
        examples=["size(cart.items) > 0", "!(customer.traits.vip == true)"],
    ),
]


class WhenWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What starts it: an instance of a track comes to a stage, or goes from one."""

    track: Annotated[str, Meta(description="One of lifecycle.yaml.", examples=["cart", "order", "lifecycle"])]
    entered: Annotated[str | None, Meta(description="The stage it comes to.", examples=["abandoned"])] = None
    left: Annotated[str | None, Meta(description="The stage it goes from.", examples=["at_risk"])] = None
    if_: Asked | None = msgspec.field(default=None, name="if")


class UntilWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ends it before it is sent: one of the two."""

    left: Annotated[str | None, Meta(description="The stage that it started at.")] = None
    entered: Annotated[list[str] | None, Meta(description="Any of these stages.", examples=[["placed"]])] = None
    track: Annotated[
        str | None, Meta(description="With `entered`: of this track, any of the customer's.", examples=["order"])
    ] = None


class CouponWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code of its own for every message."""

    prefix: Annotated[
        str,
        Meta(
            description="Before the part that is each customer's own.",
            examples=["COMEBACK"],
            extra_json_schema={"pattern": "^[A-Z0-9]{1,20}$"},
        ),
    ]
    worth: Annotated[str, Meta(description="What it is worth, as the mail says it.", examples=["10 %", "5 €"])]
    valid: Annotated[Span, Meta(description="How long after the message it counts.", examples=["7d"])]


class VariantWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One arm of a comparison; what it does not say is as in its step."""

    weight: Annotated[
        int, Meta(description="Its share, among the weights of all.", examples=[50], extra_json_schema={"minimum": 0})
    ]
    template: Template | None = None
    coupon: CouponWritten | None = None


class StepWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message, and how long to wait for it."""

    wait: Annotated[Span, Meta(description="How long to wait first, after the step before.")] = "0s"
    channel: Annotated[
        Channel | list[Channel],
        Meta(description="Where it goes; of several the first that can reach the customer."),
    ] = "email"
    to: Annotated[
        Literal["customer", "staff"],
        Meta(description="`staff`: to the shop's own people, as `staff` of storefronts.yaml says; transactional only."),
    ] = "customer"
    template: Template | None = None
    endpoint: Annotated[str | None, Meta(description="Of channel `webhook`: which of the shop's endpoints.")] = None
    coupon: CouponWritten | None = None
    if_: Asked | None = msgspec.field(default=None, name="if")
    variants: Annotated[dict[str, VariantWritten], Meta(description="Compared with each other, by name.")] = {}


class CustomerOnce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Once for each customer within a time."""

    customer: Annotated[Span, Meta(description="Not again for so long.", examples=["30d"])]


class FollowUpWritten(StepWritten, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent when somebody gets somewhere, and until when it is worth sending.

    One message is said as it stands; several are listed in `steps`, each with what a message has.
    """

    when: WhenWritten
    purpose: Annotated[
        Literal["marketing", "transactional"],
        Meta(description=_PURPOSE),
    ]
    max_age: Annotated[Span, Meta(description=_MAX_AGE)]
    until: UntilWritten | None = None
    once_per: Annotated[
        Literal["instance", "cause"] | CustomerOnce | None,
        Meta(description="Once for this cart or order, for each event that starts it, or for a customer in a time."),
    ] = None
    priority: Annotated[int, Meta(description="The higher goes first where a cap leaves room for one.")] = 0
    holdout: Annotated[
        str | None,
        Meta(
            description="The share of customers who get none of it, so that its worth can be told.",
            examples=["10%"],
            extra_json_schema={"pattern": r"^[0-9]+(\.[0-9]+)?\s*%$"},
        ),
    ] = None
    delivery: Annotated[
        Delivery | None, Meta(description="To whom it goes, other than the storefront says.", examples=["shadow"])
    ] = None
    topic: Annotated[
        str | None,
        Meta(
            description="Of marketing: which of the storefront's `topics` it is about, for who wants none of that.",
            examples=["news"],
        ),
    ] = None
    resend_unknown: Annotated[
        bool,
        Meta(description="Send it again if nobody can say whether it went out. Transactional mail only."),
    ] = False
    steps: Annotated[list[StepWritten], Meta(description="The messages, one after the other.")] = []


class FollowUpLaid(FollowUpWritten, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As an editor may see it: what is not said may stand in what is extended."""

    extends: Annotated[
        Literal["shipped"] | None, Meta(description="The one of this name that comes along, but for what stands here.")
    ] = None
    when: WhenWritten | None = None  # type: ignore[assignment]
    purpose: Annotated[Literal["marketing", "transactional"] | None, Meta(description=_PURPOSE)] = None  # type: ignore[assignment]
    max_age: Annotated[Span | None, Meta(description=_MAX_AGE)] = None  # type: ignore[assignment]


FollowUpsWritten = dict[str, FollowUpLaid | Literal["shipped"]]
"""`followups.yaml`: each by its name. `shipped` is the one of this name that comes along, all of it."""
