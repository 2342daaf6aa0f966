"""What the operators and functions do to values as they come: from JSON, from facts, from money.

None stands for what is missing: an absent property, a null, or what can't be worked out (a division by zero, text
minus number). Nothing here raises, and nothing depends on the thread's decimal context.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, Final

from services.conditions.times import duration, spoken_duration, spoken_time, timestamp

MAX_INT: Final = 2**63 - 1
MIN_INT: Final = -(2**63)
MAX_TEXT: Final = 100_000
"""Characters that texts joined with `+` may reach; beyond, nothing comes of it."""
MAX_ITEMS: Final = 1_000
"""Values that lists joined with `+` may reach, and that `exists` and `all` look at."""
_DEEPEST: Final = 64
_LONGEST_NUMBER: Final = 64

Value = Any
Relation = Callable[[Value, Value], bool]
Operation = Callable[[Value, Value], Value]

# 60 digits hold the product of any two amounts of money; only divisions are ever rounded.
_MONEY: Final = Context(
    prec=60, rounding=ROUND_HALF_EVEN, Emin=-999, Emax=999, traps=[DivisionByZero, InvalidOperation, Overflow]
)
_PLAIN_DIGITS: Final = 60
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_REAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def group(value: Value) -> str | None:
    """Values of one group can be compared with each other; None for what is missing or none of ours."""
    known = _GROUPS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, datetime):
        return "timestamp" if value.utcoffset() is not None else None  # without an offset nobody knows when it was
    return next((name for kind, name in _GROUPS.items() if isinstance(value, kind)), None)


_GROUPS: Final[dict[type, str]] = {
    bool: "bool", int: "number", float: "number", Decimal: "number", str: "string",
    timedelta: "duration", list: "list", tuple: "list", dict: "map", Mapping: "map",
}  # fmt: skip
_ORDERED: Final = frozenset({"bool", "number", "string", "timestamp", "duration"})
_SIMPLE: Final = frozenset({bool, int, float, str, timedelta})
"""Types that Python itself compares as we mean it when both sides are of the same."""


def _aligned(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Both sides so that Python compares them as we mean it; None when they can't be compared."""
    kind = group(left)
    if kind not in _ORDERED or group(right) != kind:
        return None
    if kind == "timestamp":
        return left.astimezone(UTC), right.astimezone(UTC)  # of times in one zone Python compares the clocks' faces
    if kind == "number" and (isinstance(left, Decimal) or isinstance(right, Decimal)):
        pair = exact(left), exact(right)
        return None if pair[0].is_nan() or pair[1].is_nan() else pair
    return left, right


def exact(number: float | Decimal) -> Decimal:
    """As it is written: 0.1 is a tenth."""
    return Decimal(repr(float(number))) if isinstance(number, float) else Decimal(number)


def same(left: Value, right: Value) -> bool | None:
    """Whether two values are equal; None when they can't be compared."""
    if type(left) is type(right) and type(left) in _SIMPLE:
        return bool(left == right)
    pair = _attempt(_aligned, left, right)
    if pair is not None:
        return bool(pair[0] == pair[1])
    kind = group(left)
    if kind not in ("list", "map") or group(right) != kind:
        return None
    try:
        return _alike(left, right, 0)
    except _TooDeep:
        return None


class _TooDeep(Exception):
    """A fixed bound, where Python's own would depend on who called."""


def _alike(left: Value, right: Value, depth: int) -> bool:
    """Equality inside lists and maps, where what differs in kind is simply unequal."""
    if depth > _DEEPEST:
        raise _TooDeep
    kind = group(left)
    if kind == "list" and group(right) == kind:
        return len(left) == len(right) and all(
            _alike(mine, other, depth + 1) for mine, other in zip(left, right, strict=True)
        )
    if kind == "map" and group(right) == kind:
        return len(left) == len(right) and all(
            key in right and _alike(value, right[key], depth + 1) for key, value in left.items()
        )
    return same(left, right) is True or (left is None and right is None)


def _ordering(compare: Relation) -> Relation:
    def holds(left: Value, right: Value) -> bool:
        if type(left) is type(right) and type(left) in _SIMPLE:
            return compare(left, right)
        pair = _attempt(_aligned, left, right)
        return pair is not None and compare(*pair)

    return holds


RELATIONS: Final[Mapping[str, Relation]] = {
    "==": lambda left, right: same(left, right) is True,
    "!=": lambda left, right: same(left, right) is False,
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
}


def within(value: Value, whole: Value) -> bool:
    """`value in whole`: equal to a value of a list, or naming something that a map has."""
    if value is None:
        return False
    if group(whole) == "list":
        return any(same(value, one) for one in whole)
    return pick(whole, value) is not None


def pick(whole: Value, at: Value) -> Value:
    """`whole[at]`."""
    if isinstance(at, bool):
        return None
    if isinstance(whole, list | tuple):
        return whole[at] if isinstance(at, int) and 0 <= at < len(whole) else None
    if isinstance(whole, Mapping) and isinstance(at, str | int | float):
        return whole.get(at)
    return None


