"""What the notifier says to the engine: what its mail met with, and what was answered by a link in one. Pure.

Each is said by the root of the message's customer and by nobody else. Never by the address: a stranger's account can
have a claim to it, and would be welded to the orders of whoever has it (design: who said it).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from msgspec.structs import replace

from services.cards import text_without_cards
from services.contracts.changes import Profile, Root
from services.contracts.events import OF_A_MESSAGE, Event, Name, SaidBy
from services.contracts.identity import IdentityKind, Who

LONGEST_COMMENT: Final = 2000
_NAMESPACE: Final = UUID("0b1c57f5-35e3-4c0e-8f6b-3a1b6f0d8e52")
"""Of events' ids; it must never change: a repeat is known by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A message that went out: for what, to whom, and what is known of them.

    `to_staff`: the shop's own people got it. What becomes of it then, and what they do with it, is not the customer's.
    """

    message: UUID
    storefront: str
    follow_up: str
    channel: str
    customer_id: UUID
    address: str | None
    profile: Profile
    to_staff: bool = False


def sent(about: About, now: datetime) -> Event | None:
    return _event(about, Name.MESSAGE_SENT, now, channel=about.channel)


def opened(about: About, now: datetime) -> Event | None:
    return _event(about, Name.MESSAGE_OPENED, now)


def followed(about: About, url: str, now: datetime) -> Event | None:
    """A link was followed, once for each. By whom nobody knows: what scans mail follows them too."""
    return _event(about, Name.MESSAGE_CLICKED, now, url, url=url)


def answered_by_hand(about: About, page: str, now: datetime) -> Event | None:
    """A form of ours was sent, as no scanner does: whoever did it reads what comes to this address."""
    return _event(about, Name.MESSAGE_CLICKED, now, f"by hand {page}", page=page, address=about.address)


def bounced(about: About, *, hard: bool, now: datetime) -> Event | None:
    kind = "hard" if hard else "soft"
    return _event(about, Name.MESSAGE_BOUNCED, now, kind, kind=kind)


def complained(about: About, now: datetime) -> Event | None:
    return _event(about, Name.MESSAGE_COMPLAINED, now)


def survey_answered(
    about: About, kind: str, score: int, comment: str, now: datetime, *, number: int = 1
) -> Event | None:
    """Answered otherwise, the later answer holds: `number` tells a 9 from the 9 that they came back to by way of a 3.

    People write their cards' numbers into comments too: they are taken out, as ingest does of what comes to it.
    """
    comment = text_without_cards(comment)
    more = {"comment": comment} if comment else {}
    return _event(
        about, Name.SURVEY_ANSWERED, now, f"{number} {kind} {score} {comment}", kind=kind, score=score, **more
    )


def consented(about: About, channel: str, *, yes: bool, now: datetime) -> Event | None:
    """Each change of mind is an event of its own. Only of mail does the vocabulary have names; the rest are traits."""
    which = f"{channel} {now.isoformat()}"
    if channel == "email":
        return _event(about, Name.EMAIL_SUBSCRIBED if yes else Name.EMAIL_UNSUBSCRIBED, now, which)
    said = _event(about, Name.CUSTOMER_IDENTIFIED, now, which)
    return None if said is None else replace(said, traits={"consent": {channel: yes}})


def _event(about: About, name: str, now: datetime, which: str = "", **properties: Any) -> Event | None:  # noqa: ANN401  any JSON
    """None where there is nobody to say it of. `which` tells it from others of its name and message."""
    who = None if about.to_staff else who_is(about.profile.root)
    if who is None:
        return None
    return Event(
        id=str(uuid5(_NAMESPACE, f"{about.message}\x00{name}\x00{which}")),
        storefront=about.storefront,
        name=name,
        who=who,
        occurred_at=now,
        received_at=now,
        said_by=SaidBy.SERVER,
        properties={"message_id": str(about.message), "follow_up": about.follow_up, **properties},
        context=dict(OF_A_MESSAGE),
    )


def who_is(root: Root | None) -> Who | None:
    """None for who was never named: their one event stands for itself, and nothing more can be said of them."""
    if root is None or root.kind == IdentityKind.EVENT.field:
        return None
    return Who(**{root.kind: root.value})
