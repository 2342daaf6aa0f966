"""What `why` found, in words: for the answer over HTTP and for the screen alike. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.durations import spoken
from stage_engine.facts import shown
from stage_engine.model.model import EventRule, Model, Per, TimedRule
from stage_engine.why import BEFORE_ALL, ByEvent, ByTime, Clock, Instead, Next, Part, Stands, Why

NAMED = 3
"""Events that one sentence names; the whole list is in the answer over HTTP."""
OPERATORS_WORD = "set"
"""The end of a rule's id that stands for a `Stage Set`."""
_OF_EVENT = re.compile(r"\bevent\.(\w+)")
ENOUGH = 30
_TIMES = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def span(length: timedelta) -> str:
    """The two largest units: `12 d 4 h`, `3 min 20 s`; a first of 30 or more stands alone: `58 min`, `89 d`."""
    left = max(0, int(length.total_seconds()))
    counts: list[tuple[int, str]] = []
    for unit, seconds in _TIMES:
        count, left = divmod(left, seconds)
        if count or counts:
            counts.append((count, unit))
    shown_units = counts[:1] if counts and counts[0][0] >= ENOUGH else counts[:2]
    return " ".join(f"{count} {unit}" for count, unit in shown_units if count) or "0 s"


def listed(names: Sequence[str], *, last: str = "or", most: int = NAMED) -> str:
    """`a, b or c`; of many the first few, and how many more."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return f" {last} ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])


def rule_place(rule_id: str, stage: str) -> str:
    """Where a rule stands in the shop's file; an operator's word is none."""
    kind = rule_id.rpartition(".")[2]
    number = rule_id.rpartition("[")[2].removesuffix("]")
    if kind == "start":
        return f"`start` of `{stage}`"
    if kind == OPERATORS_WORD:
        return "no rule: an operator's word"
    if kind == "on":
        return f"`on` of `{stage}`"
    return f"{_ordinal(int(number) + 1)} `enter` of `{stage}`" if number.isdigit() else f"`{stage}`"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def rule_text(rule: EventRule | TimedRule, *, most: int = 1_000) -> str:
    """As one reads it aloud, with at most so many of its events and of its stages."""
    if isinstance(rule, EventRule):
        entered = entered_by(rule, most=most)
    else:
        entered = rule.spoken if rule.date and rule.after <= timedelta() else f"after {rule.spoken}"
    sources = f", from {listed(sorted(rule.sources), most=most)}" if rule.sources else ""
    return f"{entered}{sources}{f', when {rule.when.text}' if rule.when else ''}"


def entered_by(rule: EventRule, *, most: int = 1_000) -> str:
    """`on an Order Completed`; a rule by condition alone is looked at on any event of their own."""
    return "once its condition becomes true" if rule.becoming else f"on {listed(sorted(rule.on), most=most)}"


def event_text(way: ByEvent, *, most: int = 1_000) -> str:
    """How it is entered, and what keeps it from moving anybody just now."""
    said = entered_by(way.rule, most=most)
    if way.cools_until is not None:
        said = f"{said}, cooling down until {way.cools_until:%Y-%m-%d %H:%M:%S}"
    return f"{said}, which it was already: first it has to be false" if way.had_its_turn else said


def plain(value: Any) -> Any:  # noqa: ANN401  whatever a condition reads
    """As JSON; of a list or a map only how many it holds: a cart may have a hundred lines."""
    match value:
        case list() | tuple() | Mapping():
            return f"{len(value)} item{'' if len(value) == 1 else 's'}"
        case timedelta():
            return spoken(value)
        case _:
            return shown(value)


def reading(values: Mapping[str, Any]) -> str:
    """`1`, or of several values `orders 1, revenue 20.00`; what is not known yet is `unknown`."""
    if len(values) == 1:
        return _said(next(iter(values.values())))
    return ", ".join(f"{path.rpartition('.')[2]} {_said(value)}" for path, value in values.items())


def _said(value: Any) -> str:  # noqa: ANN401  as above
    match plain(value):
        case None:
            return "unknown"
        case bool(found):
            return str(found).lower()
        case found:
            return str(found)


def part_text(part: Part) -> str:
    """`facts.orders >= 2: 1 now`, `the event's score >= 9`. Facts come first, then rules: the event itself counts."""
    text = _OF_EVENT.sub(r"the event's \1", part.text)
    if not part.values:
        return text
    return f"{text}: {reading(part.values)} now{', before the event counts' if part.changes_with else ''}"


def unless_text(unless: Sequence[Instead], per: Per) -> str:
    """`an Order Completed`, `something done with this cart or an Order Completed`; empty where nothing comes between.

    An event that only a condition lets come between `fits`.
    """
    own = {
        Per.CUSTOMER: "anything they do",
        Per.CART: "something done with this cart",
        Per.CHECKOUT: "something done in this checkout",
        Per.ORDER: "news of this order",
    }
    certain = {event for instead in unless if instead.when is None for event in instead.events}
    said = {
        event: f"{_a(event)}{'' if event in certain else ' that fits'}"
        for instead in unless
        for event in instead.events
    }
    becoming = [instead.when for instead in unless if not instead.events and instead.when is not None]
    touched = [own[per]] if any(not instead.events and instead.when is None for instead in unless) else []
    return listed([*touched, *said.values(), *becoming])


def _a(event: str) -> str:
    return f"{'an' if event[:1] in 'AEIO' else 'a'} {event}"


def counts_from(rule: TimedRule) -> str:
    """`90d since facts.last_order_at`, `1h without activity`, `90d in this stage`."""
    return rule.spoken if rule.idle or rule.since else f"{spoken(rule.after)} in this stage"


def since_text(rule: TimedRule) -> str:
    """What stands before the event that armed it: `90d after`, `7d ahead of traits.renewal_on, said by`."""
    return f"{rule.spoken}, said by" if rule.date else f"{spoken(rule.after)} after"


def timed_text(way: ByTime, why: Why, per: Per) -> str:
    """When a timed rule comes due, and what would come between."""
    unless = unless_text(way.unless, per)
    if way.due is not None:
        return when_text(way.due, why, unless)
    if way.clock is Clock.SPENT:
        return f"came due and moved nothing; armed again by {unless or 'entering the stage again'}"
    if way.rule.date:
        return f"counts from {way.rule.counts_from}, which is not known"
    return f"counts from {unless or 'what has not happened yet'}"


def when_text(due: datetime, why: Why, unless: str) -> str:
    """`in 12 d 4 h unless an Order Completed`; what is due already waits, since nothing is done on stale knowledge."""
    if due > why.at:
        return f"in {span(due - why.at)}{f' unless {unless}' if unless else ''}"
    if why.known_until == BEFORE_ALL:
        return f"due since {due:%H:%M:%S}, waiting for the watermark, which is not known yet"
    if due > why.known_until:
        return f"due since {due:%H:%M:%S}, waiting for the watermark at {why.known_until:%H:%M:%S}"
    return f"due since {due:%H:%M:%S}, and next in line"


def next_text(found: Next, why: Why, model: Model) -> str:
    """`at_risk in 12 d 4 h unless an Order Completed`."""
    move = found.move
    unless = unless_text(found.unless, model.track(move.track).per)
    named = f"{move.track} {move.key} " if move.key else ""
    return f"{named}{move.to_stage} {when_text(move.at, why, unless)}"


def instance_name(stands: Stands) -> str:
    return f"{stands.instance.track} {stands.instance.shown_key}".strip()
