"""Dates that a shop says of its customers: when a contract ends, when somebody was born. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_FORM = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")
_LONGEST: Final = 40
_YEARS: Final = range(1900, 2200)
"""So far from the calendar's ends that no time counted from a date leaves it."""


@lru_cache(maxsize=4_096)
def moment(said: str, timezone: str) -> datetime | None:
    """An ISO date or time, in UTC; None for what is none. One without an offset is in the time zone.

    A bare date begins at midnight. A time that the clocks jumped over is an hour later, one that came twice the first.
    """
    text = said.strip()
    if len(text) > _LONGEST or not _FORM.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.year not in _YEARS:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)
