"""Durations as people write them in the shop's files and in settings: `6s`, `1h`, `90d`, `1h30m`."""

import re
from datetime import timedelta

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
LONGEST = timedelta(days=36_525)
"""A hundred years. Also with what is meant for ever somebody reckons, and dates end at the year 9999, and at 1."""
_FORM = re.compile(r"(?:\d+[wdhms])+")


def parse_duration(text: str) -> timedelta:
    """Raises ValueError, in words for who wrote it."""
    bare = text.strip().replace(" ", "")
    if not _FORM.fullmatch(bare):
        raise ValueError(f"`{text}` is no duration; write it as in 30m, 6h, 90d or 1h30m")
    parts = re.findall(r"(\d+)([wdhms])", bare)
    try:
        found = sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta())
    except (OverflowError, ValueError):  # beyond a million years, or a number of thousands of digits
        found = timedelta.max
    if found > LONGEST:
        raise ValueError(f"`{text[:40]}` is too long a time; write at most {LONGEST.days}d")
    return found


def spoken(duration: timedelta) -> str:
    """The shortest form: `90d`, `1h30m`, `6s`."""
    left = int(duration.total_seconds())
    said = ""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        said += f"{count}{unit}" if count else ""
    return said or "0s"
