"""Who would stand elsewhere by other rules: both folds of one customer compared, and all of them counted. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from stage_engine.fold import Folded

Stands = str | None
"""A stage, or nowhere: an instance that there would not be, or was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An instance that stands elsewhere. `rule` is what brings it there; None where nothing does."""

    track: str
    before: Stands
    after: Stands
    rule: str | None


def moved(before: Folded, after: Folded) -> list[Moved]:
    stood = {instance.id: instance for instance in before.state.instances}
    stand = {instance.id: instance for instance in after.state.instances}
    brought = {move.transition.instance: move.transition.rule for move in after.moves}
    found = []
    for id_ in {**stood, **stand}:
        was, is_ = stood.get(id_), stand.get(id_)
        if (was.stage if was else None) != (is_.stage if is_ else None):
            track = (is_ or stood[id_]).track
            rule = brought.get(id_) if is_ else None
            found.append(
                Moved(track=track, before=was.stage if was else None, after=is_.stage if is_ else None, rule=rule)
            )
    return found


@dataclass(slots=True)
class Tally:
    """`stages` counts instances, the others customers. `moved` has everyone of whom anything would stand elsewhere."""

    customers: int = 0
    moved: list[UUID] = field(default_factory=list)
    stages: Counter[tuple[str, Stands, Stands]] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    follow_ups: Counter[str] = field(default_factory=Counter)
    unfolded: int = 0
    """Whose fold would stumble: they would be on hold."""

    def add(self, customer: UUID, found: list[Moved], starts: Mapping[str, tuple[str, str]]) -> None:
        """`starts` has the track and the stage at which each follow-up starts."""
        self.customers += 1
        if not found:
            return
        self.moved.append(customer)
        self.stages.update((one.track, one.before, one.after) for one in found)
        self.rules.update({one.rule or f"{one.track}: nothing any more" for one in found})
        there = {(one.track, one.after) for one in found}
        self.follow_ups.update(name for name, start in starts.items() if start in there)
