"""The model checker: what a model that can be run can hardly mean. Pure.

It proves what it says, from the model alone, and leaves alone what only might be so. Beside the model it knows the
names of documented events.
"""

from collections.abc import Iterator

from stage_engine.model.checker.clocks import clock_doubts
from stage_engine.model.checker.conditions import condition_doubts, fact_condition_doubts
from stage_engine.model.checker.contests import contest_doubts
from stage_engine.model.checker.doubt import Doubt, Where
from stage_engine.model.checker.names import name_doubts
from stage_engine.model.checker.reach import reach_doubts
from stage_engine.model.checker.ways import Ways
from stage_engine.model.model import Model

__all__ = ["Doubt", "Ways", "Where", "doubts"]


def doubts(model: Model) -> Iterator[Doubt]:
    """In no order."""
    yield from name_doubts(model)
    yield from fact_condition_doubts(model)
    for track in model.tracks:
        ways = Ways(track)
        of_rules = [*contest_doubts(ways), *clock_doubts(model, ways), *condition_doubts(model, ways)]
        yield from of_rules
        yield from reach_doubts(ways, {doubt.where for doubt in of_rules})
