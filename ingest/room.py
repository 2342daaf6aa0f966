"""How much of all calls may be in memory: bodies that come in, and records that wait for their acknowledgement.

One storefront has at most a share of it, so that what one sends too much is not the others' to bear. Who is not known
yet, since the key is in the body or the body must be signed, shares one share with all who are not known, and one
address may take a part of that only: else anybody without a key could shut out every shop's webhooks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.errors import Unavailable

CALL_BYTES: Final = 4096
"""What a call takes beside its bytes: its headers, its task, its place in Kafka's queue."""
STRANGERS: Final = 4
"""Of such addresses fill the share of all who are not known."""
RETRY_AFTER: Final = 1
"""Seconds: calls end within those, and others then have room."""

_Pool = tuple[str | None, str | None]
"""A storefront, or None for who is not known; and of these the address, or None for all."""


class Room:
    def __init__(self, max_bytes: int, share: float, refused: Callable[[str | None], None] = lambda _: None) -> None:
        """`refused` hears whose call found no room."""
        self._max = max_bytes
        self._refused = refused
        self._share = int(max_bytes * share)
        self._held: dict[_Pool, int] = defaultdict(int)
        self.taken = 0

    @contextmanager
    def held(self, storefront: str | None, client: str = "") -> Iterator["Held"]:
        """Of one call, until it is answered. Raises Unavailable, as all that enlarges it."""
        held = Held(self, storefront, client)
        try:
            held.grow(CALL_BYTES)
            yield held
        finally:
            self.move(held.storefront, client, -held.size)

    def move(self, storefront: str | None, client: str, size: int) -> None:
        self.taken += size
        for pool, _ in self._pools(storefront, client):
            self._held[pool] += size
            if not self._held[pool]:
                del self._held[pool]

    def check(self, storefront: str | None, client: str, more: int) -> None:
        pools = self._pools(storefront, client)
        if self.taken + more > self._max or any(self._held.get(pool, 0) + more > most for pool, most in pools):
            self._refused(storefront)
            raise Unavailable(
                "too much is under way at once; send the same again after a moment",
                code="busy",
                retry_after=RETRY_AFTER,
            )

    def _pools(self, storefront: str | None, client: str) -> list[tuple[_Pool, int]]:
        """Which a call counts in, and how much each may have."""
        if storefront is not None:
            return [((storefront, None), self._share)]
        return [((None, None), self._share), ((None, client), self._share // STRANGERS)]


class Held:
    def __init__(self, room: Room, storefront: str | None, client: str) -> None:
        self._room = room
        self._client = client
        self.storefront = storefront
        self.size = 0

    def grow(self, size: int) -> None:
        self._room.check(self.storefront, self._client, size)
        self._room.move(self.storefront, self._client, size)
        self.size += size

    def belongs_to(self, storefront: str) -> None:
        """Once it is known whose call it is."""
        if storefront == self.storefront:
            return
        size = self.size
        self._room.move(self.storefront, self._client, -size)
        self.storefront, self.size = storefront, 0
        self.grow(size)
