"""What a fold means for the outside: which changes to announce on a customer's stream. Pure.

What no longer holds is retracted, what is new is announced, and what a join or a split merely moved from one customer
to another is announced to nobody: it stands in the table that both streams get.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from msgspec.structs import replace

from services.contracts.changes import (
    ChangeType,
    CustomerChange,
    CustomerTable,
    CustomerUpdated,
    InstanceRow,
    Profile,
    Root,
    StageChanged,
    StageRetracted,
    Transition,
)
from stage_engine.fold import Move
from stage_engine.state import State

Announcement = tuple[ChangeType, CustomerChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A customer's stream, and where it stands."""

    storefront: str
    customer_id: UUID
    sequence: int
    root: Root | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A join or a split as one of the customers it touched sees it."""

    type: ChangeType
    number: int
    others: Sequence[UUID]
    part_of: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one fold did to one customer.

    `earlier` and `moves` are all its surviving transitions, needed only for the table of a join or a split: those from
    before the fold began, and those of the fold. `past` is set when the customer was brought to another revision of the
    shop: moves up to then (inclusive) are what that says of the past.
    """

    before: Profile
    after: State
    new: Sequence[Move]
    gone: Sequence[Transition] = ()
    moved: Moved | None = None
    earlier: Sequence[Transition] = ()
    moves: Sequence[Move] = ()
    hold: str | None = None
    hold_changed: bool = False
    past: datetime | None = None

    def is_replay(self, move: Move) -> bool:
        """Whether the move starts nothing."""
        return move.transition.historical or (self.past is not None and move.transition.at <= self.past)


def announcements(stream: Stream, effect: Effect) -> list[Announcement]:
    """In the order of their sequence numbers: a join's table, the profile, what is retracted, what is new."""
    sequence = count(stream.sequence + 1)
    stands = {instance.id: (instance.stage, instance.since) for instance in effect.after.instances}
    made: list[Announcement] = []
    if effect.moved is not None:
        made.append((effect.moved.type, _table_change(stream, next(sequence), effect, effect.moved)))
    if effect.hold_changed or (effect.moved is None and effect.before != effect.after.profile):
        updated = CustomerUpdated(
            storefront=stream.storefront,
            customer_id=stream.customer_id,
            sequence=next(sequence),
            profile=replace(effect.after.profile, root=stream.root),
            hold=effect.hold,
        )
        made.append((ChangeType.CUSTOMER_UPDATED, updated))
    for transition in effect.gone:
        stage, since = stands.get(transition.instance, (None, None))
        retracted = StageRetracted(
            storefront=stream.storefront,
            customer_id=stream.customer_id,
            sequence=next(sequence),
            transition=transition,
            stage=stage,
            since=since,
            replay=effect.past is not None,
        )
        made.append((ChangeType.STAGE_RETRACTED, retracted))
    for move in effect.new:
        stage, since = stands.get(move.transition.instance, (None, None))
        changed = StageChanged(
            storefront=stream.storefront,
            customer_id=stream.customer_id,
            sequence=next(sequence),
            transition=move.transition,
            stage=stage,
            since=since,
            subject=move.subject,
            replay=effect.is_replay(move),
        )
        made.append((ChangeType.STAGE_CHANGED, changed))
    return made


def _table_change(stream: Stream, sequence: int, effect: Effect, moved: Moved) -> CustomerTable:
    return CustomerTable(
        storefront=stream.storefront,
        customer_id=stream.customer_id,
        sequence=sequence,
        number=moved.number,
        others=list(moved.others),
        part_of=moved.part_of,
        profile=replace(effect.after.profile, root=stream.root),
        table=table(effect.after, [*effect.earlier, *(move.transition for move in effect.moves)]),
        replays=[move.transition.id for move in effect.new if effect.is_replay(move)],
    )


def table(state: State, transitions: Sequence[Transition]) -> list[InstanceRow]:
    """Where every instance stands, with its surviving moves."""
    by_instance: dict[UUID, list[Transition]] = {}
    for transition in transitions:
        by_instance.setdefault(transition.instance, []).append(transition)
    return [
        InstanceRow(
            instance=instance.id,
            track=instance.track,
            key=instance.shown_key,
            stage=instance.stage,
            since=instance.since,
            subject=instance.subject,
            moves=by_instance.get(instance.id, []),
        )
        for instance in state.instances
    ]


def corrections(
    moves: Sequence[Move],
    stored: Mapping[UUID, Transition],
    *,
    known: Iterable[Transition],
    still: Iterable[Transition],
) -> tuple[list[Move], list[Transition]]:
    """New and gone after a re-fold.

    `stored` are this customer's transitions as announced; `known` those of every customer that the re-fold touched,
    and `still` those that hold after it, wherever they now are. One that holds at another time (an earlier copy of its
    cause came to light) is gone and new.
    """
    announced = {(transition.id, transition.at) for transition in known}
    holds = {(transition.id, transition.at) for transition in still}
    new = [move for move in moves if (move.transition.id, move.transition.at) not in announced]
    gone = [transition for transition in stored.values() if (transition.id, transition.at) not in holds]
    return new, gone
