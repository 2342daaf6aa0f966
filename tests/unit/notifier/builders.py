"""Builders: a test says what matters to it, the rest is a cart that was abandoned at noon."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from notifier.channels.channel import Parcel
from notifier.followups import EMAIL, Entered, FollowUp, Left, OncePer, Purpose, Step
from notifier.guard import Send
from notifier.limits import UNLIMITED, Limits
from notifier.render import Rendered
from services.contracts.changes import Cause, StageChanged, StageRetracted, Subject, Transition
from services.contracts.storefront import Sender, Storefront

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_SPACE = UUID(int=1)


def uid(name: str) -> UUID:
    return uuid5(_SPACE, name)


ABANDONED_CART = FollowUp(
    name="abandoned-cart",
    track="cart",
    stage="abandoned",
    until=Left(stage="abandoned"),
    purpose=Purpose.MARKETING,
    steps=(Step(number=1, after=timedelta(0), template="abandoned-cart"),),
    max_age=timedelta(hours=24),
    once_per=OncePer.INSTANCE,
    resend_unknown=False,
)
THANK_YOU = FollowUp(
    name="thank-you",
    track="order",
    stage="placed",
    until=Entered(stages=frozenset({"cancelled"})),
    purpose=Purpose.TRANSACTIONAL,
    steps=(Step(number=1, after=timedelta(0), template="thank-you"),),
    max_age=timedelta(hours=24),
    once_per=OncePer.INSTANCE,
    resend_unknown=True,
)
FOLLOW_UPS = {follow_up.name: follow_up for follow_up in (ABANDONED_CART, THANK_YOU)}

STOREFRONT = Storefront(
    name="Fern & Fable",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Fern & Fable", email="hello@shop.example"),
    assume_consent=True,
)


def parcel(**changes: Any) -> Parcel:  # noqa: ANN401  any of its fields
    return Parcel(
        **{
            "id": uid("message"),
            "shop": "main-shop",
            "storefront": STOREFRONT,
            "follow_up": "abandoned-cart",
            "address": "ada@mail.example",
            "name": "Ada",
            "content": Rendered(subject="Your cart", html="<p>Grüße, 你好</p>", text="Grüße, 你好\n.\nend\n"),
            "purpose": Purpose.MARKETING,
            "dated": NOON,
            "attempt": 1,
            **changes,
        }
    )


def send_to(address: str, *, claim: bool = False) -> Send:
    """What the guard says of the abandoned cart's reminder, under no cap."""
    limits = Limits(follow_up="abandoned-cart", occasion=uid("occasion"), channel=EMAIL, cap=UNLIMITED, cool_down=None)
    return Send(address=address, claim=claim, drawn_as=uid("ada"), limits=limits)


def transition(
    to_stage: str, *, cause: str = "e1", instance: str = "cart-1", track: str = "cart", minutes: int = 0
) -> Transition:
    return Transition(
        id=uid(f"{instance} {to_stage} {cause}"),
        instance=uid(instance),
        track=track,
        key=instance,
        from_stage=None,
        to_stage=to_stage,
        at=NOON + timedelta(minutes=minutes),
        rule="r",
        cause=Cause(identity=uid("identity"), event_id=cause),
        reason="because",
    )


def changed(
    sequence: int, move: Transition, *, customer: str = "ada", replay: bool = False, subject: Subject | None = None
) -> StageChanged:
    return StageChanged(
        storefront="main-shop",
        customer_id=uid(customer),
        sequence=sequence,
        transition=move,
        stage=move.to_stage,
        since=move.at,
        subject=subject or Subject(),
        replay=replay,
    )


def retracted(sequence: int, move: Transition, stage: str | None, *, customer: str = "ada") -> StageRetracted:
    return StageRetracted(
        storefront="main-shop",
        customer_id=uid(customer),
        sequence=sequence,
        transition=move,
        stage=stage,
        since=move.at,
    )
