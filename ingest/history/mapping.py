"""A mapping, ready to be used: what a row of a file means. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ingest.history.times import ReadTime
from services.conditions import Condition, Expression

Row = Mapping[str, Any]
Read = Callable[[Row], Any]
"""What is made of a row; MISSING when what it reads is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """How rows stand in a file. `delimiter` None is any run of blanks; `items` names the list that holds the rows."""

    kind: Literal["csv", "ndjson"]
    delimiter: str | None
    columns: Sequence[str] | None
    encoding: str
    items: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOut:
    when: Condition
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Rows with equal values of `by` are one event; one ends when no row of it came for more than `apart` rows."""

    by: Sequence[Expression]
    apart: int
    products: Mapping[str, Read]
    sums: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMapping:
    """`id` None: of the file's name and the row's number, since rows may be identical and real."""

    name: str | Expression
    when: Condition | None
    id: Read | None
    properties: Mapping[str, Read]
    together: Together | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMapping:
    """`columns` read the cells of columns that are more than text; what can't be read raises ValueError."""

    columns: Mapping[str, Callable[[Any], Any]]
    at: Expression
    read_time: ReadTime
    who: Mapping[str, Read]
    traits: Mapping[str, Read]
    skip: Sequence[LeaveOut]
    events: Sequence[EventMapping]
