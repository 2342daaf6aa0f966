"""How fast mail goes to one domain: providers answer a flood with "later", and remember who sent it. Without I/O.

What has to wait is due again at a place of its own in the line, so it is claimed once more and holds up nobody else's.
Each process has its own pace: two notifiers send twice as much.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

USUAL: Final[Mapping[str, float]] = MappingProxyType(
    {
        **dict.fromkeys(("gmail.com", "googlemail.com"), 20.0),
        **dict.fromkeys(("outlook.com", "hotmail.com", "live.com", "msn.com"), 10.0),
        **dict.fromkeys(("yahoo.com", "aol.com", "icloud.com", "gmx.de", "gmx.net", "web.de", "t-online.de"), 5.0),
    }
)
"""Mails a second, well below what these providers take from a sender that they know. All others: as fast as it goes."""
BURST: Final = timedelta(seconds=1)
"""So much of a pause may be saved up: a handful at once is no flood."""


class Pace:
    def __init__(self, rates: Mapping[str, float]) -> None:
        """`rates` are mails a second, by domain."""
        self._gaps = {domain.lower(): timedelta(seconds=1 / rate) for domain, rate in rates.items()}
        self._free: dict[str, datetime] = {}
        self._line: dict[str, datetime] = {}

    def wait(self, address: str, now: datetime) -> datetime | None:
        """None when it may go now, and then it counts; else when to ask again."""
        domain = address.rpartition("@")[2].lower()
        gap = self._gaps.get(domain)
        if gap is None:
            return None
        free = max(self._free.get(domain, now), now)
        if free < now + BURST:
            self._free[domain] = free + gap
            return None
        self._line[domain] = max(self._line.get(domain, now), now) + gap
        return self._line[domain]
