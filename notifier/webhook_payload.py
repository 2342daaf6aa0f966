"""What a webhook says of a message: JSON in the form that Standard Webhooks advises. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from notifier.followups import FollowUp
from notifier.holdings import Customer, Instance, Move
from services.contracts.changes import Profile
from services.contracts.events import SaidBy
from services.contracts.storefront import Endpoint

TYPE: Final = "follow_up.due"
_NAMES: Final = ("first_name", "firstName", "last_name", "lastName", "name")
_encoder = msgspec.json.Encoder(decimal_format="string")


def payload_of(
    follow_up: FollowUp,
    step: int,
    customer: Customer,
    instance: Instance,
    transition: UUID,
    endpoint: Endpoint,
    due_at: datetime,
) -> str:
    """The same for the same message as long as its customer and instance are the same."""
    move = next((move for move in instance.moves if move.id == transition), None)
    return _encoder.encode(
        {
            "type": TYPE,
            "timestamp": due_at,
            "data": {
                "storefront": customer.storefront,
                "follow_up": follow_up.name,
                "step": step,
                "purpose": follow_up.purpose,
                "customer_id": customer.id,
                "customer": _told(customer.profile, endpoint.tells),
                "track": instance.track,
                "key": instance.key,
                "stage": instance.stage,
                "since": instance.since,
                "moved": _moved(move),
                "subject": instance.subject,
            },
        }
    ).decode()


def _moved(move: Move | None) -> dict[str, Any] | None:
    return None if move is None else {"to": move.to_stage, "at": move.at, "facts": move.facts}


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
