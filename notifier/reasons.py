"""Why a message did not go out, or not yet."""

from enum import StrEnum
from typing import Final


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
    ENDED = "ended"
    OVERTAKEN = "overtaken"
    STEP_BEFORE = "step_before"
    CONDITION = "condition"
    MARKETING_STOPPED = "marketing_stopped"
    COOL_DOWN = "cool_down"
    HOLDOUT = "holdout"
    QUIET_HOURS = "quiet_hours"
    CAPPED = "capped"
    OUTRANKED = "outranked"
    PACED = "paced"
    PAUSED = "paused"


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
        Reason.ENDED,
        Reason.MARKETING_STOPPED,
    }
)
"""A change of the customer may lift these: then the message is decided again, within its max_age."""
