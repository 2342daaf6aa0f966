"""A checked tree into closures: what can be decided once is decided here, not at every event.

A closure takes the scope and gives a value, None for what is missing. Those that `truth` gives always give a bool.
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, assert_never

from services.conditions.nodes import (
    Binary,
    Call,
    Choice,
    Expr,
    Has,
    Index,
    ListOf,
    Literal,
    Logic,
    Member,
    Name,
    Quantifier,
    Unary,
    path_of,
)
from services.conditions.values import (
    CONVERSIONS,
    MAX_ITEMS,
    OPERATIONS,
    RELATIONS,
    TEXT_TESTS,
    Relation,
    Value,
    exact,
    group,
    negative,
    pick,
    within,
)

Scope = Mapping[str, Any]
Run = Callable[[Scope], Value]
Test = Callable[[Scope], bool]

MAX_STEPS: Final = 10_000
"""Values that all of one condition's `exists` and `all` look at together: some 5 ms."""

_STEPS: Final = "exists, all"
"""Where in the scope the count of them stands; no name can be spelled like it."""

_PLAIN: Final[Mapping[str, Relation]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TURNED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def counting(run: Run) -> Run:
    """Around a whole tree with macros: each evaluation gets its own allowance of steps."""
    return lambda scope: run(with_allowance(scope))


def with_allowance(scope: Scope) -> Scope:
    return {**scope, _STEPS: [MAX_STEPS]}


def truth(node: Expr) -> Test:  # noqa: PLR0911  one line a kind of node
    """What is missing, or neither true nor false, is false."""
    match node:
        case Literal():
            constant = node.value is True
            return lambda _: constant
        case Unary() if node.operator == "!":
            test = truth(node.of)
            return lambda scope: not test(scope)
        case Binary() if node.operator in RELATIONS:
            return _relation(node)
        case Binary() if node.operator == "in":
            return _within(node)
        case Logic():
            return _logic(node)
        case Has():
            read = value(node.path)
            return lambda scope: read(scope) is not None
        case Quantifier():
            return _quantifier(node)
        case _:
            run = value(node)
            return lambda scope: run(scope) is True


def value(node: Expr) -> Run:  # noqa: PLR0911  one line a kind of node
    match node:
        case Literal():
            constant = node.value
            return lambda _: constant
        case ListOf():
            return _list(node)
        case Name() | Member() | Index():
            return _read(node)
        case Unary() if node.operator == "-":
            run = value(node.of)
            return lambda scope: negative(run(scope))
        case Binary() if node.operator in OPERATIONS:
            work, left, right = OPERATIONS[node.operator], value(node.left), value(node.right)
            return lambda scope: work(left(scope), right(scope))
        case Choice():
            test, then, otherwise = truth(node.condition), value(node.then), value(node.otherwise)
            return lambda scope: then(scope) if test(scope) else otherwise(scope)
        case Call():
            return _call(node)
        case Unary() | Binary() | Logic() | Has() | Quantifier():
            return truth(node)
    assert_never(node)


def _read(node: Name | Member | Index) -> Run:
    path = path_of(node)
    if path is None or len(path) > 2:  # noqa: PLR2004  `facts.orders` is what is read most, and has its own closure
        return _read_part(node) if isinstance(node, Member | Index) else _read_name(node.name)
    if len(path) == 1:
        return _read_name(path[0])
    variable, member = path

    def read(scope: Scope) -> Value:
        inner = scope.get(variable)
        return inner.get(member) if type(inner) is dict else pick(inner, member)

    return read


def _read_name(name: str) -> Run:
    return lambda scope: scope.get(name)


def _read_part(node: Member | Index) -> Run:
    whole = value(node.of)
    if isinstance(node, Index):
        at = value(node.at)
        return lambda scope: pick(whole(scope), at(scope))
    name = node.name
    return lambda scope: pick(whole(scope), name)


def _list(node: ListOf) -> Run:
    """A list that holds something missing is itself missing; a null that is written out is a value of it."""
    if all(isinstance(item, Literal) for item in node.items):
        constant = tuple(item.value for item in node.items if isinstance(item, Literal))
        return lambda _: constant
    parts = [(value(item), isinstance(item, Literal)) for item in node.items]

    def run(scope: Scope) -> Value:
        found = []
        for part, written in parts:
            one = part(scope)
            if one is None and not written:
                return None
            found.append(one)
        return tuple(found)

    return run


def _relation(node: Binary) -> Test:
    if isinstance(node.right, Literal):
        return _against(node.operator, value(node.left), node.right.value)
    if isinstance(node.left, Literal):
        return _against(_TURNED[node.operator], value(node.right), node.left.value)
    relation, left, right = RELATIONS[node.operator], value(node.left), value(node.right)
    return lambda scope: relation(left(scope), right(scope))


def _against(sign: str, read: Run, constant: Value) -> Test:
    """A comparison with a value that is written out, the most common one by far."""
    relation, plain = RELATIONS[sign], _PLAIN[sign]
    if type(constant) in (int, float):
        amount = exact(constant)

        def test_number(scope: Scope) -> bool:
            found = read(scope)
            kind = type(found)
            if kind is int or kind is float:
                return plain(found, constant)
            if kind is Decimal and not found.is_nan():
                return plain(found, amount)
            return relation(found, constant)

        return test_number
    kind_wanted = type(constant)

    def test(scope: Scope) -> bool:
        found = read(scope)
        return plain(found, constant) if type(found) is kind_wanted else relation(found, constant)

    return test


def _within(node: Binary) -> Test:
    read = value(node.left)
    if isinstance(node.right, ListOf):
        texts = [item.value for item in node.right.items if isinstance(item, Literal) and isinstance(item.value, str)]
        if len(texts) == len(node.right.items):
            known = frozenset(texts)

            def test(scope: Scope) -> bool:
                found = read(scope)
                return isinstance(found, str) and found in known

            return test
    whole = value(node.right)
    return lambda scope: within(read(scope), whole(scope))


def _logic(node: Logic) -> Test:
    first, second, *more = [truth(term) for term in node.terms]
    if not more:
        if node.operator == "&&":
            return lambda scope: first(scope) and second(scope)
        return lambda scope: first(scope) or second(scope)
    tests = (first, second, *more)
    ends = node.operator == "||"

    def test(scope: Scope) -> bool:
        for one in tests:  # `any` over a generator costs three times this
            if one(scope) is ends:
                return ends
        return not ends

    return test


def _call(node: Call) -> Run:
    first = value(node.arguments[0])
    if node.function in CONVERSIONS:
        convert = CONVERSIONS[node.function]
        if isinstance(node.arguments[0], Literal):
            constant = convert(node.arguments[0].value)
            return lambda _: constant
        return lambda scope: convert(first(scope))
    second, test_text = value(node.arguments[1]), TEXT_TESTS[node.function]

    def run(scope: Scope) -> Value:
        text, part = first(scope), second(scope)
        return test_text(text, part) if isinstance(text, str) and isinstance(part, str) else None

    return run


def _quantifier(node: Quantifier) -> Test:
    """False over what is no list, over more than MAX_ITEMS values, and once the steps are used up."""
    over, test, variable = value(node.over), truth(node.condition), node.variable
    ends = node.macro == "exists"

    def run(scope: Scope) -> bool:
        whole = over(scope)
        if group(whole) not in ("list", "map") or len(whole) > MAX_ITEMS:
            return False
        inner = dict(scope)
        steps = inner[_STEPS]
        for one in whole:
            steps[0] -= 1
            if steps[0] < 0:
                return False
            inner[variable] = one
            if test(inner) is ends:
                return ends
        return not ends

    return run
