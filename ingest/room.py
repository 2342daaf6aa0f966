"""How much of all calls may be in memory: bodies that come in, and records that wait for their acknowledgement.

One storefront has at most a share of it, so that what one sends too much is not the others' to bear. Who is not known
yet, since the key is in the body or the body must be signed, shares one share with all who are not known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.errors import Unavailable

CALL_BYTES: Final = 4096
"""What a call takes beside its bytes: its headers, its task, its place in Kafka's queue."""
RETRY_AFTER: Final = 1
"""Seconds: calls end within those, and others then have room."""


class Room:
    def __init__(self, max_bytes: int, share: float, refused: Callable[[str | None], None] = lambda _: None) -> None:
        """`refused` hears whose call found no room."""
        self._max = max_bytes
        self._refused = refused
        self._share = int(max_bytes * share)
        self._held: dict[str | None, int] = defaultdict(int)
        self.taken = 0

    @contextmanager
    def held(self, storefront: str | None) -> Iterator["Held"]:
        """Of one call, until it is answered. Raises Unavailable, as all that enlarges it."""
        held = Held(self, storefront)
        try:
            held.grow(CALL_BYTES)
            yield held
        finally:
            self.move(storefront=held.storefront, size=-held.size)

    def move(self, *, storefront: str | None, size: int) -> None:
        self.taken += size
        self._held[storefront] += size
        if not self._held[storefront]:
            del self._held[storefront]

    def check(self, storefront: str | None, more: int) -> None:
        if self.taken + more > self._max or self._held.get(storefront, 0) + more > self._share:
            self._refused(storefront)
            raise Unavailable(
                "too much is under way at once; send the same again after a moment",
                code="busy",
                retry_after=RETRY_AFTER,
            )


class Held:
    def __init__(self, room: Room, storefront: str | None) -> None:
        self._room = room
        self.storefront = storefront
        self.size = 0

    def grow(self, size: int) -> None:
        self._room.check(self.storefront, size)
        self._room.move(storefront=self.storefront, size=size)
        self.size += size

    def belongs_to(self, storefront: str) -> None:
        """Once it is known whose call it is."""
        if storefront == self.storefront:
            return
        size = self.size
        self._room.move(storefront=self.storefront, size=-size)
        self.storefront, self.size = storefront, 0
        self.grow(size)
