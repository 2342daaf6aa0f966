"""Coupons: a code of its own for every message. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from notifier.followups import Coupon

_SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: none that is taken for another when a customer types it."""
_LENGTH: Final = 10
"""50 bits: among a million messages two have the same code once in two thousand shops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What a customer is given."""

    code: str
    worth: str
    expires_at: datetime


def issued(coupon: Coupon, message: UUID, sent_at: datetime) -> Issued:
    """The same for the same message at every attempt. Nobody can guess another's: the ids are of chance."""
    number = int.from_bytes(hashlib.sha256(b"coupon" + message.bytes).digest()[:8], "big")
    own = "".join(_SIGNS[(number >> 5 * place) % 32] for place in range(_LENGTH))
    return Issued(code=f"{coupon.prefix}-{own[:5]}-{own[5:]}", worth=coupon.worth, expires_at=sent_at + coupon.valid)
