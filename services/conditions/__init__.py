"""The condition language: a subset of CEL (Common Expression Language), read and checked once, run as closures.

    facts.orders >= 2 && event.kind == "nps" && event.score in [9, 10]
    cart.items.exists(item, item.price > 100) || has(traits.vip)
    event.occurred_at - facts.last_order_at > duration("7d")

It means what CEL means, with one difference: *a comparison with what is missing, or of what can't be compared, is
false, not an error.* Missing is an absent property, a null, and whatever can't be worked out from them: a division by
zero, a number over 64 bits, `int("many")`. What is missing is false where true or false is needed, so `!` of it is
true. Numbers (whole, real, money) may also be mixed in arithmetic; a real meets money as it is written, 0.1 as a tenth.

Nothing in a text can run code or go on for long: text, nesting, lists and the steps of `exists` and `all` are bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from services.conditions.check import check, check_condition
from services.conditions.compile import Run, Test, counting, truth, value, with_allowance
from services.conditions.conjuncts import conjuncts
from services.conditions.kinds import Kind
from services.conditions.names import Names
from services.conditions.parse import parse
from services.errors import ConditionError

__all__ = [
    "MISSING",
    "Condition",
    "ConditionError",
    "Conjunct",
    "Expression",
    "Kind",
    "Missing",
    "Names",
    "compile_condition",
    "compile_expression",
    "explain",
]


class Missing(Enum):
    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""What an expression comes to when something that it reads is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`reads` are the paths that the text names: ("facts", "orders"). `parts` are joined by its top-level `&&`."""

    text: str
    reads: frozenset[tuple[str, ...]]
    run: Test = field(repr=False, compare=False)
    parts: "tuple[Condition, ...]" = field(default=(), repr=False, compare=False)

    def holds(self, scope: Mapping[str, Any]) -> bool:
        """Never raises, whatever stands in the scope."""
        return self.run(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunct:
    """One of the parts of a condition that must all hold, and whether it does."""

    text: str
    holds: bool
    reads: frozenset[tuple[str, ...]]


def explain(condition: Condition, scope: Mapping[str, Any]) -> tuple[Conjunct, ...]:
    """The condition taken apart at its top-level `&&`. All conjuncts hold exactly when it does; never raises."""
    shared = with_allowance(scope)  # one allowance of steps for all of them, as the whole has
    return tuple(Conjunct(text=part.text, holds=part.run(shared), reads=part.reads) for part in condition.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """As a Condition, but of any kind."""

    text: str
    kind: Kind
    reads: frozenset[tuple[str, ...]]
    run: Run = field(repr=False, compare=False)

    def value(self, scope: Mapping[str, Any]) -> Any | Missing:  # noqa: ANN401  whatever stands there
        """MISSING where there is none. Lists that the text itself makes come as tuples."""
        found = self.run(scope)
        return MISSING if found is None else found


def compile_condition(text: str, names: Names) -> Condition:
    """Raises ConditionError, with the place in the text and the fix."""
    tree = parse(text)
    found = check_condition(tree, names)
    run = truth(tree)
    return Condition(
        text=text,
        reads=found.reads,
        run=counting(run) if found.has_macros else run,
        parts=tuple(_part(part, names) for part in conjuncts(text)),
    )


def _part(text: str, names: Names) -> Condition:
    tree = parse(text)
    return Condition(text=text, reads=check_condition(tree, names).reads, run=truth(tree))


def compile_expression(text: str, names: Names) -> Expression:
    """Raises ConditionError, with the place in the text and the fix."""
    tree = parse(text)
    found = check(tree, names)
    run = value(tree)
    return Expression(text=text, kind=found.kind, reads=found.reads, run=counting(run) if found.has_macros else run)
