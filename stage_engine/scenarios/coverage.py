"""Which rules and stages of a model scenarios have walked, and which not. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.contracts.changes import Transition
from services.durations import spoken
from stage_engine.model.model import EventRule, Model, TimedRule, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """`never_fired` and `never_reached` in words, in the order of the model."""

    rules: int
    stages: int
    never_fired: tuple[str, ...]
    never_reached: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.never_fired and not self.never_reached


def covered(model: Model, moves: Iterable[Transition]) -> Coverage:
    made = list(moves)
    fired = {move.rule for move in made}
    reached = {(move.track, move.to_stage) for move in made}
    rules = [(track, rule) for track in model.tracks for rule in track.rules()]
    stages = [(track.name, stage) for track in model.tracks for stage in track.stages]
    return Coverage(
        rules=len(rules),
        stages=len(stages),
        never_fired=tuple(_rule(track, rule) for track, rule in rules if not _fired(track, rule, fired)),
        never_reached=tuple(f"{track}: {stage}" for track, stage in stages if (track, stage) not in reached),
    )


def _fired(track: Track, rule: EventRule | TimedRule, fired: Collection[str]) -> bool:
    """What begins an instance and what brings it back to its start are written as one: `on:` of the start stage."""
    return rule.id in fired or (
        rule.id == f"{track.name}.{track.start}.on" and f"{track.name}.{track.start}.start" in fired
    )


def _rule(track: Track, rule: EventRule | TimedRule) -> str:
    if isinstance(rule, EventRule):
        by = " or ".join(sorted(rule.on))
    elif rule.idle:
        by = f"{spoken(rule.after)} without activity"
    else:
        by = f"{spoken(rule.after)} since {rule.since or 'the stage before began'}"
    when = f", when {rule.when.text}" if rule.when else ""
    left = sorted(rule.sources or (), key=track.stages.index)
    return f"{track.name}: {' or '.join(left) or 'any stage'} → {rule.target} by {by}{when} ({rule.id})"
