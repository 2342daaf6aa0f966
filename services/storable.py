"""Text from outside that Postgres can keep: any but NUL. What can't be kept is refused before it gets there."""

from typing import Annotated

from pydantic import AfterValidator


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no text here may")
    return text


Storable = Annotated[str, AfterValidator(_storable)]
