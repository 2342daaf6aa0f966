"""The overview as everybody sees it: read once for all who look, and never for more than a share of the time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

FRESH_FOR: Final = 2.0
"""Seconds; as often as the page asks."""
REST: Final = 20
"""Times as long as a reading took, nobody's look causes the next: at most a twentieth of the database's time."""


@dataclass(slots=True)
class Snapshot(Generic[T]):
    """`clock` counts seconds and never goes back."""

    read: Callable[[], Awaitable[T]]
    clock: Callable[[], float]
    _held: tuple[T, float] | None = None
    _one_reads: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self) -> T:
        async with self._one_reads:
            if self._held is not None and self.clock() < self._held[1]:
                return self._held[0]
            began = self.clock()
            value = await self.read()
            ended = self.clock()
            self._held = value, ended + max(FRESH_FOR, REST * (ended - began))
            return value
