"""Whether a tree can be meant: every name is known, and kinds that are known go together."""

from dataclasses import dataclass
from typing import Final, assert_never

from services.conditions.kinds import GIVES, NUMBERS, SPOKEN, TAKES, Kind, arithmetic, listed, want_alike
from services.conditions.names import Names
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
from services.conditions.times import duration, timestamp
from services.errors import ConditionError

MAX_NESTED_MACROS: Final = 2

_ORDERED: Final = frozenset({"<", "<=", ">", ">="})
_RELATIONS: Final = frozenset({"==", "!=", *_ORDERED})


@dataclass(frozen=True, slots=True)
class Checked:
    kind: Kind
    reads: frozenset[tuple[str, ...]]
    has_macros: bool


def check(node: Expr, names: Names) -> Checked:
    """Raises ConditionError."""
    checker = _Checker(names)
    kind = checker.kind(node)
    return Checked(kind, frozenset(checker.reads), checker.has_macros)


def check_condition(node: Expr, names: Names) -> Checked:
    """As `check`, and it must come to true or false. Raises ConditionError."""
    found = check(node, names)
    _want_bool(node, found.kind)
    return found


class _Checker:
    def __init__(self, names: Names) -> None:
        self._names = names
        self._variables: list[str] = []
        self.reads: set[tuple[str, ...]] = set()
        self.has_macros = False

    def kind(self, node: Expr) -> Kind:  # noqa: C901, PLR0911, PLR0912  one line a kind of node
        match node:
            case Literal():
                return _literal_kind(node)
            case ListOf():
                for item in node.items:
                    self.kind(item)
                return "list"
            case Name() | Member():
                return self._path(node)
            case Index():
                return self._index(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Logic():
                for term in node.terms:
                    _want_bool(term, self.kind(term))
                return "bool"
            case Choice():
                return self._choice(node)
            case Call():
                return self._call(node)
            case Has():
                self.kind(node.path)
                return "bool"
            case Quantifier():
                return self._quantifier(node)
        assert_never(node)

    def _path(self, node: Name | Member) -> Kind:
        path = path_of(node)
        if path is not None and path[0] not in self._variables:
            self.reads.add(path)
        return self._named(node)

    def _named(self, node: Name | Member) -> Kind:
        if isinstance(node, Name):
            self._names.check_variable(node.name, node.column, self._variables)
            return "any" if node.name in self._variables else "map"
        of = self._named(node.of) if isinstance(node.of, Name | Member) else self.kind(node.of)
        if isinstance(node.of, Name) and node.of.name not in self._variables:
            return self._names.member_kind(node.of.name, node.name, node.column)
        return self._inner(node, of)

    def _inner(self, node: Member, of: Kind) -> Kind:
        if of == "list":
            raise ConditionError(
                f"a list has no `{node.name}`; take a value, [0].{node.name}, "
                f"or ask them all, .exists(item, item.{node.name} …)",
                node.column,
            )
        if of not in ("any", "map"):
            raise ConditionError(f"{SPOKEN[of]} has no `{node.name}`", node.column)
        return "any"

    def _index(self, node: Index) -> Kind:
        of, at = self.kind(node.of), self.kind(node.at)
        if of not in ("any", "list", "map"):
            raise ConditionError(f"{SPOKEN[of]} has no parts to take with […]", node.column)
        if at not in (("any", "int") if of == "list" else ("any", "int", "string")):
            raise ConditionError(
                f"{SPOKEN[at]} can't stand in […]; a list takes a whole number, a map a text", node.column
            )
        return "any"

    def _unary(self, node: Unary) -> Kind:
        kind = self.kind(node.of)
        if node.operator == "!":
            _want_bool(node.of, kind)
            return "bool"
        if kind != "any" and kind not in NUMBERS:
            raise ConditionError(f"`-` takes a number, and this is {SPOKEN[kind]}", node.column)
        return kind

    def _binary(self, node: Binary) -> Kind:
        left = self.kind(node.left)
        if node.operator == "in":
            self._within(node, left)
            return "bool"
        right = self.kind(node.right)
        if node.operator in _RELATIONS:
            _want_comparable(node, left, right)
            return "bool"
        return arithmetic(node, left, right)

    def _within(self, node: Binary, left: Kind) -> None:
        if left == "null":
            raise _null(node.left)
        if isinstance(node.right, ListOf):
            for item in node.right.items:
                kind = self.kind(item)
                if kind != "null":
                    want_alike(node.left, left, item, kind)
            return
        right = self.kind(node.right)
        if right == "string":
            raise ConditionError(
                "`in` looks into lists and maps; whether a text holds another is asked with "
                'event.name.contains("shoe")',
                node.column,
            )
        if right not in ("any", "list", "map"):
            raise ConditionError(f"`in` looks into a list or a map, and this is {SPOKEN[right]}", node.right.column)

    def _choice(self, node: Choice) -> Kind:
        _want_bool(node.condition, self.kind(node.condition))
        then, otherwise = self.kind(node.then), self.kind(node.otherwise)
        if then == otherwise or "any" in (then, otherwise):
            return then if then == otherwise else "any"
        if "null" in (then, otherwise):
            return then if otherwise == "null" else otherwise
        if then in NUMBERS and otherwise in NUMBERS:
            return "any"
        raise ConditionError(
            f"both sides of a choice must be of one kind, and these are {SPOKEN[then]} and {SPOKEN[otherwise]}",
            node.column,
        )

    def _call(self, node: Call) -> Kind:
        takes = TAKES[node.function]
        kinds = [self.kind(argument) for argument in node.arguments]
        if len(kinds) != len(takes):
            form = f"event.name.{node.function}(…)" if len(takes) > 1 else f"{node.function}(…)"
            raise ConditionError(f"`{node.function}` takes one value: {form}", node.column)
        for argument, kind, fitting in zip(node.arguments, kinds, takes, strict=True):
            if kind != "any" and kind not in fitting:
                raise ConditionError(
                    f"`{node.function}` takes {listed(fitting)}, and this is {SPOKEN[kind]}", argument.column
                )
        _want_time(node)
        return GIVES[node.function]

    def _quantifier(self, node: Quantifier) -> Kind:
        self.has_macros = True
        over = self.kind(node.over)
        if over not in ("any", "list", "map"):
            raise ConditionError(f"`{node.macro}` goes over a list, and this is {SPOKEN[over]}", node.column)
        if node.variable in self._names or node.variable in self._variables:
            raise ConditionError(f"`{node.variable}` already means something; take another name", node.column)
        if len(self._variables) == MAX_NESTED_MACROS:
            raise ConditionError(f"exists and all can be nested {MAX_NESTED_MACROS} deep, not more", node.column)
        self._variables.append(node.variable)
        _want_bool(node.condition, self.kind(node.condition))
        self._variables.pop()
        return "bool"


def _literal_kind(node: Literal) -> Kind:
    match node.value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
    assert_never(node.value)


def _want_bool(node: Expr, kind: Kind) -> None:
    if kind in ("any", "bool"):
        return
    path = path_of(node)
    said = f"`{'.'.join(path)}`" if path else "this"
    fix = {"string": '== "…"', "list": ".exists(…)", "map": ".name == …", "timestamp": '> timestamp("…")'}
    raise ConditionError(
        f"{said} is {SPOKEN[kind]}, where true or false is needed; compare it, as in {'.'.join(path or ('…',))}"
        f"{'' if fix.get(kind, '')[:1] == '.' else ' '}{fix.get(kind, '> 0')}",
        node.column,
    )


def _want_comparable(node: Binary, left: Kind, right: Kind) -> None:
    for side, kind in ((node.left, left), (node.right, right)):
        if kind == "null":
            other = node.right if side is node.left else node.left
            raise _null(side, other)
    if isinstance(node.left, Binary) and node.operator in _ORDERED and node.left.operator in _ORDERED:
        raise ConditionError("comparisons can't be chained; write a < b && b < c", node.column)
    want_alike(node.left, left, node.right, right)
    for kind in (left, right):
        if node.operator in _ORDERED and kind in ("list", "map"):
            raise ConditionError(f"{SPOKEN[kind]} has no order; compare its size(…)", node.column)


def _null(node: Expr, other: Expr | None = None) -> ConditionError:
    """A null is as good as missing, and what is missing equals nothing: such a comparison would always be false."""
    path = path_of(other) if other is not None else None
    asked = f"has({'.'.join(path)})" if path and len(path) > 1 else "has(event.coupon)"
    return ConditionError(f"nothing is ever equal to null; ask {asked} or !{asked}", node.column)


def _want_time(node: Call) -> None:
    """A time that is written out must be one."""
    argument = node.arguments[0]
    reading = {"duration": duration, "timestamp": timestamp}.get(node.function)
    if reading is not None and isinstance(argument, Literal) and isinstance(argument.value, str):
        try:
            reading(argument.value)
        except ValueError as error:
            raise ConditionError(str(error), argument.column) from None
