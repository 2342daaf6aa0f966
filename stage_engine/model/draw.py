"""A track as a Mermaid state diagram. Pure; `stagepost draw` prints it, and whoever shows Markdown shows it."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from services.durations import spoken
from stage_engine.model.checker.ways import Rule, Ways
from stage_engine.model.model import TRAITS, EventRule, Per, TimedRule, Track

FEW: Final = 2
"""A rule without `from` that leads from more stages than these is drawn once, from `any other stage`."""
ANY: Final = "any_other"
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_WORDS: Final = (
    "acc", "any_other", "as", "choice", "class", "click", "default", "direction", "end", "fork", "hide", "href",
    "join", "left", "note", "right", "scale", "state", "style",
)  # fmt: skip
"""What Mermaid's reader takes for a word of its own, also at the beginning of a longer one."""
_SPEAKING: Final = {
    Per.CUSTOMER: "One for each customer.",
    Per.CART: "One for each cart.",
    Per.CHECKOUT: "One for each checkout.",
    Per.ORDER: "One for each order.",
}


def markdown(tracks: Iterable[Track]) -> str:
    """A heading and a diagram for each."""
    parts = [
        f"## {track.name}\n\n{_SPEAKING.get(track.per, f'One per {track.per}.')}\n\n```mermaid\n{mermaid(track)}```\n"
        for track in tracks
    ]
    return "\n".join(parts)


def mermaid(track: Track) -> str:
    """What leads where, by which event or after which time, and under which condition."""
    ids = {stage: _id(stage, number) for number, stage in enumerate(track.stages)}
    lines = [f'state "{_coded(stage)}" as {ids[stage]}' for stage in track.stages if ids[stage] != stage]
    begins = ", ".join(sorted(track.begins_on or ()))
    lines.append(f"[*] --> {ids[track.start]}{_label(begins)}")
    drawn = list(_arrows(Ways(track)))
    if any(source is None for source, _, _ in drawn):
        lines.insert(0, f'state "any other stage" as {ANY}')
    lines += [f"{ANY if source is None else ids[source]} --> {ids[to]}{_label(said)}" for source, to, said in drawn]
    lines += [f"{ids[stage]} --> [*]" for stage in track.stages if stage in track.finals]
    return "".join(f"{line}\n" for line in ("stateDiagram-v2", *(f"    {line}" for line in lines)))


def _arrows(ways: Ways) -> Iterator[tuple[str | None, str, str]]:
    """From where (None: from any other stage), to where, and how that is said; what can move nobody is left out."""
    for rule in ways.rules:
        starts = [stage for stage in ways.starts(rule) if any(ways.wins(rule, stage))]
        few: list[str | None] = [*starts]
        for source in [None] if rule.sources is None and len(starts) > FEW else few:
            yield source, rule.target, _said(rule)


def _said(rule: Rule) -> str:
    """`Order Completed [facts.orders == 1]`, `after 90d since last order`."""
    when = f" [{' '.join(rule.when.text.split())}]" if rule.when is not None else ""
    return f"{_cause(rule)}{when}"


def _cause(rule: Rule) -> str:
    if isinstance(rule, EventRule):
        return ", ".join(sorted(rule.on)) or "once"
    if rule.date and rule.after < timedelta():
        return f"{spoken(-rule.after)} ahead of {_said_of(rule.counts_from)}"
    return f"after {spoken(rule.after)}{_since(rule)}"


def _since(rule: TimedRule) -> str:
    if rule.idle:
        return " without activity"
    return f" since {_said_of(rule.counts_from)}" if rule.since else ""


def _said_of(counted_from: str) -> str:
    """`facts.last_order_at` as `last order`; events stay as they are called."""
    said = counted_from.removeprefix("facts.").removeprefix(TRAITS)
    return said.removesuffix("_at").removesuffix("_on").replace("_", " ") if said != counted_from else said


def _label(said: str) -> str:
    return f": {_coded(said, quotes=False)}" if said else ""


def _id(stage: str, number: int) -> str:
    return stage if _PLAIN.fullmatch(stage) and not stage.startswith(_WORDS) else f"s{number}"


def _coded(said: str, *, quotes: bool = True) -> str:
    """Signs that would end a text there, or be taken for markup, by their number."""
    signs = ":;#<%`" + '"' * quotes
    return "".join(f"#{ord(sign)};" if sign in signs else sign for sign in " ".join(said.split()))
