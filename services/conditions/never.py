"""What can be told of a condition before anything has happened: that it can never hold, or that part of it always does.

Only what is cheap to prove: terms that are all needed (`&&`), each comparing a name with a value that is written out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields
from typing import Final

from services.conditions.nodes import Binary, Expr, Literal, Logic, Node, Unary, path_of
from services.conditions.parse import parse

Path = tuple[str, ...]
Plain = int | float | str | bool

_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Claim:
    """`facts.orders >= 2`: a name compared with a value."""

    path: Path
    relation: str
    value: Plain

    def __str__(self) -> str:
        value = f'"{self.value}"' if isinstance(self.value, str) else str(self.value).lower()
        return f"{'.'.join(self.path)} {self.relation} {value}"


def claims(text: str) -> Iterator[Claim]:
    """Every comparison of a name with a value; `in [a, b]` is one with each. Raises ConditionError."""
    for node in _all(parse(text)):
        if isinstance(node, Binary) and node.operator == "in":
            path = path_of(node.left)
            for value in _all(node.right):
                if path is not None and isinstance(value, Literal) and value.value is not None:
                    yield Claim(path, "==", value.value)
        elif (claim := _claim(node)) is not None:
            yield claim


def why_never(text: str, counts: Collection[Path] = ()) -> str | None:
    """Which parts rule each other out; `counts` are whole and never below 0. Raises ConditionError."""
    ranges: dict[Path, _Range] = defaultdict(_Range)
    for path in counts:
        ranges[path] = _Range(low=Claim(path, ">=", 0), whole=True)
    for claim in _needed(parse(text)):
        if (other := ranges[claim.path].narrowed_by(claim)) is not None:
            if other == Claim(claim.path, ">=", 0) and claim.path in counts:
                return f"`{claim}` can't be: it is never below 0"
            return f"`{other}` and `{claim}` can't both be"
    return None


def always(text: str, counts: Collection[Path]) -> Iterator[Claim]:
    """Parts that hold whatever happens, since a count is never below 0. Raises ConditionError."""
    for claim in _needed(parse(text)):
        if claim.path not in counts or not isinstance(claim.value, int | float):
            continue
        if (claim.relation == ">=" and claim.value <= 0) or (claim.relation == ">" and claim.value < 0):
            yield claim


@dataclass(slots=True)
class _Range:
    """What the claims so far leave of one name's values."""

    low: Claim | None = None
    high: Claim | None = None
    equal: Claim | None = None
    unequal: list[Claim] = field(default_factory=list)
    whole: bool = False

    def narrowed_by(self, claim: Claim) -> Claim | None:
        """Takes the claim in; returns the one that it contradicts."""
        if claim.relation == "==":
            if self.equal is not None and self.equal.value != claim.value:
                return self.equal
            self.equal = claim
        elif claim.relation == "!=":
            self.unequal.append(claim)
        elif not _number(claim.value):
            return None
        elif claim.relation in (">", ">="):
            if self.low is None or self._bound(claim) > self._bound(self.low):
                self.low = claim
        elif self.high is None or self._bound(claim) < self._bound(self.high):
            self.high = claim
        return self._contradicted(claim)

    def _contradicted(self, claim: Claim) -> Claim | None:
        if self.equal is not None:
            for other in self.unequal:
                if other.value == self.equal.value:
                    return other if claim is self.equal else self.equal
            if _number(self.equal.value):
                for bound in (self.low, self.high):
                    if bound is not None and not _holds(self.equal, bound):
                        return bound if claim is self.equal else self.equal
        if self.low is not None and self.high is not None and self._bound(self.low) > self._bound(self.high):
            return self.low if claim is self.high else self.high
        return None

    def _bound(self, claim: Claim) -> tuple[float, int]:
        """As a place on the line; an open end lies just beyond its value, of whole numbers at the next."""
        value = float(claim.value)
        step = {">": 1, "<": -1}.get(claim.relation, 0)
        return (value + step, 0) if self.whole and value.is_integer() else (value, step)


def _holds(equal: Claim, bound: Claim) -> bool:
    value, limit = float(equal.value), float(bound.value)
    return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[bound.relation]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _needed(node: Expr) -> Iterator[Claim]:
    """The claims that must all hold for the condition to hold."""
    if isinstance(node, Logic) and node.operator == "&&":
        for term in node.terms:
            yield from _needed(term)
    elif (claim := _claim(node)) is not None:
        yield claim


def _claim(node: Node) -> Claim | None:
    if not isinstance(node, Binary) or node.operator not in _TURNED:
        return None
    for named, written, relation in (
        (node.left, node.right, node.operator),
        (node.right, node.left, _TURNED[node.operator]),
    ):
        path, value = path_of(named), _value(written)
        if path is not None and value is not None:
            return Claim(path, relation, value)
    return None


def _value(node: Expr) -> Plain | None:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Unary) and node.operator == "-" and isinstance(node.of, Literal):
        return -node.of.value if isinstance(node.of.value, int | float) else None
    return None


def _all(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for part in fields(node):
        inner = getattr(node, part.name)
        for child in inner if isinstance(inner, tuple) else (inner,):
            if isinstance(child, Node):
                yield from _all(child)
