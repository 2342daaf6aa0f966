"""Values as a mail shows them: one line of text, money, a day, in the reader's language. Pure."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_percent

LONGEST_TEXT: Final = 200
MOST_OF_ONE: Final = 9999
LONGEST_WORDS: Final = 900
"""Less than the engine keeps of a comment, so that what was cut shows it."""
MOST_LINES: Final = 30
_IN_NO_MAIL: Final = "\x7f\ufffe\uffff"
"""Beside what is below the blank. MJML is XML, which has no word for the last two: one in a name, and nothing goes."""


def line(value: object) -> str:
    """One line of printable text; joiners and marks of other scripts stay."""
    return _line(str(value))[:LONGEST_TEXT] if isinstance(value, str | int) else ""


def words(value: object) -> tuple[str, ...]:
    """What somebody wrote, line by line; what is too much of it is cut, and ends in an ellipsis."""
    if not isinstance(value, str):
        return ()
    lines = [line for part in value[:LONGEST_WORDS].splitlines() if (line := _line(part))]
    shown = lines[:MOST_LINES]
    cut = len(value) > LONGEST_WORDS or len(lines) > MOST_LINES
    return (*shown[:-1], f"{shown[-1]}…") if shown and cut else tuple(shown)


def _line(text: str) -> str:
    return " ".join("".join(c if c >= " " and c not in _IN_NO_MAIL else " " for c in text).split())


def quantity(value: object) -> int:
    try:
        return min(max(int(str(value)), 1), MOST_OF_ONE)
    except ValueError:
        return 1


def amount(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value)) if isinstance(value, str | int | float | Decimal) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def money(value: Decimal | None, currency: str, locale: Locale) -> str | None:
    return None if value is None else str(format_currency(value, currency, locale=locale))


def worth(said: str, locale: Locale) -> str:
    """A percentage as it is written there, `10%` or `10 %`; anything else as it stands."""
    share = re.fullmatch(r"\s*(\d{1,3}(?:[.,]\d{1,2})?)\s*%\s*", said)
    if share is None:
        return said
    return str(format_percent(Decimal(share[1].replace(",", ".")) / 100, locale=locale, decimal_quantization=False))


def day(moment: datetime, timezone: str, locale: Locale) -> str:
    """The day that it is then in the shop."""
    return str(format_date(moment.astimezone(ZoneInfo(timezone)).date(), format="long", locale=locale))


def locale_of(name: str) -> Locale | None:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return None


def safe_url(value: object) -> str | None:
    """The address if a browser would only ever open a page with it: http or https, with a host, and nothing hidden."""
    if not isinstance(value, str) or not value.isprintable() or " " in value or "\\" in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.hostname else None


def ink_on(colour: str) -> str:
    """White or near black, whichever reads better on this colour (WCAG's relative luminance)."""
    digits = colour.removeprefix("#")
    try:
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    except ValueError:
        return "#ffffff"
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]  # noqa: PLR2004  sRGB
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.179 else "#1c1c1a"  # noqa: PLR2004  where both have the same contrast
