"""Times and lengths of time as CEL writes them: RFC 3339, and Go's `1h30m`, to which `d` and `w` are added.

Not `services.durations`: that is the form of the shop's files, whole numbers from weeks to seconds; CEL's has
fractions, signs and units down to ns.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final

_SECOND: Final = 1_000_000
_MICROSECONDS: Final = {
    "ns": Fraction(1, 1000), "us": Fraction(1), "µs": Fraction(1), "ms": Fraction(1000), "s": Fraction(_SECOND),
    "m": Fraction(60 * _SECOND), "h": Fraction(3600 * _SECOND),
    "d": Fraction(86_400 * _SECOND), "w": Fraction(604_800 * _SECOND),
}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)")
_LONGEST_TEXT: Final = 64
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def duration(text: str) -> timedelta:
    """Whole microseconds; what is finer is cut off. Raises ValueError, in words for who wrote it."""
    bare = text[1:] if text[:1] in ("+", "-") else text
    if len(text) > _LONGEST_TEXT or not bare or (bare != "0" and _PART.sub("", bare)):
        raise ValueError(f'"{text[:_LONGEST_TEXT]}" is no length of time; write it as in 30m, 6h, 7d or 1h30m')
    total = sum((Fraction(count) * _MICROSECONDS[unit] for count, unit in _PART.findall(bare)), Fraction())
    try:
        found = timedelta(microseconds=int(total))
    except OverflowError:
        raise ValueError(f'"{text}" is too long a time') from None
    return -found if text.startswith("-") else found


def timestamp(text: str) -> datetime:
    """In UTC, whole microseconds. Raises ValueError, in words for who wrote it."""
    form = _MOMENT.fullmatch(text)
    fault = f'"{text[:_LONGEST_TEXT]}" is no time; write it as in 2026-01-31T00:00:00Z'
    if not form:
        raise ValueError(fault)
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = form.groups()
    try:
        away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-away if sign == "-" else away)
        micro = int((fraction or "").ljust(6, "0")[:6])
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micro, zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(fault) from None


def spoken_time(moment: datetime) -> str:
    """RFC 3339 with as many digits of the second as it takes: none, three or six."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='seconds')}{_fraction(utc.microsecond)}Z"


def spoken_duration(length: timedelta) -> str:
    """In seconds, `5400s` or `1.500s`."""
    seconds, micro = divmod(abs(length) // timedelta(microseconds=1), _SECOND)
    return f"{'-' if length < timedelta() else ''}{seconds}{_fraction(micro)}s"


def _fraction(micro: int) -> str:
    if not micro:
        return ""
    return f".{micro:06}" if micro % 1000 else f".{micro // 1000:03}"
