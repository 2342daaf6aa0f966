"""What the conditions of follow-ups may name, and what stands there when one is asked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from notifier.followups import ONCE_PER_INSTANCE
from notifier.holdings import Instance, Move
from services.conditions import Kind, Names
from services.contracts.changes import Profile

CUSTOMER: Final[Mapping[str, Kind]] = {"traits": "map", "claims": "map", "consent": "map"}
SUBJECT: Final[Mapping[str, Kind]] = {
    "items": "list", "quantity": "int", "value": "money", "currency": "string", "url": "string",
}  # fmt: skip
MOVE: Final[Mapping[str, Kind]] = {"from": "string", "to": "string", "at": "timestamp"}


def names_on(track: str) -> Names:
    """`subject` is what the instance is about; on carts, checkouts and orders it goes by that name as well."""
    closed: dict[str, Mapping[str, Kind]] = {"customer": CUSTOMER, "subject": SUBJECT, "move": MOVE}
    if track in ONCE_PER_INSTANCE:
        closed[track] = SUBJECT
    return Names(open=frozenset({"facts", "stages", "since"}), closed=closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A move, and the stage before it."""

    move: Move
    from_stage: str | None


def scope(
    instance: Instance,
    happened: Happened,
    profile: Profile,
    stages: Mapping[str, str],
    since: Mapping[str, datetime],
) -> Mapping[str, Any]:
    """`stages` are where the customer stands now, by track, and `since` when; of several carts the last that moved."""
    subject = _subject(instance)
    move: dict[str, str | datetime | None] = {
        "from": happened.from_stage,
        "to": happened.move.to_stage,
        "at": happened.move.at,
    }
    return {
        "customer": {"traits": profile.traits, "claims": profile.claims, "consent": profile.consent},
        "stages": stages,
        "since": since,
        "facts": happened.move.facts,
        "move": move,
        "subject": subject,
        instance.track: subject,
    }


def _subject(instance: Instance) -> dict[str, Any]:
    """Amounts are numbers here, so that they can be compared; on the stream they are texts."""
    subject = instance.subject
    items = [{**item, "price": _amount(item["price"])} if "price" in item else item for item in subject.items]
    return {
        "items": items,
        "quantity": sum(_quantity(item.get("quantity")) for item in items),
        "value": _amount(subject.value),
        "currency": subject.currency,
        "url": subject.url,
    }


def _amount(said: object) -> Decimal | None:
    try:
        amount = Decimal(str(said))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _quantity(said: object) -> int:
    try:
        return max(int(str(said)), 1)
    except ValueError:
        return 1
