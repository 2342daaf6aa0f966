"""What is being handed over beside a worker's own steps: one group a lane, so that a lane that hangs is one lane."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any


class UnderWay:
    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, lane: str) -> bool:
        return lane in self._tasks

    def begin(self, lane: str, handing_over: Coroutine[Any, Any, None]) -> None:
        """The lane must be free."""
        self._tasks[lane] = asyncio.create_task(handing_over, name=f"to {lane}")

    def clear(self) -> None:
        """Lanes whose groups have come to their end are free again. Raises what one of them raised."""
        ended = [lane for lane, task in self._tasks.items() if task.done()]
        for task in [self._tasks.pop(lane) for lane in ended]:
            task.result()

    async def one(self, patience: timedelta) -> bool:
        """Waits until a group ends, or for so long; False when none is under way."""
        if not self._tasks:
            return False
        seconds = patience.total_seconds()
        await asyncio.wait(self._tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def all(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        self.clear()
