"""Which reasons a change of the customer may lift. Pure."""

from typing import Final

from services.contracts.reasons import Reason

RECONSIDERED: Final = frozenset(
    {
        Reason.ON_HOLD,
        Reason.NO_ADDRESS,
        Reason.BAD_ADDRESS,
        Reason.CONSENT_WITHDRAWN,
        Reason.TOPIC_REFUSED,
        Reason.NO_CONSENT,
        Reason.CLAIM_NOT_ENOUGH,
        Reason.CLAIM_SPENT,
        Reason.CLAIM_CAPPED,
        Reason.ENDED,
        Reason.MARKETING_STOPPED,
    }
)
"""A change of the customer may lift these: then the message is decided again, within its max_age."""
