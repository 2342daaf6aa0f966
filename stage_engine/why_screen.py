"""`stagepost why` on a terminal: what an operator reads first, at 100 columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.contracts.changes import Cause
from services.contracts.events import Event, SaidBy
from services.contracts.identity import Identity, IdentityKind
from stage_engine.asking import Answer
from stage_engine.model.model import Model, TimedRule
from stage_engine.why import BEFORE_ALL, ByEvent, ByTime, Clock, Part, Stands, Way, Why
from stage_engine.why_words import (
    OPERATORS_WORD,
    counts_from,
    event_text,
    instance_name,
    listed,
    next_text,
    part_text,
    plain,
    rule_place,
    rule_text,
    since_text,
    span,
    timed_text,
)

WIDTH = 100
SHOWN = 3
"""Carts and orders of a track that are shown whole, the latest; the others are counted."""
MOST_NAMED = 4
"""Events or stages that a line names; --json has all."""
_PEOPLE = (IdentityKind.USER_ID, IdentityKind.EMAIL, IdentityKind.PHONE)
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
_HOLDS = {
    "broken": "a condition or a bug stops the fold here: stagepost refold --customer once it is mended",
    "refolding": "a long history is being folded again; below is what stood before",
}


def screen(answer: Answer, model: Model) -> RenderableType:
    why, customer = answer.why, answer.customer
    parts: list[RenderableType] = [_head(answer.identities, customer.storefront, str(customer.id))]
    parts.append(Text(f"as of {_moment(why.at)} UTC", style="dim"))
    if customer.hold is not None:
        parts.append(Text(f"on hold ({customer.hold}): {_HOLDS.get(customer.hold, '')}", style="yellow"))
    if customer.state.approximate:
        parts.append(Text("approximate: who is whom changed after old history had been folded away", style="yellow"))
    if customer.waits_from is not None:
        since = f"{customer.waits_from.occurred_at:%H:%M:%S}"
        parts.append(Text(f"what happened from {since} on waits until all before it is known", style="yellow"))
    parts.append(_next(why, model))
    for track in model.tracks:
        parts += _of_track([stands for stands in why.stands if stands.instance.track == track.name], answer, model)
    if not why.stands:
        parts += [Text(), Text("nothing is known yet that begins a track")]
    return Group(*parts)


def _head(identities: Sequence[Identity], storefront: str, customer_id: str) -> RenderableType:
    """A device's id only where nothing stronger is known: nobody reads it."""
    names = [one.value for one in identities if one.kind in _PEOPLE] or [
        one.value for one in identities if one.kind is IdentityKind.ANONYMOUS_ID
    ]
    head = Table.grid(expand=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True, style="dim")
    head.add_row(Text(f"{listed(names, last='and') or 'nobody named'} · {storefront}", style="bold"), customer_id)
    return head


def _next(why: Why, model: Model) -> Text:
    if why.next is None:
        return Text("time alone will move nothing")
    return Text("next: ").append(next_text(why.next, why, model), style="bold")


def _of_track(stands: list[Stands], answer: Answer, model: Model) -> Iterator[RenderableType]:
    """The open ones before the ended ones, the latest first."""
    ordered = sorted(stands, key=lambda s: (s.final, -s.instance.touched_at.timestamp()))
    for one in ordered[:SHOWN]:
        yield Text()
        yield from _instance(one, answer, model)
    counts: dict[str, int] = {}
    for one in ordered[SHOWN:]:
        counts[one.instance.stage] = counts.get(one.instance.stage, 0) + 1
    if counts:
        said = ", ".join(f"{count} {stage}" for stage, count in counts.items())
        yield Text(f"and {len(ordered) - SHOWN} more of {ordered[0].instance.track}: {said} (--json has them)", "dim")


