"""Which messages the surviving transitions ask for, and how the rows that are there are made to match. Pure.

A message of a step is unique by its occasion and by its starting cause, and either blocks: a correction that names
another cause meets the occasion, one that makes another instance of it meets the cause.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID, uuid5

from notifier.conditions import Happened
from notifier.followups import Entered, FollowUp, FollowUps, Left, OncePer, Step
from notifier.holdings import Instance, Move
from notifier.status import UNSENT, Status

_NAMESPACE: Final = UUID("6f1f3c0a-5d0b-4c0f-9f57-0d8f3a2f7f11")
"""Of our own ids; any fixed value would do, but it must never change: stored ids are made with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A message that ought to go out, unless something of its occasion or its cause already did."""

    storefront: str
    follow_up: str
    step: int
    channel: str
    customer_id: UUID
    instance: UUID
    transition: UUID
    occasion: UUID
    cause: UUID
    at: datetime
    due_at: datetime
    expires_at: datetime
    moved_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message as it is stored, as far as planning looks at it."""

    id: UUID
    follow_up: str
    step: int
    customer_id: UUID
    instance: UUID
    transition: UUID
    occasion: UUID
    cause: UUID
    at: datetime
    status: Status
    unknowns: int
    moved_by: int

    @property
    def unsent(self) -> bool:
        return self.status in UNSENT and self.unknowns == 0

    @property
    def active(self) -> bool:
        return self.status is not Status.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """The row begins again as `pending`, for this."""

    id: UUID
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    inserts: tuple[Wanted, ...]
    rewrites: tuple[Rewrite, ...]
    cancels: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What stands in place of rows that are kept no longer: moves before `before` ask for nothing any more.

    `occasions` had their message of that follow-up and step, and may come again.
    """

    before: datetime | None = None
    occasions: frozenset[tuple[str, int, UUID]] = frozenset()

    def covers(self, want: Wanted, *, waits: bool) -> bool:
        """`waits`: a message of its cause is there and was not sent, so that none was forgotten of it."""
        if self.before is not None and want.at < self.before and not waits:
            return True
        return (want.follow_up, want.step, want.occasion) in self.occasions


NOTHING_FORGOTTEN: Final = Forgotten()


def plan(instance: Instance, storefront: str, follow_ups: FollowUps) -> tuple[Wanted, ...]:
    """All that this instance's moves ask for, however old; at most one message a step and occasion."""
    wanted: dict[tuple[UUID, int], Wanted] = {}
    if instance.stage is None:
        return ()
    for follow_up in follow_ups.values():
        if follow_up.track != instance.track:
            continue
        for move in instance.moves:
            if move.starts and move.at >= follow_up.since and stands(instance, follow_up, move.id):
                for step in follow_up.steps:
                    message = _wanted(instance, storefront, follow_up, step, move)
                    wanted[message.occasion, step.number] = message  # the latest move of an occasion speaks for it
    return tuple(wanted.values())


def stands(instance: Instance, follow_up: FollowUp, transition: UUID) -> bool:
    """Whether the move still starts the follow-up: it survives, and nothing since has ended what it started.

    Of the instance itself; what ends it on another track is looked at when a message is due (`ended_elsewhere`).
    """
    if instance.stage is None or instance.track != follow_up.track:
        return False
    happened = happened_in(instance, transition)
    if happened is None or not _starts(follow_up, happened):
        return False
    since = instance.moves[instance.moves.index(happened.move) + 1 :]
    match follow_up.until:
        case None:
            return True
        case Left(stage=stage):
            return instance.stage == stage and all(move.to_stage == stage for move in since)
        case Entered(track=str()):
            return True
        case Entered(stages=stages):
            return instance.stage not in stages and not any(move.to_stage in stages for move in since)
        case _ as never:
            assert_never(never)


def happened_in(instance: Instance, transition: UUID) -> Happened | None:
    """The move of that id, if it survives. What comes before it is the stage that the surviving move before led to."""
    before: str | None = None
    for move in instance.moves:
        if move.id == transition:
            return Happened(move=move, from_stage=before)
        before = move.to_stage
    return None


def _starts(follow_up: FollowUp, happened: Happened) -> bool:
    if follow_up.leaving:
        return happened.from_stage == follow_up.stage != happened.move.to_stage
    return happened.move.to_stage == follow_up.stage


def ended_elsewhere(follow_up: FollowUp, happened: Happened, others: Iterable[Instance]) -> bool:
    """Whether another instance of the customer has ended it: moved there since, and not by the very same event."""
    until, started = follow_up.until, happened.move
    if not isinstance(until, Entered) or until.track is None:
        return False
    return any(
        move.to_stage in until.stages
        and move.cause != started.cause
        and _comes_after(move, started, alike=until.track == follow_up.track and move.to_stage == started.to_stage)
        for other in others
        if other.track == until.track and other.stage is not None
        for move in other.moves
    )


