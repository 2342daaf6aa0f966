"""What a transition starts, until when, and how often. Pure; `followups_file` reads it from `followups.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from services.conditions import Condition
from services.contracts.storefront import Delivery, topic_name

BEFORE_ALL: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""No event lies before it."""
EMAIL: Final = "email"
WEBHOOK: Final = "webhook"
CHANNELS: Final = (EMAIL, WEBHOOK)
"""What a step may name. One that needs an address of the customer finds it in their profile under the same name."""


class Purpose(StrEnum):
    """Marketing needs consent and is never sent twice; transactional goes to whoever did the thing it speaks of."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class OncePer(StrEnum):
    """What a follow-up may be sent once for.

    A run of a track (this cart, that order), an event that started it, or a customer within a time (`cool_down`).
    """

    INSTANCE = "instance"
    CAUSE = "cause"
    CUSTOMER = "customer"


ONCE_PER_INSTANCE: Final = frozenset({"cart", "checkout", "order"})
"""Tracks whose instances are things of their own: one mail a cart, one mail an order. Others go on for years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Over when the instance moves to any other stage."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Over when the instance moves to one of these; with `track`, when any of the customer's instances of that does."""

    stages: frozenset[str]
    track: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A code of its own for every message. `worth` is said to the customer as it stands."""

    prefix: str
    worth: str
    valid: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One arm of a comparison: of `weight` among the weights of all. What it does not say is as in its step."""

    name: str
    weight: int
    template: str | None = None
    coupon: Coupon | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One message of a follow-up.

    `after` counts from the transition: the waits of all steps up to this one. Of `channels` the first that can reach
    the customer is taken. `template` is None for what is only posted to an `endpoint`, or where all variants have one.
    `to_staff`: to the shop's own people, about the customer.
    """

    number: int
    after: timedelta
    channels: tuple[str, ...] = (EMAIL,)
    template: str | None = None
    endpoint: str | None = None
    coupon: Coupon | None = None
    condition: Condition | None = None
    variants: tuple[Variant, ...] = ()
    to_staff: bool = False

    @property
    def templates(self) -> tuple[str, ...]:
        """All that it may be written with."""
        named = (self.template, *(variant.template for variant in self.variants))
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def look(self, variant: str | None) -> tuple[str | None, Coupon | None]:
        """Its template and coupon, in this variant."""
        chosen = next((one for one in self.variants if one.name == variant), None)
        if chosen is None:
            return self.template, self.coupon
        return chosen.template or self.template, chosen.coupon or self.coupon


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """Starts when an instance of `track` comes to `stage`, or with `leaving` goes from it, and `condition` holds.

    Times count from when the transition happened, not from when we heard of it; `max_age` from when a step was due.
    `holdout` is the share of customers, 0 to 1, who get none of it, to tell its worth by. `delivery` goes before the
    storefront's. `topic` is what its marketing is about, for who wants none of that. `resend_unknown`: when nobody can
    say whether the mail went out, send it once more under the same Message-ID. `since`: moves from before it was in
    force do not start it, however late they are heard of.
    """

    name: str
    track: str
    stage: str
    leaving: bool = False
    condition: Condition | None = None
    until: Left | Entered | None
    purpose: Purpose
    steps: tuple[Step, ...]
    max_age: timedelta
    once_per: OncePer
    cool_down: timedelta | None = None
    priority: int = 0
    holdout: float = 0.0
    delivery: Delivery | None = None
    topic: str | None = None
    resend_unknown: bool = False
    since: datetime = BEFORE_ALL

    @property
    def marketing(self) -> bool:
        return self.purpose is Purpose.MARKETING

    def consents(self, channel: str) -> tuple[str, ...]:
        """The names in `Profile.consent` under which a no stops it on this channel."""
        if not self.marketing:
            return ()
        return (channel,) if self.topic is None else (channel, topic_name(self.topic))

    @property
    def templates(self) -> tuple[str, ...]:
        """All that it may be written with, in the order of its steps."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.templates))

    def step(self, number: int) -> Step | None:
        """Steps count from 1."""
        return self.steps[number - 1] if 0 < number <= len(self.steps) else None


FollowUps = Mapping[str, FollowUp]