def _attempt(work: Operation, left: Value, right: Value) -> Value:
    try:
        return work(left, right)
    except (ArithmeticError, ValueError):  # too large, not finite, divided by zero; decimal's errors are Arithmetic
        return None


def _arithmetic(
    ints: Operation, floats: Operation, money: Operation, others: Operation = lambda _left, _right: None
) -> Operation:
    def work(left: Value, right: Value) -> Value:
        kinds = group(left), group(right)
        if kinds != ("number", "number"):
            return others(left, right) if None not in kinds else None
        if isinstance(left, int) and isinstance(right, int):
            whole = ints(left, right)
            return whole if MIN_INT <= whole <= MAX_INT else None
        if isinstance(left, Decimal) or isinstance(right, Decimal):
            amount = money(exact(left), exact(right))
            return amount if amount.is_finite() else None
        real = floats(left, right)
        return real if math.isfinite(real) else None

    return lambda left, right: _attempt(work, left, right)


def _add_others(left: Value, right: Value) -> Value:
    match group(left), group(right):
        case "string", "string":
            return left + right if len(left) + len(right) <= MAX_TEXT else None
        case "list", "list":
            return (*left, *right) if len(left) + len(right) <= MAX_ITEMS else None
        case "timestamp", "duration":
            return left.astimezone(UTC) + right
        case "duration", "timestamp":
            return right.astimezone(UTC) + left
        case "duration", "duration":
            return left + right
    return None


def _subtract_others(left: Value, right: Value) -> Value:
    match group(left), group(right):
        case "timestamp", "timestamp":
            return left.astimezone(UTC) - right.astimezone(UTC)
        case "timestamp", "duration":
            return left.astimezone(UTC) - right
        case "duration", "duration":
            return left - right
    return None


def _divided(left: int, right: int) -> int:
    """Towards zero, as CEL does; Python's goes down."""
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def _remainder(left: Value, right: Value) -> Value:
    if isinstance(left, int) and isinstance(right, int) and group(left) == group(right) == "number" and right:
        return left - right * _divided(left, right)
    return None


OPERATIONS: Final[Mapping[str, Operation]] = {
    "+": _arithmetic(operator.add, operator.add, _MONEY.add, _add_others),
    "-": _arithmetic(operator.sub, operator.sub, _MONEY.subtract, _subtract_others),
    "*": _arithmetic(operator.mul, operator.mul, _MONEY.multiply),
    "/": _arithmetic(_divided, operator.truediv, _MONEY.divide),
    "%": _remainder,
}


def negative(value: Value) -> Value:
    return OPERATIONS["*"](value, -1)


def _size(value: Value) -> Value:
    return len(value) if group(value) in ("string", "list", "map") else None


def _string(value: Value) -> Value:
    match group(value):
        case "string":
            return str(value)
        case "bool":
            return "true" if value else "false"
        case "number":
            return _written(value)
        case "timestamp":
            return spoken_time(value)
        case "duration":
            return spoken_duration(value)
    return None


def _written(number: float | Decimal) -> str | None:
    """Without exponent and without `.0`, where that takes no more than a line."""
    amount = exact(number)
    if not amount.is_finite():
        return None
    if abs(amount.adjusted()) > _PLAIN_DIGITS or len(amount.as_tuple().digits) > 2 * _PLAIN_DIGITS:
        return str(amount)
    text = f"{amount:f}"
    return text.removesuffix(".0") if isinstance(number, float) else text


def _int(value: Value) -> Value:
    match group(value):
        case "number":
            whole = int(value) if MIN_INT - 1 < value < MAX_INT + 1 else None
        case "string":
            whole = int(value) if _WHOLE.fullmatch(value) else None
        case "timestamp":
            whole = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        case _:
            return None
    return whole if whole is not None and MIN_INT <= whole <= MAX_INT else None


def _double(value: Value) -> Value:
    kind = group(value)
    if kind != "number" and not (kind == "string" and len(value) <= _LONGEST_NUMBER and _REAL.fullmatch(value)):
        return None
    real = float(value)
    return real if math.isfinite(real) else None


def _duration(value: Value) -> Value:
    return duration(value) if isinstance(value, str) else value if isinstance(value, timedelta) else None


def _timestamp(value: Value) -> Value:
    return timestamp(value) if isinstance(value, str) else value if group(value) == "timestamp" else None


def _guarded(work: Callable[[Value], Value]) -> Callable[[Value], Value]:
    return lambda value: _attempt(lambda one, _: work(one), value, None)


CONVERSIONS: Final[Mapping[str, Callable[[Value], Value]]] = {
    "size": _size,
    "string": _guarded(_string),
    "int": _guarded(_int),
    "double": _guarded(_double),
    "duration": _guarded(_duration),
    "timestamp": _guarded(_timestamp),
}
TEXT_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}
