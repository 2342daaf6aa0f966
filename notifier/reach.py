"""By which channel a message can reach its customer: consent, an address, and who said it. Pure."""

from dataclasses import dataclass
from typing import Final

from notifier.addresses import deliverable
from notifier.followups import WEBHOOK, FollowUp, Step
from services.contracts.changes import Profile
from services.contracts.events import SaidBy
from services.contracts.reasons import Reason
from services.contracts.storefront import Storefront, topic_name

CLAIM_TRACKS: Final = frozenset({"cart", "order"})
"""What an address that only a browser said may be mailed about: its cart reminder or its confirmation."""
REMINDED_OF: Final = "checkout"
"""And the reminder of a checkout, which takes the place of the cart's. That a payment failed would scare a stranger."""
ASKED_FOR: Final = "opt_in"
"""And the question whether they want news, which is nothing but transactional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """`address` is an endpoint's name for a webhook. `claim`: it was said by a browser only."""

    channel: str
    address: str
    claim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachable:
    """What is known of the customer's addresses, as in `Circumstances`.

    `suppressed` is of the address that the message goes to: the staff's, where it goes to them.
    """

    profile: Profile
    claim_spent: bool
    claim_capped: bool
    suppressed: str | None


def aim(follow_up: FollowUp, step: Step, storefront: Storefront, customer: Reachable) -> Aim | Reason:
    """The first channel that can reach them; if none can, why the first can't."""
    found = [_reach(channel, follow_up, step, storefront, customer) for channel in step.channels]
    return next((one for one in found if isinstance(one, Aim)), found[0])


def _reach(channel: str, follow_up: FollowUp, step: Step, storefront: Storefront, customer: Reachable) -> Aim | Reason:
    if step.to_staff:
        return _staff(channel, storefront, customer)
    said = customer.profile.consent.get(channel)
    if follow_up.marketing and said is False:
        return Reason.CONSENT_WITHDRAWN
    if follow_up.marketing and follow_up.topic is not None and _refuses(customer.profile, follow_up.topic):
        return Reason.TOPIC_REFUSED
    if channel == WEBHOOK:  # a program of the shop's own: nobody is addressed, so nobody need have said yes
        declared = step.endpoint in storefront.endpoints
        return Aim(channel=channel, address=step.endpoint) if step.endpoint and declared else Reason.NOT_CONFIGURED
    if follow_up.marketing and not said and not storefront.assume_consent:
        return Reason.NO_CONSENT
    return _address(channel, follow_up, customer)


def _refuses(profile: Profile, topic: str) -> bool:
    """Who has said nothing of it goes by what they said of the channel."""
    return profile.consent.get(topic_name(topic)) is False


def _staff(channel: str, storefront: Storefront, customer: Reachable) -> Aim | Reason:
    """The shop's own people, whatever the customer has said about mail to themselves."""
    address = deliverable(storefront.staff) if storefront.staff is not None else None
    if address is None:
        return Reason.NOT_CONFIGURED
    return Aim(channel=channel, address=address) if customer.suppressed is None else Reason.SUPPRESSED


def _address(channel: str, follow_up: FollowUp, customer: Reachable) -> Aim | Reason:
    given = customer.profile.addresses.get(channel)
    if given is None or not given.value:
        return Reason.NO_ADDRESS
    address = deliverable(given.value)
    if address is None:
        return Reason.BAD_ADDRESS
    if customer.suppressed is not None:
        return Reason.SUPPRESSED
    claim = given.said_by is SaidBy.BROWSER
    refused = _refused(follow_up, customer) if claim else None
    return refused or Aim(channel=channel, address=address, claim=claim)


def _refused(follow_up: FollowUp, customer: Reachable) -> Reason | None:
    """Why an address that only a browser said is not written to."""
    asks = follow_up.track == ASKED_FOR and not follow_up.marketing
    reminds = follow_up.track == REMINDED_OF and follow_up.marketing
    if not (follow_up.track in CLAIM_TRACKS or asks or reminds):
        return Reason.CLAIM_NOT_ENOUGH
    if customer.claim_spent:
        return Reason.CLAIM_SPENT
    return Reason.CLAIM_CAPPED if customer.claim_capped else None
