"""How far a message has come."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """`sending` is the point of no return: it is committed before anything is handed over.

    pending ─▶ claimed ─▶ sending ─▶ sent | dead | unknown        (claimed ─▶ shadowed: all but the sending)
       ▲          │          └─────▶ retry ─▶ claimed
       └──────────┴─▶ withheld (a change of the customer may bring it back) | cancelled (what started it is void)
    """

    PENDING = "pending"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"
    CANCELLED = "cancelled"
    SHADOWED = "shadowed"


DUE: Final = (Status.PENDING, Status.RETRY)
"""Waiting for its time."""
UNSENT: Final = (*DUE, Status.CLAIMED, Status.WITHHELD, Status.CANCELLED)
"""Not delivered, while `unknowns` is 0: a plan may still change or cancel it."""
