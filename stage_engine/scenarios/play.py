"""Plays a scenario on a virtual clock: who is whom, one fold for each, what each step announced. Pure.

Nothing here decides what a model means: the pointers of `identity.py` say who is whom, `fold` where they stand. What
comes late or joins two customers is folded again as in production, and what no longer holds is taken back.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from services.contracts.changes import Transition
from services.contracts.identity import Identity
from services.contracts.storefront import Storefront
from stage_engine.changes import corrections
from stage_engine.fold import Folded, Move, fold
from stage_engine.history import Entry
from stage_engine.identity import Link, identity_id, pointers, root_of
from stage_engine.model.model import Model
from stage_engine.scenarios.compare import Line, Seen, compared, counted
from stage_engine.scenarios.story import Came, Expected, Scenario, Told

NAMESPACE: Final = "scenario"
"""Stands for a storefront's own name where identities get their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A move that was announced when the clock stood at `at`, or one that was taken back then."""

    at: datetime
    transition: Transition
    taken_back: bool = False


Happened = Told | Announced


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """An `expect`, and what was found; `journey` is all that had happened by then."""

    expected: Expected
    lines: tuple[Line, ...]
    journey: tuple[Happened, ...]

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Up to the first `expect` that does not hold, or to the end. `moves` are all that were ever announced."""

    scenario: Scenario
    met: tuple[Met, ...]
    journey: tuple[Happened, ...]
    moves: tuple[Transition, ...]

    @property
    def failed(self) -> Met | None:
        return next((met for met in self.met if not met.holds), None)


def play(scenario: Scenario, model: Model, storefront: Storefront) -> Played:
    playing = _Playing(model, storefront)
    met: list[Met] = []
    for step in scenario.steps:
        match step:
            case Came():
                playing.take(step)
            case Expected():
                met.append(playing.meet(step))
                if not met[-1].holds:
                    break
    moves = tuple(h.transition for h in playing.journey if isinstance(h, Announced) and not h.taken_back)
    return Played(scenario=scenario, met=tuple(met), journey=tuple(playing.journey), moves=moves)


@dataclass(slots=True)
class _Playing:
    model: Model
    storefront: Storefront
    told: list[Told] = field(default_factory=list)
    journey: list[Happened] = field(default_factory=list)
    customers: dict[UUID, Folded] = field(default_factory=dict)
    roots: dict[UUID, UUID] = field(default_factory=dict)
    _standing: dict[UUID, Transition] = field(default_factory=dict)
    _unread: list[Announced] = field(default_factory=list)

    def take(self, came: Came) -> None:
        """What came is there with all that came before it; everything is known up to now."""
        self.told += came.told
        self.roots = _roots(self.told)
        histories: dict[UUID, list[Entry]] = defaultdict(list)
        for told in self.told:
            histories[self.roots[told.entry.identity]].append(told.entry)
        self.customers = {
            root: fold(entries, self.model, came.now, storefront=self.storefront) for root, entries in histories.items()
        }
        self.journey += came.told
        self._announce(came.now)

    def _announce(self, now: datetime) -> None:
        moves: list[Move] = [move for folded in self.customers.values() for move in folded.moves]
        still = [move.transition for move in moves]
        new, gone = corrections(moves, self._standing, known=self._standing.values(), still=still)
        self._standing = {transition.id: transition for transition in still}
        told = [Announced(at=now, transition=transition, taken_back=True) for transition in gone]
        told += [Announced(at=now, transition=move.transition) for move in sorted(new, key=_when)]
        self.journey += told
        self._unread += told

    def meet(self, expected: Expected) -> Met:
        """What is looked at is read: the next `expect` of this customer is about what happened after it."""
        if expected.only_customers:
            lines = (counted(expected, len(self.customers)),)
            return Met(expected=expected, lines=lines, journey=tuple(self.journey))
        whose = self._whose(expected)
        if isinstance(whose, Line):
            return Met(expected=expected, lines=(whose,), journey=tuple(self.journey))
        own = [a for a in self._unread if self.roots[a.transition.cause.identity] == whose]
        self._unread = [a for a in self._unread if a not in own]
        seen = Seen(
            model=self.model,
            folded=self.customers[whose],
            now=expected.now,
            changes=tuple(a.transition for a in own if not a.taken_back),
            taken_back=tuple(a.transition for a in own if a.taken_back),
            customers=len(self.customers),
        )
        return Met(expected=expected, lines=compared(expected, seen), journey=tuple(self.journey))

    def _whose(self, expected: Expected) -> UUID | Line:
        """The customer that is meant; the only one where none is named."""
        if expected.of is not None:
            root = self.roots.get(identity_id(NAMESPACE, expected.of))
            spoken = f"{expected.of.kind.field} {expected.of.value}"
            return root or Line(holds=False, said=f"of {spoken}", instead="nobody was named so")
        if len(self.customers) == 1:
            return next(iter(self.customers))
        if not self.customers:
            return Line(holds=False, said="a customer", instead="nothing was given yet")
        found = "; ".join(self._called(root) for root in self.customers)
        return Line(holds=False, said="one customer", instead=f"there are several ({found}): say which with `of`")

    def _called(self, root: UUID) -> str:
        named = {i for told in self.told for i in told.named if self.roots[identity_id(NAMESPACE, i)] == root}
        strongest = min(named)
        return f"{strongest.kind.field} {strongest.value}"


def _when(move: Move) -> datetime:
    return move.transition.at


def _roots(told: Sequence[Told]) -> dict[UUID, UUID]:
    """Where every identity that was named ends, itself where it points nowhere."""
    named: dict[UUID, Identity] = {}
    links: list[Link] = []
    for one in told:
        for identity in (*one.named, *(end for link in one.links for end in (link.weak, link.strong))):
            named[identity_id(NAMESPACE, identity)] = identity
        links += one.links
    onward = {
        identity_id(NAMESPACE, weak): (identity_id(NAMESPACE, link.strong), link.at)
        for weak, link in pointers(links).items()
    }
    return {id_: root_of(id_, onward.get) for id_ in named}
