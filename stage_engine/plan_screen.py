"""A plan as people read it on a terminal, and as programs do."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stage_engine.planning import Plan

NOWHERE = "nowhere"


def plan_view(plan: Plan) -> dict[str, Any]:
    tally = plan.tally
    return {
        "active": plan.active,
        "differs": plan.differs,
        "known_until": plan.until.isoformat() if plan.until else None,
        "differences": {
            "model": list(plan.model),
            "follow_ups": list(plan.follow_ups),
            "storefronts": list(plan.storefronts),
            "files": list(plan.files),
        },
        "customers": {"looked_at": tally.customers, "moved": len(tally.moved), "stumble": tally.unfolded},
        "moves": [
            {"track": track, "from": before, "to": after, "instances": count}
            for (track, before, after), count in sorted(tally.stages.items(), key=str)
        ],
        "rules": [{"rule": rule, "customers": count} for rule, count in tally.rules.most_common()],
        "follow_ups": [{"follow_up": name, "customers": count} for name, count in tally.follow_ups.most_common()],
        "new_follow_ups": list(plan.new_follow_ups),
    }


def plan_screen(plan: Plan, directory: str) -> RenderableType:
    if plan.active is None:
        return Text(f"No revision is in force yet: `stagepost apply {directory}` makes this the first.")
    if not plan.differs:
        return Text(f"{directory} is what is in force: revision {plan.active}. Nothing would change.")
    parts: list[RenderableType] = [Text(f"{directory} against revision {plan.active}, which is in force")]
    named = (("model", plan.model), ("follow-ups", plan.follow_ups), ("storefronts", plan.storefronts))
    for name, said in (*named, ("files", plan.files)):
        if said:
            parts += [Text(f"\n{name}", style="bold"), *(Text(f"  {line}") for line in said)]
    return Group(*parts, *_who_moves(plan), Text(f"\nstagepost apply {directory} --expect {plan.active}   makes it so"))


def _who_moves(plan: Plan) -> Iterator[RenderableType]:
    tally = plan.tally
    if not tally.customers and not tally.unfolded:
        yield Text("\nNobody is folded again: what it changes decides nothing about where customers stand.")
        return
    as_of = f", as of {plan.until:%Y-%m-%d %H:%M:%S} UTC" if plan.until else ""
    share = 100 * len(tally.moved) / max(tally.customers, 1)
    yield Text(
        f"\nwho would move: {len(tally.moved)} of {tally.customers} customers ({share:.1f} %){as_of}", style="bold"
    )
    if tally.unfolded:
        yield Text(f"  the fold stumbles over {tally.unfolded} more: they would be on hold", style="red")
    for track in sorted({track for track, _, _ in tally.stages}):
        yield _matrix(plan, track)
    if tally.rules:
        yield _list("by", "customers", tally.rules.most_common())
    if tally.follow_ups:
        yield Text(
            "\nNewly stand where a follow-up starts (applying starts none of them, and cancels what no longer holds)"
        )
        yield _list("follow-up", "customers", tally.follow_ups.most_common())


def _matrix(plan: Plan, track: str) -> Table:
    """From the stages on the left to those above."""
    cells = {(before, after): count for (of, before, after), count in plan.tally.stages.items() if of == track}
    befores, afters = sorted({b for b, _ in cells}, key=str), sorted({a for _, a in cells}, key=str)
    table = Table("from ╲ to", *(after or NOWHERE for after in afters), title=track, title_justify="left", box=None)
    for before in befores:
        table.add_row(before or NOWHERE, *(str(cells.get((before, after), "")) for after in afters))
    return table


def _list(name: str, counted: str, rows: list[tuple[str, int]]) -> Table:
    table = Table(name, counted, box=None)
    table.columns[1].justify = "right"
    for said, count in rows:
        table.add_row(said, str(count))
    return table
