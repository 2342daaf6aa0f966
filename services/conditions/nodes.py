"""A condition's text as a tree. `column` is where in the text a node's own word stands, `depth` how deep it goes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    column: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    value: int | float | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf(Node):
    items: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Node):
    """`of.name`, and `of["name"]` too."""

    of: "Expr"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Node):
    of: "Expr"
    at: "Expr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    operator: str
    of: "Expr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    """A comparison, `in`, or arithmetic."""

    operator: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic(Node):
    """A whole chain of `&&`, or of `||`: long lists of alternatives are common and must not count as nesting."""

    operator: str
    terms: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Node):
    """`condition ? then : otherwise`."""

    condition: "Expr"
    then: "Expr"
    otherwise: "Expr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A function; of a method, what stands before its point is the first argument."""

    function: str
    arguments: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Has(Node):
    path: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantifier(Node):
    """`over.exists(variable, condition)` or `over.all(variable, condition)`."""

    macro: str
    over: "Expr"
    variable: str
    condition: "Expr"


Expr = Literal | ListOf | Name | Member | Index | Unary | Binary | Logic | Choice | Call | Has | Quantifier


def path_of(node: Expr) -> tuple[str, ...] | None:
    """`facts.orders` as ("facts", "orders"); None for what is more than names."""
    names: list[str] = []
    while isinstance(node, Member):
        names.append(node.name)
        node = node.of
    return (node.name, *reversed(names)) if isinstance(node, Name) else None
