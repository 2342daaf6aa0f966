"""Who is held out, and which variant they get: drawn by their id, so that they stay with it. Pure."""

import hashlib
from typing import Final
from uuid import UUID

from notifier.followups import FollowUp, Step

_SIZE: Final = 2**64


def held_out(follow_up: FollowUp, who: UUID) -> bool:
    """A share that grows keeps whom it had."""
    return _share(follow_up.name, "holdout", who) < follow_up.holdout


def variant_of(follow_up: FollowUp, step: Step, who: UUID) -> str | None:
    """None for a step without variants. Steps with equal variants and weights give a customer the same."""
    weights = [max(variant.weight, 0) for variant in step.variants]
    place = _share(follow_up.name, "variant", who) * sum(weights)
    for variant, weight in zip(step.variants, weights, strict=True):
        if place < weight:
            return variant.name
        place -= weight
    return None


def _share(follow_up: str, what: str, who: UUID) -> float:
    """Evenly between 0 and 1 over customers, and for each follow-up anew."""
    digest = hashlib.sha256(f"{follow_up}\x00{what}\x00{who}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _SIZE
