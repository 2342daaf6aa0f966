"""A condition's text as tokens."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from services.errors import ConditionError

MAX_TEXT = 2_000
"""Characters. The longest that a person writes by hand is a fraction of it."""

MAX_INT = 2**63 - 1


class TokenKind(StrEnum):
    NUMBER = "number"
    STRING = "string"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is a number's or string's; `column` counts from 1."""

    kind: TokenKind
    text: str
    column: int
    value: int | float | str | None = None


_SPACE = re.compile(r"[ \t\r\n\f]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SIGN = re.compile(r"&&|\|\||==(?!=)|!=(?!=)|<=|>=|<(?!>)|[>!+\-*/%?:()\[\],.]")
_DURATION = re.compile(r"[0-9]+(?:ms|[smhdw])\b")

# What people write who come from another language, and what it is called here.
_MISTAKES = (
    ("===", "write `==`"),
    ("!==", "write `!=`"),
    ("<>", "write `!=`"),
    ("=", "write `==` to compare"),
    ("&", "write `&&`"),
    ("|", "write `||`"),
    ("{", "maps can't be written here; compare their members"),
    ("“", 'write straight quotes: "…"'),
    ("”", 'write straight quotes: "…"'),
    ("„", 'write straight quotes: "…"'),
    ("\u2018", "write straight quotes: '…'"),
    ("\u2019", "write straight quotes: '…'"),
    ("#", "comments belong outside the condition"),
    ("//", "comments belong outside the condition"),
)

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip
_CODES = re.compile(r"x([0-9A-Fa-f]{2})|X([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})")
_OCTAL = 5  # the group above


def tokens(text: str) -> list[Token]:
    """Ends with an END token. Raises ConditionError."""
    if len(text) > MAX_TEXT:
        raise ConditionError(f"a condition has at most {MAX_TEXT:,} characters, this has {len(text):,}", MAX_TEXT + 1)
    found: list[Token] = []
    at = 0
    while at < len(text):
        space = _SPACE.match(text, at)
        if space:
            at = space.end()
            continue
        token, at = _next(text, at)
        found.append(token)
    end = found[-1].column + len(found[-1].text) if found else 1
    return [*found, Token(TokenKind.END, "", end)]


def _next(text: str, at: int) -> tuple[Token, int]:
    column = at + 1
    if text[at] in "\"'":
        value, end = _string(text, at)
        return Token(TokenKind.STRING, text[at:end], column, value), end
    number = _NUMBER.match(text, at)
    if number:
        _refuse_tail(text, at, number.end())
        return Token(TokenKind.NUMBER, number[0], column, _number(number[0], column)), number.end()
    name = _NAME.match(text, at)
    if name:
        if text[name.end() : name.end() + 1] in ("'", '"'):
            raise ConditionError(f"`{name[0]}` can't stand before a text; write the text alone", column)
        return Token(TokenKind.NAME, name[0], column), name.end()
    if not text.startswith("//", at):
        sign = _SIGN.match(text, at)
        if sign:
            return Token(TokenKind.SIGN, sign[0], column), sign.end()
    for wrong, hint in _MISTAKES:
        if text.startswith(wrong, at):
            raise ConditionError(f"`{wrong}` means nothing here; {hint}", column)
    raise ConditionError(f"`{text[at]}` means nothing here", column)


def _refuse_tail(text: str, at: int, end: int) -> None:
    """`7d` and `3u` are no numbers."""
    if not _NAME.match(text, end):
        return
    duration = _DURATION.match(text, at)
    if duration:
        raise ConditionError(f'a length of time is written duration("{duration[0]}")', at + 1)
    raise ConditionError(f"`{text[at : end + 1]}` is no number", at + 1)


def _number(text: str, column: int) -> int | float:
    if text[:2] in ("0x", "0X"):
        whole = int(text, 16)
    elif text.isdigit():
        whole = int(text)
    else:
        real = float(text)
        if math.isinf(real):
            raise ConditionError(f"{text} is too large", column)
        return real
    if whole > MAX_INT + 1:  # its negative is the least that fits; the parser sees to the sign
        raise ConditionError(f"{text} is too large; whole numbers go up to {MAX_INT}", column)
    return whole


def _string(text: str, start: int) -> tuple[str, int]:
    said: list[str] = []
    quote, at = text[start], start + 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(said), at + 1
        if character in "\r\n":
            break
        if character == "\\":
            character, at = _escape(text, at)
        else:
            at += 1
        said.append(character)
    raise ConditionError(f"this text has no end; close it with {quote}", start + 1)


def _escape(text: str, at: int) -> tuple[str, int]:
    simple = _ESCAPES.get(text[at + 1 : at + 2])
    if simple is not None:
        return simple, at + 2
    code = _CODES.match(text, at + 1)
    if code and code.lastindex:
        point = int(code[code.lastindex], 8 if code.lastindex == _OCTAL else 16)
        if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF:  # noqa: PLR2004  Unicode's end, and its surrogates
            return chr(point), code.end()
    raise ConditionError(f"`{text[at : at + 2]}` is no escape; a backslash itself is written \\\\", at + 1)
