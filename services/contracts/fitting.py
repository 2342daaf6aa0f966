"""What is published fits into a record, whatever was said: one that does not would stop all that stand behind it.

The broker refuses a record over its limit, and the outbox is published in order. So what is too large is published with
less beside it, marked `shortened`: who needs the rest asks the stage engine over HTTP.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from services.contracts.changes import (
    CustomerChange,
    CustomerStanding,
    CustomerTable,
    CustomerUpdated,
    InstanceRow,
    Profile,
    StageChanged,
    StageRetracted,
    Subject,
    Transition,
    encode_change,
)
from services.contracts.topics import MAX_REQUEST_BYTES

MAX_VALUE_BYTES: Final = MAX_REQUEST_BYTES - 16_384
"""Leaves room for the key, the headers and Kafka's own framing."""
MAX_WORD: Final = 200
"""Characters that are left of a text, where nothing else helps."""

Told = CustomerChange | CustomerStanding
T = TypeVar("T", bound=Told)


def fitted(change: T, *, limit: int = MAX_VALUE_BYTES) -> tuple[T, bytes]:
    """The change as it is published, and its bytes: at most `limit` of them.

    Given up in this order: what only a browser said, what instances are about, all moves but each instance's last, the
    facts that moves looked at, traits. What is left (ids, stages, times, addresses, consent) is bounded by itself: a
    customer has at most 200 instances.
    """
    value = encode_change(change)
    for step in _STEPS:
        if len(value) <= limit:
            break
        change = replace(_in_each(change, step), shortened=True)
        value = encode_change(change)
    return change, value


def _without_claims(part: msgspec.Struct) -> msgspec.Struct:
    return replace(part, claims={}) if isinstance(part, Profile) else part


def _without_contents(part: msgspec.Struct) -> msgspec.Struct:
    return replace(part, items=[], url=None, comment=None) if isinstance(part, Subject) else part


def _last_move_only(part: msgspec.Struct) -> msgspec.Struct:
    return replace(part, moves=part.moves[-1:]) if isinstance(part, InstanceRow) else part


def _without_facts(part: msgspec.Struct) -> msgspec.Struct:
    return replace(part, facts={}, reason=part.reason[:MAX_WORD]) if isinstance(part, Transition) else part


def _without_traits(part: msgspec.Struct) -> msgspec.Struct:
    return replace(part, traits={}) if isinstance(part, Profile) else part


_STEPS: Final[tuple[Callable[[msgspec.Struct], msgspec.Struct], ...]] = (
    _without_claims,
    _without_contents,
    _last_move_only,
    _without_facts,
    _without_traits,
)


def _in_each(change: T, step: Callable[[msgspec.Struct], msgspec.Struct]) -> T:
    """The change with `step` applied to all that it is made of."""
    match change:
        case CustomerUpdated():
            return replace(change, profile=step(change.profile))
        case CustomerTable() | CustomerStanding():
            return replace(change, profile=step(change.profile), table=[_row(row, step) for row in change.table])
        case StageChanged():
            return replace(change, transition=step(change.transition), subject=step(change.subject))
        case StageRetracted():
            return replace(change, transition=step(change.transition))
    raise TypeError(change)


def _row(row: InstanceRow, step: Callable[[msgspec.Struct], msgspec.Struct]) -> msgspec.Struct:
    whole = replace(row, subject=step(row.subject), moves=[step(move) for move in row.moves])
    return step(whole)
