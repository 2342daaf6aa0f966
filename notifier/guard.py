"""Whether a planned message may go out now. Pure; asked just before sending, with all that is known then."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from notifier.addresses import deliverable
from notifier.followups import FollowUp, Purpose
from notifier.holdings import Customer, Instance
from notifier.plan import stands
from services.contracts.events import SaidBy
from services.contracts.storefront import Storefront

FRESH: Final = timedelta(seconds=60)
"""How old `known_until` may be: beyond that an order may lie somewhere that would end what we are about to send."""
LOOK_AGAIN: Final = timedelta(seconds=5)
"""After a deferral for freshness; `known_until` comes once a second when all is well."""
CLAIM_TRACKS: Final = frozenset({"cart", "order"})
"""What an address that only a browser said may be mailed about: its cart reminder or its confirmation."""


class Reason(StrEnum):
    """Why a message did not go out, for programs; docs/followups.md says it to people."""

    NOT_FRESH = "not_fresh"
    VOID = "void"
    TOO_OLD = "too_old"
    NOT_CONFIGURED = "not_configured"
    ON_HOLD = "on_hold"
    NO_ADDRESS = "no_address"
    BAD_ADDRESS = "bad_address"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NO_CONSENT = "no_consent"
    SUPPRESSED = "suppressed"
    CLAIM_NOT_ENOUGH = "claim_not_enough"
    CLAIM_SPENT = "claim_spent"
    CLAIM_CAPPED = "claim_capped"
    RESTORED = "restored"


RECONSIDERED: Final = frozenset(
    {
        Reason.ON_HOLD,
        Reason.NO_ADDRESS,
        Reason.BAD_ADDRESS,
        Reason.CONSENT_WITHDRAWN,
        Reason.NO_CONSENT,
        Reason.CLAIM_NOT_ENOUGH,
        Reason.CLAIM_SPENT,
        Reason.CLAIM_CAPPED,
    }
)
"""A change of the customer's profile may lift these: then the message is decided again, within its max_age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the guard looks at of a stored message."""

    id: UUID
    step: int
    transition: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """`known_until` is the least of all partitions', None before all were heard of.

    `claim_spent`: a browser's claim of this address, or of this customer, was used for another message already.
    `claim_capped`: its network, or its storefront, has had as many mails to claimed addresses as are believed.
    `suppressed` says why nothing of the message's purpose goes to the address (a hard bounce, a complaint).
    `restored`: it was due before the database was restored to an earlier time: for all we know it has been sent.
    """

    follow_up: FollowUp | None
    storefront: Storefront | None
    customer: Customer
    instance: Instance
    known_until: datetime | None
    claim_spent: bool
    claim_capped: bool = False
    suppressed: str | None = None
    restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """`claim`: the address was said by a browser only, and this message uses it up."""

    address: str
    claim: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    until: datetime
    why: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Withhold:
    why: Reason


Decision = Send | Defer | Withhold


def is_fresh(known_until: datetime | None, now: datetime) -> bool:
    return known_until is not None and now - known_until < FRESH


def guard(message: Message, circumstances: Circumstances, now: datetime) -> Decision:
    """What is final comes first, then what time mends, then what the customer may change."""
    follow_up, storefront = circumstances.follow_up, circumstances.storefront
    if follow_up is None or storefront is None or follow_up.step(message.step) is None:
        return Withhold(why=Reason.NOT_CONFIGURED)
    if not stands(circumstances.instance, follow_up, message.transition):
        return Withhold(why=Reason.VOID)
    if circumstances.restored:
        return Withhold(why=Reason.RESTORED)
    if now >= message.expires_at:
        return Withhold(why=Reason.TOO_OLD)
    if not is_fresh(circumstances.known_until, now):
        return Defer(until=now + LOOK_AGAIN, why=Reason.NOT_FRESH)
    forbidden = _forbidden(follow_up, storefront, circumstances.customer)
    return Withhold(why=forbidden) if forbidden is not None else _aim(follow_up, circumstances)


def _forbidden(follow_up: FollowUp, storefront: Storefront, customer: Customer) -> Reason | None:
    if customer.hold is not None:
        return Reason.ON_HOLD
    if follow_up.purpose is Purpose.TRANSACTIONAL:
        return None
    said = customer.profile.consent.get("email")
    if said is False:
        return Reason.CONSENT_WITHDRAWN
    return None if said or storefront.assume_consent else Reason.NO_CONSENT


def _aim(follow_up: FollowUp, circumstances: Circumstances) -> Decision:
    given = circumstances.customer.profile.addresses.get("email")
    if given is None or not given.value:
        return Withhold(why=Reason.NO_ADDRESS)
    address = deliverable(given.value)
    if address is None:
        return Withhold(why=Reason.BAD_ADDRESS)
    if circumstances.suppressed is not None:
        return Withhold(why=Reason.SUPPRESSED)
    claim = given.said_by is SaidBy.BROWSER
    refused = _refused(follow_up, circumstances) if claim else None
    return Withhold(why=refused) if refused is not None else Send(address=address, claim=claim)


def _refused(follow_up: FollowUp, circumstances: Circumstances) -> Reason | None:
    """Why an address that only a browser said is not written to."""
    if follow_up.track not in CLAIM_TRACKS:
        return Reason.CLAIM_NOT_ENOUGH
    if circumstances.claim_spent:
        return Reason.CLAIM_SPENT
    return Reason.CLAIM_CAPPED if circumstances.claim_capped else None
