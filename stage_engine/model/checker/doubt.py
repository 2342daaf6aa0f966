"""A doubt, and where it stands in `lifecycle.yaml`."""

from dataclasses import dataclass

from stage_engine.model.checker.ways import Rule, number_of
from stage_engine.model.model import Track

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """`where` are the keys that lead there. `{beside}` in the message stands for the line where `beside` is.

    A note is only told; everything else is to be mended.
    """

    where: Where
    message: str
    fix: str = ""
    beside: Where | None = None
    note: bool = False


def place_of(track: Track, rule: Rule) -> Where:
    """`cart.abandoned[0]` stands at tracks, cart, stages, abandoned, enter, 0; the start's `on` at its stage."""
    stage: Where = ("tracks", track.name, "stages", rule.target)
    number = number_of(track, rule)
    return (*stage, "on") if number < 0 else (*stage, "enter", number)
