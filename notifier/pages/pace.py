"""How often one link may be opened: more than any person does, less than a machine would. Kept in this process."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

WINDOW: Final = timedelta(minutes=1)
AT_MOST: Final = 30
"""Of one message's links in one window. Mail scanners open each link once or twice."""
REMEMBERED: Final = 10_000
"""Messages; of more, the ones opened longest ago are forgotten, which only ever lets somebody in."""


class Pace:
    def __init__(self) -> None:
        self._opened: OrderedDict[UUID, tuple[datetime, int]] = OrderedDict()

    def allows(self, message: UUID, now: datetime) -> bool:
        since, times = self._opened.pop(message, (now, 0))
        if now - since >= WINDOW:
            since, times = now, 0
        self._opened[message] = (since, times + 1)
        while len(self._opened) > REMEMBERED:
            self._opened.popitem(last=False)
        return times < AT_MOST
