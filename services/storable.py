"""Text from outside that Postgres can keep: no NUL, no half characters. The rest is refused before it gets there."""

from typing import Annotated

from pydantic import AfterValidator


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no text here may")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate), which no text here may") from None
    return text


Storable = Annotated[str, AfterValidator(_storable)]
