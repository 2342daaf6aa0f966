"""What a form of ours was filled in with. Pure but for reading the body."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from notifier.saying import LONGEST_COMMENT
from notifier.surveys import Scale

LONGEST_BODY: Final = 32_768
"""Of a form: a comment of the longest kind, each character of it escaped."""


class TooLong(Exception):
    """The body; nothing of it was looked at."""


@dataclass(frozen=True, slots=True)
class Form:
    fields: dict[str, list[str]]

    def one(self, name: str) -> str:
        return self.fields.get(name, [""])[-1]

    def shows(self, name: str, *, always: bool) -> bool:
        """Whether the page that was filled in had such a box: what nobody saw, nobody left out."""
        return self.has("shown", name) or (always and "shown" not in self.fields)

    def has(self, name: str, value: str) -> bool:
        return value in self.fields.get(name, [])


async def read(request: Request) -> Form:
    """Raises TooLong. What is no form has no fields."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise TooLong
    try:
        return Form(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        return Form({})


def score_of(text: str, scale: Scale) -> int | None:
    """None for what is none of its scores."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) in scale.scores else None  # noqa: PLR2004  longer than any score


def comment_of(text: str) -> str:
    """As people write: lines and printable characters. Postgres keeps no NUL, and nobody means one."""
    lines = ("".join(c for c in line if c.isprintable()).rstrip() for line in text.splitlines())
    return "\n".join(lines).strip()[:LONGEST_COMMENT]
