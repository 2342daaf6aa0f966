"""What is paused: by whom, why, and whether a message is among it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

EVERYTHING: Final = "*"
"""The name of a switch for all there is."""
BLAST_GUARD: Final = "blast-guard"
"""Who has paused what nobody asked to be paused (`blast`)."""


class Scope(StrEnum):
    """What a switch turns off: everything, or one thing by its name."""

    ALL = "all"
    STOREFRONT = "storefront"
    CHANNEL = "channel"
    FOLLOW_UP = "follow_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """`until` None: until somebody resumes it."""

    scope: Scope
    name: str
    by: str
    why: str
    since: datetime
    until: datetime | None = None

    def __str__(self) -> str:
        return "everything" if self.scope is Scope.ALL else f"{self.scope.replace('_', '-')} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Those that are on at one moment."""

    on: tuple[Switch, ...] = ()

    def over(self, follow_up: str, storefront: str) -> Switch | None:
        """What pauses all of a follow-up in a storefront, whichever channel it goes by."""
        names = {Scope.ALL: EVERYTHING, Scope.STOREFRONT: storefront, Scope.FOLLOW_UP: follow_up}
        return next((one for one in self.on if names.get(one.scope) == one.name), None)

    def over_channel(self, channel: str) -> Switch | None:
        return next((one for one in self.on if (one.scope, one.name) == (Scope.CHANNEL, channel)), None)

    def pause(self, follow_up: str, storefront: str, channel: str) -> bool:
        return self.over(follow_up, storefront) is not None or self.over_channel(channel) is not None


NONE: Final = Switches()


def standing(switches: Sequence[Switch], now: datetime) -> Switches:
    """Without those whose time is over."""
    return Switches(on=tuple(one for one in switches if one.until is None or one.until > now))
