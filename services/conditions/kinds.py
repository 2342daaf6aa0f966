"""The kinds that values have where that is known before any event, and what goes together with what."""

from collections.abc import Collection
from typing import Final
from typing import Literal as OneOf

from services.conditions.nodes import Binary, Expr, Literal
from services.errors import ConditionError

Kind = OneOf["any", "bool", "int", "float", "money", "string", "timestamp", "duration", "list", "map", "null"]

NUMBERS: Final = frozenset[Kind]({"int", "float", "money"})
SPOKEN: Final[dict[Kind, str]] = {
    "any": "anything", "bool": "true or false", "int": "a number", "float": "a number", "money": "an amount",
    "string": "a text", "timestamp": "a time", "duration": "a length of time", "list": "a list", "map": "a map",
    "null": "null",
}  # fmt: skip
TAKES: Final[dict[str, tuple[frozenset[Kind], ...]]] = {
    "size": (frozenset[Kind]({"string", "list", "map"}),),
    "string": (frozenset[Kind]({*NUMBERS, "string", "bool", "timestamp", "duration"}),),
    "int": (frozenset[Kind]({*NUMBERS, "string", "timestamp"}),),
    "double": (frozenset[Kind]({*NUMBERS, "string"}),),
    "duration": (frozenset[Kind]({"string", "duration"}),),
    "timestamp": (frozenset[Kind]({"string", "timestamp"}),),
    **dict.fromkeys(("startsWith", "endsWith", "contains"), (frozenset[Kind]({"string"}),) * 2),
}
GIVES: Final[dict[str, Kind]] = {
    "size": "int", "string": "string", "int": "int", "double": "float", "duration": "duration",
    "timestamp": "timestamp", "startsWith": "bool", "endsWith": "bool", "contains": "bool",
}  # fmt: skip
# What other than numbers can be added and subtracted, as in CEL.
_SUMS: Final[dict[tuple[str, Kind, Kind], Kind]] = {
    ("+", "string", "string"): "string",
    ("+", "list", "list"): "list",
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "timestamp"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("-", "duration", "duration"): "duration",
}


def want_alike(left: Expr, left_kind: Kind, right: Expr, right_kind: Kind) -> None:
    kinds = {_group(left_kind), _group(right_kind)}
    if len(kinds) == 1 or "any" in kinds:
        return
    # What is at fault is rather what was written out than what was named.
    wrong = left if isinstance(left, Literal) and not isinstance(right, Literal) else right
    fix = "they are never equal"
    if kinds == {"number", "string"}:
        text = wrong.value if isinstance(wrong, Literal) and isinstance(wrong.value, str) else ""
        fix = f"write {text} without quotes" if _is_number(text) else "turn the text into a number: double(…)"
        if isinstance(wrong, Literal) and not isinstance(wrong.value, str):
            fix = f'write "{wrong.value}" with quotes'
        elif text and not _is_number(text):
            fix = "compare with a number"
    elif kinds == {"timestamp", "string"}:
        fix = 'write the time as timestamp("2026-01-31T00:00:00Z")'
    elif kinds == {"timestamp", "duration"}:
        fix = "take one time from another first: a - b > duration(…)"
    elif "duration" in kinds:
        fix = 'write the length of time as duration("7d")'
    elif "number" in kinds and kinds & {"list", "map"}:
        fix = "compare its size(…)"
    elif "bool" in kinds and "string" in kinds:
        fix = "write true and false without quotes"
    raise ConditionError(f"{SPOKEN[left_kind]} can't be compared with {SPOKEN[right_kind]}; {fix}", wrong.column)


def _group(kind: Kind) -> str:
    return "number" if kind in NUMBERS else kind


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def arithmetic(node: Binary, left: Kind, right: Kind) -> Kind:
    sign = node.operator
    if sign == "%":
        for side, kind in ((node.left, left), (node.right, right)):
            if kind not in ("any", "int"):
                raise ConditionError(f"`%` takes whole numbers, and this is {SPOKEN[kind]}", side.column)
        return "any" if "any" in (left, right) else "int"
    if left in NUMBERS and right in NUMBERS:
        return "money" if "money" in (left, right) else "float" if "float" in (left, right) else "int"
    if (sign, left, right) in _SUMS:
        return _SUMS[sign, left, right]
    possible = {
        *((first, second) for with_, first, second in _SUMS if with_ == sign),
        *((first, second) for first in NUMBERS for second in NUMBERS),
    }
    if any(left in (first, "any") and right in (second, "any") for first, second in possible):
        return "any"
    raise ConditionError(f"`{sign}` can't join {SPOKEN[left]} and {SPOKEN[right]}", node.column)


def listed(kinds: Collection[Kind]) -> str:
    said = sorted({SPOKEN[kind] for kind in kinds})
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"
