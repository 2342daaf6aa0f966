"""Why a message did not go out, or not yet: the notifier decides by it, and whoever shows a message says it."""

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
    TOPIC_REFUSED = "topic_refused"
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
    RENDER_FAILED = "render_failed"
    STUMBLED = "stumbled"


IN_WORDS: Final = {
    Reason.NOT_FRESH: "Stagepost is behind; it waits until all is known",
    Reason.VOID: "what started it is no longer so",
    Reason.TOO_OLD: "its max_age was over",
    Reason.NOT_CONFIGURED: "its follow-up, step, storefront or endpoint is gone from the shop's files",
    Reason.ON_HOLD: "this customer's story is being worked out anew",
    Reason.NO_ADDRESS: "nobody has told us an address",
    Reason.BAD_ADDRESS: "the address is none that mail can go to",
    Reason.CONSENT_WITHDRAWN: "they said no to this channel",
    Reason.TOPIC_REFUSED: "they unsubscribed from its topic",
    Reason.NO_CONSENT: "they have not said yes to this channel",
    Reason.SUPPRESSED: "something stands against this address; the message's `answer` says what",
    Reason.CLAIM_NOT_ENOUGH: "only a web page said this address, and this is not about a cart or an order",
    Reason.CLAIM_SPENT: "only a web page said this address, and it has had its one mail",
    Reason.CLAIM_CAPPED: "only web pages said this address, and as many such mails as are believed have gone",
    Reason.RESTORED: "it was due before the database was restored, and may have been sent then",
    Reason.ENDED: "what ends it has happened on another track",
    Reason.OVERTAKEN: "a later step of it has gone already",
    Reason.STEP_BEFORE: "it waits for the step before it",
    Reason.CONDITION: "an `if` of it does not hold",
    Reason.MARKETING_STOPPED: "they stand where the shop wants no marketing",
    Reason.COOL_DOWN: "they had this not long enough ago",
    Reason.HOLDOUT: "they are of the holdout, who get none of it",
    Reason.QUIET_HOURS: "it is night where they are",
    Reason.CAPPED: "they have had as much marketing as the caps allow",
    Reason.OUTRANKED: "something of a higher priority goes first",
    Reason.PACED: "as much as its provider bears has just gone there",
    Reason.PAUSED: "it is paused; `stagepost switches` says by whom and why",
    Reason.RENDER_FAILED: "it could not be written; the message's `answer` says why",
    Reason.STUMBLED: "deciding about it met a fault of ours, which stands in the notifier's log",
}
"""For who looks at one message; docs/followups.md says what follows from each."""


def in_words(reason: str | None) -> str | None:
    """As it stands where an older version wrote one that is none any more."""
    return IN_WORDS[Reason(reason)] if reason in list(Reason) else reason
