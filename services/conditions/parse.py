"""Tokens into a tree: CEL's grammar without maps, bytes, unsigned numbers and messages.

Binary operators by precedence climbing, everything else by descent. Both the descent and the tree are bounded by
MAX_DEPTH, so that no text can exhaust the stack, here or where the tree is walked and run.
"""

from difflib import get_close_matches
from typing import Final

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
)
from services.conditions.tokens import MAX_INT, Token, TokenKind, tokens
from services.errors import ConditionError

MAX_DEPTH = 40
MAX_LIST = 100
"""Values that one list in a text may have."""

_LOGIC: Final = 2
_LEVELS: Final = {
    "||": 1, "&&": _LOGIC,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
FUNCTIONS: Final = ("size", "has", "string", "int", "double", "duration", "timestamp")
METHODS: Final = ("startsWith", "endsWith", "contains", "size")
MACROS: Final = ("exists", "all")
_WORDS: Final = {"and": "&&", "or": "||", "not": "!", "is": "==", "equals": "=="}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_NULLS: Final = ("none", "nil", "undefined")


def parse(text: str) -> Expr:
    """Raises ConditionError."""
    return _Parser(tokens(text)).whole()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._nested = 0

    def whole(self) -> Expr:
        if self._here.kind is TokenKind.END:
            raise ConditionError("the condition is empty; write one as in facts.orders >= 2", 1)
        node = self._expression()
        token = self._here
        if token.kind is TokenKind.END:
            return node
        if token.text in (")", "]"):
            raise ConditionError(f"`{token.text}` closes nothing", token.column)
        if token.text.lower() in _WORDS:
            raise ConditionError(f"`{token.text}` means nothing here; write {_WORDS[token.text.lower()]}", token.column)
        raise ConditionError(
            f"`{token.text}` can't follow {self._before}; conditions are joined with && or ||", token.column
        )

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    @property
    def _before(self) -> str:
        return self._tokens[self._at - 1].text

    def _take(self) -> Token:
        token = self._here
        self._at += 1
        return token

    def _accept(self, sign: str) -> Token | None:
        token = self._here
        return self._take() if token.kind is TokenKind.SIGN and token.text == sign else None

    def _expect(self, sign: str, why: str) -> Token:
        token = self._accept(sign)
        if token is None:
            raise ConditionError(f"{self._met()}: `{sign}` is missing {why}", self._here.column)
        return token

    def _met(self) -> str:
        return "unexpected end" if self._here.kind is TokenKind.END else f"unexpected `{self._here.text}`"

    def _depth(self, column: int, *below: Expr) -> int:
        depth = 1 + max((node.depth for node in below), default=0)
        if depth > MAX_DEPTH:
            raise _too_deep(column)
        return depth

    def _expression(self) -> Expr:
        if self._nested == MAX_DEPTH:
            raise _too_deep(self._here.column)
        self._nested += 1
        node = self._binary(1)
        question = self._accept("?")
        if question:
            then = self._binary(1)
            self._expect(":", "(a choice is written condition ? this : that)")
            otherwise = self._expression()
            column = question.column
            depth = self._depth(column, node, then, otherwise)
            node = Choice(column=column, depth=depth, condition=node, then=then, otherwise=otherwise)
        self._nested -= 1
        return node

    def _binary(self, least: int) -> Expr:
        node = self._unary()
        while (level := self._level()) >= least:
            sign = self._take()
            right = self._binary(level + 1)
            if level > _LOGIC:
                depth = self._depth(sign.column, node, right)
                node = Binary(column=sign.column, depth=depth, operator=sign.text, left=node, right=right)
            else:
                chained = isinstance(node, Logic) and node.operator == sign.text
                terms = (*(node.terms if isinstance(node, Logic) and chained else (node,)), right)
                depth = self._depth(sign.column, *terms)
                node = Logic(column=sign.column, depth=depth, operator=sign.text, terms=terms)
        return node

    def _level(self) -> int:
        token = self._here
        named = token.kind is TokenKind.SIGN or token.text == "in"
        return _LEVELS.get(token.text, 0) if named and token.kind is not TokenKind.STRING else 0

    def _unary(self) -> Expr:
        signs: list[Token] = []
        while (sign := self._accept("!") or self._accept("-")) is not None:
            if signs and sign.text != signs[0].text:
                raise ConditionError("`!` and `-` can't follow each other; use parentheses", sign.column)
            signs.append(sign)
        number = self._here
        if signs and signs[-1].text == "-" and isinstance(number.value, int | float):
            column = signs.pop().column
            self._take()
            node = self._postfix(Literal(column=column, depth=1, value=-number.value))
        else:
            node = self._postfix(self._primary())
        for sign in reversed(signs):
            node = Unary(column=sign.column, depth=self._depth(sign.column, node), operator=sign.text, of=node)
        return node

    def _postfix(self, node: Expr) -> Expr:
        while True:
            if self._accept("."):
                node = self._member(node)
            elif bracket := self._accept("["):
                at = self._expression()
                self._expect("]", f"to close the bracket at character {bracket.column}")
                column = at.column
                if isinstance(at, Literal) and isinstance(at.value, str):
                    node = Member(column=column, depth=self._depth(column, node), of=node, name=at.value)
                else:
                    node = Index(column=column, depth=self._depth(column, node, at), of=node, at=at)
            else:
                return node

    def _member(self, of: Expr) -> Expr:
        token = self._here
        if token.kind is not TokenKind.NAME:
            raise ConditionError(f"{self._met()}: a name is missing after the point", token.column)
        if token.text in _CONSTANTS or token.text == "in":
            raise ConditionError(f'`{token.text}` is a word of the language; write ["{token.text}"]', token.column)
        self._take()
        if not self._accept("("):
            return Member(column=token.column, depth=self._depth(token.column, of), of=of, name=token.text)
        if token.text in MACROS:
            return self._quantifier(token, of)
        if token.text in METHODS:
            arguments = (of, *self._list(")"))
            depth = self._depth(token.column, *arguments)
            return Call(column=token.column, depth=depth, function=token.text, arguments=arguments)
        if token.text in FUNCTIONS:
            raise ConditionError(f"`{token.text}` stands before what it is about: {token.text}(…)", token.column)
        raise ConditionError(_unknown(token.text, (*METHODS, *MACROS)), token.column)

    def _primary(self) -> Expr:
        token = self._here
        column = token.column
        if token.kind is TokenKind.STRING:
            return Literal(column=column, depth=1, value=self._take().value)
        if token.kind is TokenKind.NUMBER:
            if token.value == MAX_INT + 1 and isinstance(token.value, int):
                raise ConditionError(f"{token.text} is too large; whole numbers go up to {MAX_INT}", column)
            return Literal(column=column, depth=1, value=self._take().value)
        if token.kind is TokenKind.NAME and token.text != "in":
            self._take()
            return self._named(token)
        if bracket := self._accept("("):
            node = self._expression()
            self._expect(")", f"to close the parenthesis at character {bracket.column}")
            return node
        if bracket := self._accept("["):
            items = self._list("]", trailing=True)
            if len(items) > MAX_LIST:
                raise ConditionError(f"a list has at most {MAX_LIST} values, this has {len(items)}", column)
            return ListOf(column=column, depth=self._depth(column, *items), items=items)
        after = f" after {self._before}" if self._at else " at the beginning"
        raise ConditionError(f"{self._met()}: a value is missing{after}; write one", column)

    def _named(self, token: Token) -> Expr:
        word, column = token.text, token.column
        if word in _CONSTANTS:
            return Literal(column=column, depth=1, value=_CONSTANTS[word])
        if self._accept("("):
            return self._call(token)
        if word.lower() in _CONSTANTS and word != word.lower():
            raise ConditionError(f"`{word}` is written {word.lower()}", column)
        if word.lower() in _NULLS:
            raise ConditionError(f"`{word}` is nothing here; whether something is there is asked with has(…)", column)
        if word.lower() == "not":
            raise ConditionError(f"`{word}` means nothing here; write !", column)
        return Name(column=column, depth=1, name=word)

    def _call(self, token: Token) -> Expr:
        name, column = token.text, token.column
        if name.lower() == "not":
            raise ConditionError(f"`{name}` means nothing here; write !(…)", column)
        if name not in FUNCTIONS:
            if name in (*METHODS, *MACROS):
                raise ConditionError(f"`{name}` stands after what it is about: event.name.{name}(…)", column)
            raise ConditionError(_unknown(name, FUNCTIONS), column)
        arguments = self._list(")")
        depth = self._depth(column, *arguments)
        if name != "has":
            return Call(column=column, depth=depth, function=name, arguments=arguments)
        if len(arguments) == 1 and isinstance(arguments[0], Member):
            return Has(column=column, depth=depth, path=arguments[0])
        raise ConditionError("`has` takes one property, as in has(event.coupon)", column)

    def _quantifier(self, token: Token, over: Expr) -> Expr:
        macro, column = token.text, token.column
        form = f"as in cart.items.{macro}(item, item.price > 5)"
        name = self._here
        if name.kind is not TokenKind.NAME or name.text in _CONSTANTS or name.text == "in":
            raise ConditionError(f"{self._met()}: `{macro}` first takes a name for each value, {form}", name.column)
        self._take()
        self._expect(",", f"({form})")
        condition = self._expression()
        self._expect(")", f"({form})")
        depth = self._depth(column, over, condition)
        return Quantifier(column=column, depth=depth, macro=macro, over=over, variable=name.text, condition=condition)

    def _list(self, end: str, *, trailing: bool = False) -> tuple[Expr, ...]:
        """Values up to the closing sign; `trailing` allows one comma before it."""
        items: list[Expr] = []
        while not self._accept(end):
            if items:
                self._expect(",", f"between two values, or `{end}` at the end")
                if trailing and self._accept(end):
                    break
            items.append(self._expression())
        return tuple(items)


def _too_deep(column: int) -> ConditionError:
    return ConditionError(f"this is nested more than {MAX_DEPTH} deep; split the condition", column)


def _unknown(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    return f"there is no function `{name}` here; {hint}"
