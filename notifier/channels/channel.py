"""What every channel is: connections to a far side, each of which takes one parcel at a time. Email is one of them.

tests/integration/test_channels.py says what each has to keep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from notifier.followups import Purpose
from notifier.outcomes import Outcome
from notifier.render import Rendered
from services.contracts.storefront import Storefront


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a program is told of a message: JSON."""

    body: str


Content = Rendered | Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message as it is handed over. `id` and `dated` are the same at every attempt.

    `shop` is the storefront's name in routes and keys. `address` is whatever the channel calls its recipient by: a mail
    address, an endpoint's name. `dated` is when it was first about to be sent; `attempt` counts from 1. `unsubscribe`
    is the page that ends mail of its kind, where there is one. `meant_for` is the customer's address, masked, where it
    goes to the shop in their stead.
    """

    id: UUID
    shop: str
    storefront: Storefront
    follow_up: str
    address: str
    name: str | None
    content: Content
    purpose: Purpose
    dated: datetime
    attempt: int
    unsubscribe: str | None = None
    meant_for: str | None = None


class Connection(Protocol):
    """In use by one parcel at a time."""

    async def deliver(self, parcel: Parcel, now: datetime) -> Outcome:
        """Ends as a value, whatever happens; `now` is only what pauses are counted from.

        What can't be meant for the address is refused before anything leaves (`Dead`). From the first byte on by which
        the far side may have taken it, no answer is `Unknown`.
        """
        ...


C = TypeVar("C", bound=Connection)


class Channel(Protocol[C]):
    @property
    def size(self) -> int:
        """How many parcels at most are on their way at once; where addresses are `apart`, to each of them."""
        ...

    @property
    def apart(self) -> bool:
        """Whether each address is a far side of its own: then one that hangs holds up what goes there, and no more."""
        ...

    @property
    def resting(self) -> bool:
        """Whether the far side could not be reached a moment ago, for anything."""
        ...

    @property
    def repeats_known(self) -> bool:
        """Whether its receivers drop what comes twice under one id: then what had no answer is repeated."""
        ...

    def wait(self, address: str, now: datetime) -> datetime | None:
        """None when something may go there now, and then it counts; else when to ask again."""
        ...

    async def open(self, wanted: int) -> Sequence[C]:
        """Up to so many connections; fewer, or none, when the far side can't be reached. Give each back."""
        ...

    async def give_back(self, connection: C) -> None: ...

    async def close(self) -> None:
        """Nothing of it is open afterwards."""
        ...