def _instance(stands: Stands, answer: Answer, model: Model) -> Iterator[RenderableType]:
    at = answer.why.at
    head = Text(f"{instance_name(stands)} ").append(stands.instance.stage, style="bold cyan")
    head.append(f" for {span(at - stands.instance.since)}, since {_moment(stands.instance.since)}", style="dim")
    yield head.append(": its end" if stands.final else "", style="dim")
    rows = Table.grid(padding=(0, 2, 0, 0), expand=True)
    rows.add_column(no_wrap=True, style="dim")
    rows.add_column(ratio=1)
    rows.add_row("by", Group(*_came(stands, answer.events)))
    if stands.ways:
        plainly = all(isinstance(way, ByEvent) and not way.parts for way in stands.ways)
        rows.add_row("to", _in_a_line(stands.ways) if plainly else _ways(stands, answer, model))
    yield Padding(rows, (0, 0, 0, 2))


def _came(stands: Stands, events: Mapping[Cause, Event]) -> Iterator[Text]:
    came, rule = stands.came, stands.rule
    if came is None:
        yield Text("what brought it here is not kept any more")
        return
    event = events.get(came.cause)
    named = f"{event.name} {event.id}" if event else f"event {came.cause.event_id}"
    said = " said by a browser" if event and event.said_by is SaidBy.BROWSER else ""
    source = f", from {came.from_stage}" if came.from_stage is not None else ""
    if isinstance(rule, TimedRule):
        line = Text("time", style="bold").append(f", {since_text(rule)} {named}{said}", style="not bold")
        line.append(f" of {_moment(event.occurred_at)}" if event else "", style="not bold")
        yield line.append(source, style="not bold")
    else:
        yield Text(named, style="bold").append(f"{said}{source}", style="not bold")
    is_set = came.rule.endswith(f".{OPERATORS_WORD}")
    if stands.final and not is_set:
        return
    place = Text(came.reason if is_set else rule_place(came.rule, came.to_stage))
    if rule is not None:
        place.append(f": {rule_text(rule, most=MOST_NAMED)}")
    if came.facts:
        place.append(f" ({', '.join(f'{name} was {plain(value)}' for name, value in came.facts.items())})", "bold")
    yield place.append("; imported history, which started nothing" if came.historical else "", style="dim")


def _in_a_line(ways: Iterable[Way]) -> Text:
    line = Text()
    for way in ways:
        if isinstance(way, ByEvent):
            line.append(" · " if line else "").append(way.rule.target, style="cyan")
            line.append(f" {event_text(way, most=MOST_NAMED)}")
    return line


def _ways(stands: Stands, answer: Answer, model: Model) -> Table:
    """What time does first, then what events do, by stage."""
    rows = Table.grid(padding=(0, 2, 0, 0), expand=True)
    rows.add_column(no_wrap=True, style="cyan")
    rows.add_column(ratio=1)
    before = None
    for way in sorted(stands.ways, key=_earliest):
        line = _by(way, answer.why, stands, model)
        for part in way.parts:
            line.append("  ").append_text(_part(part))
        if isinstance(way, ByTime) and way.due is not None and not way.holds_then and all(p.holds for p in way.parts):
            line.append("  ✗ but no longer when it is due", style="red")
        rows.add_row(way.rule.target if way.rule.target != before else "", line)
        before = way.rule.target
    return rows


def _earliest(way: Way) -> tuple[bool, bool, datetime]:
    due = way.due if isinstance(way, ByTime) else None
    return not isinstance(way, ByTime), due is None, due or BEFORE_ALL


def _by(way: Way, why: Why, stands: Stands, model: Model) -> Text:
    match way:
        case ByEvent():
            return Text(event_text(way, most=MOST_NAMED))
        case ByTime(rule=rule):
            is_next = why.next is not None and (why.next.move.instance, why.next.move.rule) == (
                stands.instance.id,
                rule.id,
            )
            said = timed_text(way, why, model.track(stands.instance.track).per)
            if is_next and way.due is not None and way.clock is Clock.RUNNING:
                said = f"next, {_moment(way.due)}"
            line = Text(said, style="yellow" if way.clock is Clock.WAITING else "")
            return line.append(f" ({counts_from(rule)})", style="dim")


def _part(part: Part) -> Text:
    mark, style = _MARKS[None if part.changes_with else part.holds]
    return Text(f"{mark} ", style=style).append(part_text(part), style="default")


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
