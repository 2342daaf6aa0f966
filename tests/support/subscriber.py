"""A subscriber as simple as the contract allows: it believes what stands on the streams and knows nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.contracts.changes import (
    CustomerChange,
    CustomerTable,
    CustomerUpdated,
    Profile,
    StageChanged,
    StageRetracted,
    Transition,
)


def key_of(shown: str) -> str:
    """Without the number of the run: a late event may put a run before it, and that moves nobody."""
    return shown.partition("#")[0]


Row = tuple[str, str, str, datetime]
"""An instance's track, key and stage, and since when it stands there."""


def unnumbered(instances: Mapping[UUID, Row]) -> dict[UUID, Row]:
    """The engine's table as a subscriber can hold it."""
    return {id_: (track, key_of(key), stage, since) for id_, (track, key, stage, since) in instances.items()}


@dataclass(slots=True)
class Held:
    """What it holds of one customer: where each instance stands, and the moves that it knows of."""

    sequence: int = 0
    profile: Profile = field(default_factory=Profile)
    hold: str | None = None
    part_of: UUID | None = None
    instances: dict[UUID, Row] = field(default_factory=dict)
    moves: dict[UUID, Transition] = field(default_factory=dict)

    def put(self, change: StageChanged | StageRetracted) -> None:
        """Where the instance stands now is said by every change of it."""
        transition = change.transition
        if change.stage is None or change.since is None:
            self.instances.pop(transition.instance, None)
        else:
            self.instances[transition.instance] = (transition.track, key_of(transition.key), change.stage, change.since)


@dataclass(slots=True)
class Subscriber:
    customers: dict[UUID, Held] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)

    def read(self, changes: Iterable[CustomerChange]) -> None:
        for change in changes:
            self._take(self.customers.setdefault(change.customer_id, Held()), change)

    def _take(self, held: Held, change: CustomerChange) -> None:
        assert change.sequence == held.sequence + 1, "a sequence without gap or repeat"
        held.sequence = change.sequence
        match change:
            case StageChanged(transition=transition):
                held.moves[transition.id] = transition
                held.put(change)
            case StageRetracted(transition=transition):
                held.moves.pop(transition.id, None)  # a table that came just before may have left it out already
                held.put(change)
            case CustomerUpdated(profile=profile, hold=hold):
                held.profile, held.hold = profile, hold
            case CustomerTable():
                self.numbers.append(change.number)
                held.profile, held.part_of = change.profile, change.part_of
                held.instances = {
                    row.instance: (row.track, key_of(row.key), row.stage, row.since) for row in change.table
                }
                held.moves = {move.id: move for row in change.table for move in row.moves}
                assert change.part_of is None or not change.table, "who is part of another has nothing of its own"
            case _:
                assert_never(change)
