"""How a message goes: to its customer, to nobody, or to the shop's own people in the customer's stead. Pure."""

from enum import StrEnum

from notifier.addresses import deliverable
from notifier.followups import EMAIL, FollowUp
from notifier.reach import Aim
from services.contracts.storefront import Redirect, Storefront


class Way(StrEnum):
    LIVE = "live"
    SHADOW = "shadow"
    REDIRECT = "redirect"


def delivered(follow_up: FollowUp, storefront: Storefront, aimed: Aim) -> tuple[Way, str]:
    """How and where to in the end. Only mail is redirected: a program takes its own, or nothing."""
    match follow_up.delivery or storefront.delivery:
        case "live":
            return Way.LIVE, aimed.address
        case Redirect(redirect=address) if aimed.channel == EMAIL:
            return Way.REDIRECT, deliverable(address) or address
        case _:
            return Way.SHADOW, aimed.address


def trial_of(follow_up: FollowUp, storefront: Storefront) -> str | None:
    """In words where its messages don't reach customers; None where they do."""
    match follow_up.delivery or storefront.delivery:
        case "live":
            return None
        case Redirect(redirect=address):
            return f"redirected to {address}"
        case _:
            return "shadow"
