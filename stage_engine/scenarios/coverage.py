"""Which rules and stages of a model scenarios have walked, and which not. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.contracts.changes import Transition
from stage_engine.model.model import EventRule, Model, TimedRule, Track
from stage_engine.why_words import rule_text


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
        never_fired=tuple(
            f"{track.name}: {rule.target} {rule_text(rule)} ({rule.id})"
            for track, rule in rules
            if not _fired(track, rule, fired)
        ),
        never_reached=tuple(f"{track}: {stage}" for track, stage in stages if (track, stage) not in reached),
    )


def _fired(track: Track, rule: EventRule | TimedRule, fired: Collection[str]) -> bool:
    """What begins an instance and what brings it back to its start are written as one: `on:` of the start stage."""
    return rule.id in fired or (
        rule.id == f"{track.name}.{track.start}.on" and f"{track.name}.{track.start}.start" in fired
    )
