"""What the notifier holds of customers, from the stream of changes alone. Pure: a change and what is held → what is.

A customer's stream is in order, but a join or split stands on several streams, and one may be read long before
another. The engine-wide number of joins and splits decides: news of an instance counts only from a stream that has
shown at least the number under which the instance came to who holds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never
from uuid import UUID

import msgspec

from services.contracts.changes import (
    Cause,
    CustomerChange,
    CustomerTable,
    CustomerUpdated,
    InstanceRow,
    Profile,
    StageChanged,
    StageRetracted,
    Subject,
    Transition,
)

MOVES_KEPT: Final = 64
"""Of one instance. A lifecycle goes on for years, and nothing that can still start or end a message is so far back."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A surviving transition. One that was announced as `replay`, or is historical, starts nothing, for ever.

    `facts` are those that its rule looked at.
    """

    id: UUID
    to_stage: str
    at: datetime
    cause: Cause
    starts: bool
    facts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """`stage` is None while it is nowhere; `moved_by` is the join or split that brought it to `customer_id`."""

    instance: UUID
    customer_id: UUID
    track: str
    key: str
    stage: str | None
    since: datetime | None
    subject: Subject
    moves: tuple[Move, ...]
    moved_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    id: UUID
    storefront: str
    sequence: int = 0
    profile: Profile = field(default_factory=Profile)
    hold: str | None = None
    table_number: int = 0
    part_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The customer after the change, and the instances that are other than they were."""

    customer: Customer
    instances: tuple[Instance, ...] = ()


def apply(change: CustomerChange, customer: Customer, held: Mapping[UUID, Instance]) -> Applied | None:
    """None for a repeat. `held` has the instances that the change names and those that the customer holds."""
    if change.sequence <= customer.sequence:
        return None
    customer = replace(customer, sequence=change.sequence)
    match change:
        case StageChanged():
            return Applied(customer, _changed(change, customer, held.get(change.transition.instance)))
        case StageRetracted():
            return Applied(customer, _retracted(change, customer, held.get(change.transition.instance)))
        case CustomerUpdated(profile=profile, hold=hold):
            return Applied(replace(customer, profile=profile, hold=hold))
        case CustomerTable():
            after = replace(customer, profile=change.profile, table_number=change.number, part_of=change.part_of)
            return Applied(after, _replaced(change, held))
        case _ as never:
            assert_never(never)


def _is_old_news(customer: Customer, instance: Instance) -> bool:
    """News of a customer who no longer has the instance.

    A join that took it away has one number on both streams. What the former holder says after its own table, that a
    move of it never was, does not undo where the other's table shows it.
    """
    if instance.customer_id == customer.id or instance.moved_by < customer.table_number:
        return False
    return instance.moved_by > customer.table_number or instance.stage is not None


def _changed(change: StageChanged, customer: Customer, before: Instance | None) -> tuple[Instance, ...]:
    if before is not None and _is_old_news(customer, before):
        return ()
    held = before.moves if before else ()
    transition = change.transition
    told = _told(transition, held, starts=not change.replay)
    # Sorting keeps the order of arrival for moves of one instant; what a table has shown keeps the table's.
    others = [move for move in held if move.id != told.id]
    moves = held if told in held else tuple(sorted((*others, told), key=lambda move: move.at))
    last = moves[-1]
    return (
        Instance(
            instance=transition.instance,
            customer_id=customer.id,
            track=transition.track,
            key=transition.key,
            stage=change.stage,
            since=change.since,
            subject=change.subject if last.id == told.id or before is None else before.subject,
            moves=moves[-MOVES_KEPT:],
            moved_by=max(customer.table_number, before.moved_by if before else 0),
        ),
    )


def _retracted(change: StageRetracted, customer: Customer, before: Instance | None) -> tuple[Instance, ...]:
    if before is None or _is_old_news(customer, before):
        return ()
    moves = tuple(move for move in before.moves if move.id != change.transition.id)
    return (replace(before, customer_id=customer.id, stage=change.stage, since=change.since, moves=moves),)


def _replaced(change: CustomerTable, held: Mapping[UUID, Instance]) -> tuple[Instance, ...]:
    """The whole table, and what the customer held beside it, which is nowhere until another's table shows it."""
    shown = tuple(
        _shown(row, change, before)
        for row in change.table
        if (before := held.get(row.instance)) is None or before.moved_by <= change.number
    )
    named = {row.instance for row in change.table}
    gone = tuple(
        replace(instance, stage=None, since=None, moved_by=change.number)
        for instance in held.values()
        if instance.customer_id == change.customer_id
        and instance.instance not in named
        and instance.stage is not None  # one that went before keeps the number by which it went
        and instance.moved_by < change.number
    )
    return shown + gone


def _shown(row: InstanceRow, change: CustomerTable, before: Instance | None) -> Instance:
    """A table says which moves are historical, and which of the new are replays; the rest is remembered."""
    held = before.moves if before else ()
    moves = [_told(t, held, starts=t.id not in change.replays) for t in row.moves]
    return Instance(
        instance=row.instance,
        customer_id=change.customer_id,
        track=row.track,
        key=row.key,
        stage=row.stage,
        since=row.since,
        subject=row.subject,
        moves=tuple(moves[-MOVES_KEPT:]),
        moved_by=change.number,
    )


def _told(transition: Transition, held: Sequence[Move], *, starts: bool) -> Move:
    """As it was told first, but for its time: another copy of its cause may have come to light."""
    known = next((move for move in held if move.id == transition.id), None)
    return _move(transition, starts=starts) if known is None else msgspec.structs.replace(known, at=transition.at)


def _move(transition: Transition, *, starts: bool) -> Move:
    return Move(
        id=transition.id,
        to_stage=transition.to_stage,
        at=transition.at,
        cause=transition.cause,
        starts=starts and not transition.historical,
        facts=transition.facts,
    )
