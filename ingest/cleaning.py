"""A body without card numbers and security codes, before any dialect reads it."""

from collections.abc import Callable
from dataclasses import replace

from ingest.dialects.reading import Body
from services.cards import without_cards


def cleaned(open_body: Callable[[bytes], Body]) -> Callable[[bytes], Body]:
    """Opens what is left of a body after that."""

    def opened(raw: bytes) -> Body:
        found = without_cards(raw)
        return replace(open_body(found.body), removed=found.removed)

    return opened
