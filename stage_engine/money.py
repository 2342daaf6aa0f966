"""Amounts from properties: numbers, or numbers in strings, as exact decimals."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

LIMIT = Decimal("1e15")
"""No shop sells for more; beyond it is a fault of a client, and sums must stay exact."""
LONGEST = 24
"""Characters of an amount that is worth remembering; a client may write any number of them."""


def amount(value: Any) -> Decimal | None:  # noqa: ANN401  any JSON
    """Exact, to four places; None for what is no finite amount. A float stands for the digits that it prints."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    plain = isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= LONGEST)
    return _remembered(value) if plain else _exact(value)


def _exact(value: float | str | Decimal) -> Decimal | None:
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not found.is_finite() or found.copy_abs() > LIMIT:  # `abs` would overflow at 1e999999999
        return None
    return found.quantize(Decimal("0.0001")).normalize() + 0


_remembered = lru_cache(maxsize=8_192, typed=True)(_exact)
"""A shop has few prices and quantities, and its orders name them line by line."""


def first_amount(properties: Mapping[str, Any], *names: str) -> Decimal | None:
    return next((found for name in names if (found := amount(properties.get(name))) is not None), None)


def money(value: Decimal) -> str:
    """As JSON has it: two places, more where there are more, never an exponent."""
    return format(value if -value.as_tuple().exponent > 2 else value.quantize(Decimal("0.01")), "f")  # type: ignore[operator]  # noqa: PLR2004  cents; finite by `amount`


def currency_of(properties: Mapping[str, Any]) -> str | None:
    """In capitals, as ISO 4217 has them; None where none is said."""
    said = properties.get("currency")
    return (said.strip().upper()[:3] or None) if isinstance(said, str) else None


def quantity(properties: Mapping[str, Any]) -> int:
    """At least 1, which is also what a missing one means."""
    found = amount(properties.get("quantity"))
    return 1 if found is None else max(1, min(int(found), 1_000_000))


def lines_value(lines: list[dict[str, Any]]) -> Decimal | None:
    """The sum of price times quantity over the lines that have a price; None when none has."""
    values = [price * quantity(line) for line in lines if (price := amount(line.get("price"))) is not None]
    return sum(values, Decimal()) if values else None


def lines_of(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The products that an event lists."""
    listed = properties.get("products")
    return [line for line in listed if isinstance(line, dict)] if isinstance(listed, list) else []
