"""A condition's text taken apart at its top-level `&&`: what an explanation goes through one by one."""

from services.conditions.tokens import Token, TokenKind, tokens

_OPENS = {"(": ")", "[": "]"}


def conjuncts(text: str) -> tuple[str, ...]:
    """The parts of a text that parses: all of them hold exactly when the whole does. One when there is no such `&&`.

    They keep how they were written; parentheses around a whole part are left out.
    """
    found = tokens(text)[:-1]
    return tuple(_source(text, part) for part in _apart(found))


def _apart(part: list[Token]) -> list[list[Token]]:
    closes = _closes(part)
    if _is_sign(part[0], "(") and closes[0] == len(part) - 1:
        return _apart(part[1:-1])
    pieces, start, at = [], 0, 0
    while at < len(part):
        if _is_sign(part[at], "||") or _is_sign(part[at], "?"):
            return [part]  # both bind weaker: the whole is a choice or a list of alternatives
        if _is_sign(part[at], "&&"):
            pieces.append(part[start:at])
            start = at + 1
        at = closes.get(at, at) + 1
    if not pieces:
        return [part]
    return [inner for piece in (*pieces, part[start:]) for inner in _apart(piece)]


def _closes(part: list[Token]) -> dict[int, int]:
    """Where each bracket that opens is closed again."""
    opened: list[int] = []
    closes: dict[int, int] = {}
    for at, token in enumerate(part):
        if token.kind is not TokenKind.SIGN:
            continue
        if token.text in _OPENS:
            opened.append(at)
        elif token.text in _OPENS.values():
            closes[opened.pop()] = at
    return closes


def _is_sign(token: Token, sign: str) -> bool:
    return token.kind is TokenKind.SIGN and token.text == sign


def _source(text: str, part: list[Token]) -> str:
    return text[part[0].column - 1 : part[-1].column - 1 + len(part[-1].text)]
