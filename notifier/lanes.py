"""Which messages go to which far side, known before they are decided: one that hangs holds up its own alone. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notifier.followups import FollowUps
from services.contracts.storefront import Storefront, endpoint_key

ELSEWHERE: Final = ""
"""The lane of what goes to no endpoint that there is: it is decided, and ends or takes another channel."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """Which step of which follow-up a message is of: with the shop's files it says where the message goes."""

    storefront: str
    follow_up: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """All that goes to one endpoint; `key` is the endpoint's."""

    key: str
    origins: frozenset[Origin]


def lanes_of(channel: str, follow_ups: FollowUps, storefronts: Mapping[str, Storefront]) -> list[Lane]:
    """Of every step that names the channel, in every storefront."""
    origins: dict[str, set[Origin]] = defaultdict(set)
    for shop, storefront in storefronts.items():
        for follow_up in follow_ups.values():
            for step in follow_up.steps:
                if channel in step.channels:
                    declared = step.endpoint is not None and step.endpoint in storefront.endpoints
                    key = endpoint_key(shop, step.endpoint) if declared and step.endpoint else ELSEWHERE
                    origins[key].add(Origin(storefront=shop, follow_up=follow_up.name, step=step.number))
    return [Lane(key=key, origins=frozenset(found)) for key, found in sorted(origins.items())]