def _comes_after(move: Move, started: Move, *, alike: bool) -> bool:
    """At one instant it ends it. Only of two orders of one instant, each the next one to the other, the second does."""
    if move.at != started.at or not alike:
        return move.at >= started.at
    return move.cause.event_id > started.cause.event_id


def _wanted(instance: Instance, storefront: str, follow_up: FollowUp, step: Step, move: Move) -> Wanted:
    cause = uuid5(_NAMESPACE, f"{follow_up.name}\x00cause\x00{move.cause.identity}\x00{move.cause.event_id}")
    match follow_up.once_per:
        case OncePer.INSTANCE:
            occasion = uuid5(_NAMESPACE, f"{follow_up.name}\x00instance\x00{instance.instance}")
        case OncePer.CAUSE | OncePer.CUSTOMER:  # a cool-down is looked at when it is sent
            occasion = cause
        case _ as never:
            assert_never(never)
    due_at = move.at + step.after
    return Wanted(
        storefront=storefront,
        follow_up=follow_up.name,
        step=step.number,
        channel=step.channels[0],
        customer_id=instance.customer_id,
        instance=instance.instance,
        transition=move.id,
        occasion=occasion,
        cause=cause,
        at=move.at,
        due_at=due_at,
        expires_at=due_at + follow_up.max_age,
        moved_by=instance.moved_by,
    )


def reconcile(
    planned: AbstractSet[UUID],
    wanted: Iterable[Wanted],
    stored: Sequence[Row],
    now: datetime,
    forgotten: Forgotten = NOTHING_FORGOTTEN,
) -> Changes:
    """Makes the rows match what is wanted of the instances in `planned`. What was sent, or may have been, stays.

    `stored` holds the rows of those instances, and every active row that has the occasion or the cause of a wanted one.
    """
    wants = tuple(wanted)
    draft = _Draft(stored, forgotten)
    for row in stored:
        if row.instance in planned and row.unsent and not any(_same(want, row) for want in wants):
            draft.cancel(row)
    for want in wants:
        draft.satisfy(want, now)
    return Changes(
        inserts=tuple(draft.inserts),
        rewrites=tuple(Rewrite(id=row_id, wanted=want) for row_id, want in draft.rewrites.items()),
        cancels=tuple(row.id for row in stored if row.active and not draft.rows[row.id].active),
    )


class _Draft:
    """The rows as they are going to be; each want sees what the ones before it have done."""

    def __init__(self, stored: Sequence[Row], forgotten: Forgotten) -> None:
        self.forgotten = forgotten
        self.active = frozenset(row.id for row in stored if row.active)
        self.rows = {row.id: row for row in stored}
        self.rewrites: dict[UUID, Wanted] = {}
        self.inserts: list[Wanted] = []

    def cancel(self, row: Row) -> None:
        self.rows[row.id] = replace(row, status=Status.CANCELLED)
        self.rewrites.pop(row.id, None)

    def satisfy(self, want: Wanted, now: datetime) -> None:
        matching = sorted((r for r in self.rows.values() if _meets(want, r)), key=lambda row: _preference(row, want))
        blocked = any(row.active and (not row.unsent or row.moved_by > want.moved_by) for row in matching)
        if blocked or any(_meets(want, insert) for insert in self.inserts):
            return
        chosen = next(iter(matching), None)
        for row in matching:
            if row.active and not (row is chosen and _is_already(row, want)):
                self.cancel(row)
        if want.expires_at <= now or (chosen is not None and self.rows[chosen.id].active):
            return
        waits = any(row.id in self.active and row.cause == want.cause for row in matching)
        if self.forgotten.covers(want, waits=waits):
            return
        if chosen is None:
            self.inserts.append(want)
        else:
            self.rewrites[chosen.id] = want
            self.rows[chosen.id] = _rewritten(chosen, want)


def _same(want: Wanted, row: Row) -> bool:
    return want.instance == row.instance and _meets(want, row)


def _meets(want: Wanted, other: Row | Wanted) -> bool:
    same_step = (want.follow_up, want.step) == (other.follow_up, other.step)
    return same_step and (want.occasion == other.occasion or want.cause == other.cause)


def _is_already(row: Row, want: Wanted) -> bool:
    return (row.customer_id, row.instance, row.transition, row.occasion, row.cause, row.at) == (
        want.customer_id,
        want.instance,
        want.transition,
        want.occasion,
        want.cause,
        want.at,
    )


def _preference(row: Row, want: Wanted) -> tuple[bool, bool, UUID]:
    return (not row.active, row.occasion != want.occasion, row.id)


def _rewritten(row: Row, want: Wanted) -> Row:
    return replace(
        row,
        customer_id=want.customer_id,
        instance=want.instance,
        transition=want.transition,
        occasion=want.occasion,
        cause=want.cause,
        at=want.at,
        moved_by=want.moved_by,
        status=Status.PENDING,
    )
