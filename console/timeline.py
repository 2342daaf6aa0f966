"""A customer's events and moves as one story, oldest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from console.queries import HappenedEvent, Journey, Move
from console.stages import LIFECYCLE
from services.contracts.events import rank_of
from services.durations import spoken

WORTH_SAYING: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Either an event or a move. `later` is how long after the entry before it, where that is worth saying."""

    at: datetime
    later: str | None
    event: HappenedEvent | None = None
    move: Move | None = None


def timeline(found: Journey) -> list[Entry]:
    """Events in the fold's own order; a move stands after the events of its moment, since one of them caused it."""
    events = sorted(found.events, key=lambda e: (e.occurred_at, rank_of(e.name), e.event_id.encode()))
    merged: list[HappenedEvent | Move] = [*events, *in_order(found.moves)]
    merged.sort(key=lambda item: (_at(item), isinstance(item, Move)))  # stable: the orders above stay
    entries: list[Entry] = []
    for item in merged:
        gap = _at(item) - entries[-1].at if entries else timedelta()
        later = spoken(_rounded(gap)) if gap >= WORTH_SAYING else None
        match item:
            case Move():
                entries.append(Entry(at=item.at, later=later, move=item))
            case HappenedEvent():
                entries.append(Entry(at=item.occurred_at, later=later, event=item))
    return entries


def in_order(moves: Iterable[Move]) -> list[Move]:
    """Oldest first. Of one moment, as when a first view both begins a track and moves it, each from where it stands."""
    left = sorted(moves, key=lambda m: (m.at, m.from_stage is not None, m.track != LIFECYCLE, m.id))
    ordered: list[Move] = []
    standing: dict[tuple[str, str], str] = {}
    while left:
        moment = [move for move in left if move.at == left[0].at]
        follows = (move for move in moment if move.from_stage == standing.get((move.track, move.key)))
        move = next(follows, moment[0])
        standing[move.track, move.key] = move.to_stage
        ordered.append(move)
        left.remove(move)
    return ordered


def stands(moves: Iterable[Move]) -> list[Move]:
    """The latest move of each instance: where it is now. The lifecycle first, then what moved last."""
    latest = {(move.track, move.key): move for move in in_order(moves)}
    return sorted(latest.values(), key=lambda m: (m.track != LIFECYCLE, -m.at.timestamp()))


def _at(item: HappenedEvent | Move) -> datetime:
    return item.at if isinstance(item, Move) else item.occurred_at


def _rounded(gap: timedelta) -> timedelta:
    """To what a person would say: days beyond two, hours beyond two, else minutes."""
    for unit in (timedelta(days=1), timedelta(hours=1)):
        if gap >= 2 * unit:
            return gap // unit * unit
    return gap // timedelta(minutes=1) * timedelta(minutes=1)
