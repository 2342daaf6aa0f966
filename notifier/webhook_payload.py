"""What a webhook says of a message: JSON in the form that Standard Webhooks advises. Pure."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from notifier.coupons import Issued
from notifier.followups import FollowUp
from notifier.guard import Message
from notifier.holdings import Customer, Instance, Move
from services.contracts.changes import Profile, Subject
from services.contracts.events import SaidBy
from services.contracts.storefront import Endpoint

TYPE: Final = "follow_up.due"
_NAMES: Final = ("first_name", "firstName", "last_name", "lastName", "name")


class Due(Protocol):
    """A message that may go out, with all that is known of it."""

    @property
    def message(self) -> Message: ...
    @property
    def customer(self) -> Customer: ...
    @property
    def instance(self) -> Instance: ...


_encoder = msgspec.json.Encoder(decimal_format="string")


def payload_of(due: Due, follow_up: FollowUp, endpoint: Endpoint, *, variant: str | None, coupon: Issued | None) -> str:
    """The same for the same message as long as its customer and instance are the same.

    Dated by when it was due at first: retries and nights move `due_at`.
    """
    instance, customer = due.instance, due.customer
    move = next((move for move in instance.moves if move.id == due.message.transition), None)
    said = {
        "type": TYPE,
        "timestamp": due.message.expires_at - follow_up.max_age,
        "data": {
            "storefront": customer.storefront,
            "follow_up": follow_up.name,
            "step": due.message.step,
            "variant": variant,
            "purpose": follow_up.purpose,
            "customer_id": customer.id,
            "customer": _told(customer.profile, endpoint.tells),
            "track": instance.track,
            "key": instance.key,
            "stage": instance.stage,
            "since": instance.since,
            "moved": _moved(move),
            "subject": _told_of(instance.subject),
            "coupon": coupon,
        },
    }
    return _encoder.encode(said).decode()


def _moved(move: Move | None) -> dict[str, Any] | None:
    return None if move is None else {"to": move.to_stage, "at": move.at, "facts": move.facts}


def _told_of(subject: Subject) -> dict[str, Any]:
    """All but what the customer wrote: that is for the shop's own people."""
    return {name: getattr(subject, name) for name in subject.__struct_fields__ if name != "comment"}


def _told(profile: Profile, tells: Sequence[str]) -> dict[str, Any]:
    """Only what the shop's own servers said: a claim may be anybody's."""
    told: dict[str, Any] = {
        kind: address.value
        for kind, address in profile.addresses.items()
        if kind in tells and address.said_by is SaidBy.SERVER
    }
    if "traits" in tells:
        told["traits"] = profile.traits
    elif "name" in tells:
        told["traits"] = {name: profile.traits[name] for name in _NAMES if name in profile.traits}
    return told
