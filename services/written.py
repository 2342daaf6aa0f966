"""Kinds of text that stand in a shop's files, and what is said of them: by schemas to editors, by faults to people."""

from typing import Annotated, Final

from msgspec import Meta

from services.contracts.vocabulary import NAMES

SPAN: Final = r"^\s*([0-9]+\s*[wdhms]\s*)+$"
Span = Annotated[
    str,
    Meta(
        description="A length of time: weeks, days, hours, minutes, seconds.",
        examples=["30m", "6h", "90d", "1h30m"],
        extra_json_schema={"pattern": SPAN},
    ),
]
Condition = Annotated[
    str,
    Meta(
        description="A condition, in a subset of CEL. A comparison with what is missing is false.",
        examples=["facts.orders >= 2", 'event.kind == "nps" && event.score >= 9'],
        extra_json_schema={"minLength": 1},
    ),
]
USUAL: Final = ("Product Viewed", "Product Added", "Order Completed", "Survey Answered")
"""First in a list of names."""
EventName = Annotated[
    str,
    Meta(
        description="The name of an event: one of docs/events.md, or one of your own.",
        examples=[*USUAL, *sorted(NAMES - {*USUAL})],
        extra_json_schema={"minLength": 1},
    ),
]
