"""`stagepost check`: what a follow-up says that runs, and nobody can have meant."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from notifier.followups import FollowUp
from services.checks import Finding, Level, StageNamed, finding_at
from services.conditions import Condition
from services.conditions.never import claims, why_never
from services.shop import YamlFile

LONG: Final = timedelta(days=1)
"""So long after it began, much may have happened that makes a message wrong."""
Where = tuple[str | int, ...]


def doubts(source: YamlFile, follow_up: FollowUp) -> Iterator[Finding]:
    """`source` is followups.yaml."""
    if follow_up.until is None and (len(follow_up.steps) > 1 or follow_up.steps[-1].after > LONG):
        what = "nothing ends this: whoever starts it gets all of it, whatever they do meanwhile"
        fix = "write `until:`, as in `{left: …}` or `{track: order, entered: [placed]}`"
        yield finding_at(source, (follow_up.name,), Level.WARNING, what, fix)
    for condition, where in _conditions(source, follow_up):
        if (why := why_never(condition.text, set())) is not None:
            yield finding_at(source, where, Level.WARNING, f"this can never hold: {why}", "take one of them out")


def stages_asked_for(source: YamlFile, follow_up: FollowUp) -> Iterator[StageNamed]:
    """Those that its conditions speak of: `stages.lifecycle == "at_risk"`."""
    for condition, where in _conditions(source, follow_up):
        for claim in claims(condition.text):
            if len(claim.path) == 2 and claim.path[0] == "stages" and isinstance(claim.value, str):  # noqa: PLR2004  stages.TRACK
                yield StageNamed(track=claim.path[1], stage=claim.value, source=source, track_at=where, stage_at=where)


def _conditions(source: YamlFile, follow_up: FollowUp) -> Iterator[tuple[Condition, Where]]:
    name = follow_up.name
    if follow_up.condition is not None:
        yield follow_up.condition, (name, "when", "if")
    several = source.holds((name, "steps"))
    for step in follow_up.steps:
        if step.condition is not None:
            yield step.condition, (name, "steps", step.number - 1, "if") if several else (name, "if")
