"""Times as files hold them. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

ReadTime = Callable[[Any], datetime]
"""A time in UTC; raises ValueError in words for who has the file."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SINCE_1970: Final = {"seconds": timedelta(seconds=1), "milliseconds": timedelta(milliseconds=1)}
_KEPT: Final = 8_192
"""Texts whose time is remembered: the rows of a file mostly share few days, or few seconds."""


def reader(form: str, zone: ZoneInfo) -> ReadTime:
    """`form` is `iso`, `seconds`, `milliseconds` or a format of strptime.

    A time without an offset is `zone`'s; of an hour that its clocks showed twice the first is taken.
    """
    if form in _SINCE_1970:
        return lambda value: _since_1970(value, _SINCE_1970[form])

    @lru_cache(maxsize=_KEPT)
    def read_text(text: str) -> datetime:
        try:
            found = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007  its zone comes next
            return (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(UTC)
        except (ValueError, OverflowError):
            said = "written as in 2026-11-22T09:30:00Z" if form == "iso" else f"of the form {form}"
            raise ValueError(f"`{text[:40]}` is no time {said}") from None

    return lambda value: read_text(str(value).strip())


def _since_1970(value: Any, unit: timedelta) -> datetime:  # noqa: ANN401  any cell
    try:
        return _EPOCH + int(value) * unit if not isinstance(value, float) else _EPOCH + value * unit
    except (ValueError, OverflowError, TypeError):
        raise ValueError(f"`{str(value)[:40]}` is no count since 1970") from None
