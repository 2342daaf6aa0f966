"""What an `expect` says beside what is so: one line for each thing that it names. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.contracts.changes import Transition
from services.durations import spoken
from stage_engine.facts import FactsAt, shown
from stage_engine.fold import Folded
from stage_engine.model.model import Model
from stage_engine.money import amount
from stage_engine.scenarios.story import Changes, Expected, Never, Where
from stage_engine.state import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`said` is what was expected; `instead` what was found, where it does not hold."""

    holds: bool
    said: str
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A customer as they stand at `now`; `changes` and `taken_back` came since somebody looked last."""

    model: Model
    folded: Folded
    now: datetime
    changes: Sequence[Transition]
    taken_back: Sequence[Transition]
    customers: int


def compared(expected: Expected, seen: Seen) -> tuple[Line, ...]:
    return tuple(_lines(expected, seen))


def _lines(expected: Expected, seen: Seen) -> Iterator[Line]:
    for where, stage in expected.stages.items():
        yield _stage(where, stage, seen.folded.state.instances)
    for name, value in expected.facts.items():
        found = _fact(seen, name)
        yield _line(_equal(value, found), f"{name}: {_shown(value)}", f"is {_shown(found)}")
    if expected.changes is not None:
        yield from _changes("changes", expected.changes, seen.changes)
    if expected.taken_back is not None:
        yield from _changes("taken back", expected.taken_back, seen.taken_back)
    yield from _reasons(expected.reasons, seen.changes)
    if expected.no_next or expected.next_at is not None:
        yield _next(expected.next_at, seen)
    if expected.customers is not None:
        yield counted(expected, seen.customers)
    if expected.never is not None:
        yield from _never(expected.never, seen)


def counted(expected: Expected, customers: int) -> Line:
    said = f"{expected.customers} customer{'' if expected.customers == 1 else 's'}"
    return _line(expected.customers == customers, said, f"there {'is' if customers == 1 else 'are'} {customers}")


def _line(holds: bool, said: str, instead: str) -> Line:  # noqa: FBT001  the line's own first word
    return Line(holds=holds, said=said, instead="" if holds else instead)


def _stage(where: Where, stage: str, instances: Iterable[Instance]) -> Line:
    there = [i for i in instances if _is_at(where, i.track, i.shown_key)]
    said = f"{_place(where)}: {stage}"
    if not there:
        others = [i.shown_key for i in instances if i.track == where[0] and i.shown_key]
        return _line(False, said, f"there is none; there are {', '.join(others)}" if others else "there is none")
    if len(there) > 1:
        found = ", ".join(f"{i.shown_key} {i.stage}" for i in there)
        return _line(False, said, f"there are several ({found}): say which, as in {{{there[0].shown_key}: {stage}}}")
    return _line(there[0].stage == stage, said, f"is {there[0].stage}")


def _changes(title: str, expected: Changes, found: Sequence[Transition]) -> Iterator[Line]:
    if expected.in_order is not None:
        wanted = expected.in_order
        fits = len(wanted) == len(found) and all(
            _is_at(where, t.track, t.key) and t.to_stage == stage
            for (where, stage), t in zip(wanted, found, strict=True)
        )
        said = "; ".join(f"{_place(where)}: {stage}" for where, stage in wanted) or "none"
        instead = "; ".join(f"{_place((t.track, t.key or None))}: {t.to_stage}" for t in found) or "none"
        yield _line(fits, f"{title}: {said}", f"were {instead}" if found else "there were none")
    for where, stages in expected.by_track.items():
        went = [t.to_stage for t in found if _is_at(where, t.track, t.key)]
        yield _line(went == list(stages), f"{title} of {_place(where)}: {_way(stages)}", f"were {_way(went)}")


def _reasons(expected: Sequence[str], changes: Sequence[Transition]) -> Iterator[Line]:
    """Each is part of the reason of a change that came after the one before it."""
    rest = iter([t.reason for t in changes])
    for text in expected:
        found = any(text in reason for reason in rest)
        reasons = "; ".join(dict.fromkeys(t.reason for t in changes)) or "nothing changed"
        yield _line(found, f"because: {text}", f"the reasons were: {reasons}")


def _next(at: datetime | None, seen: Seen) -> Line:
    found = seen.folded.next_wake
    said = "never" if at is None else _in(at, seen.now)
    return _line(found == at, f"next: {said}", f"is {'never' if found is None else _in(found, seen.now)}")


def _never(never: Never, seen: Seen) -> Iterator[Line]:
    for where, stages in never.stages.items():
        there = {i.stage for i in seen.folded.state.instances if _is_at(where, i.track, i.shown_key)}
        yield from (_line(s not in there, f"not {_place(where)}: {s}", "it is") for s in stages)
    for where, stages in never.changes.items():
        went = {t.to_stage for t in seen.changes if _is_at(where, t.track, t.key)}
        yield from (_line(s not in went, f"no change of {_place(where)}: {s}", "there was") for s in stages)
    for text in never.reasons:
        said = [t.reason for t in seen.changes if text in t.reason]
        yield _line(not said, f"not because: {text}", f"a reason was: {''.join(said[:1])}")
    for name, value in never.facts.items():
        yield _line(not _equal(value, _fact(seen, name)), f"not {name}: {_shown(value)}", "it is")


def _is_at(where: Where, track: str, key: str) -> bool:
    return track == where[0] and where[1] in (None, key)


def _place(where: Where) -> str:
    return where[0] if where[1] is None else f"{where[0]} {where[1]}"


def _way(stages: Sequence[str]) -> str:
    return " → ".join(stages) or "none"


def _in(at: datetime, now: datetime) -> str:
    after = f"in {spoken(at - now)}" if at >= now else "overdue"
    return f"{after} ({at:%Y-%m-%d %H:%M})"


def _fact(seen: Seen, name: str) -> Any:  # noqa: ANN401  any fact
    return FactsAt(seen.model, seen.folded.state.facts, seen.now)[name]


def _shown(value: Any) -> str:  # noqa: ANN401  any fact
    said = shown(value)
    return "not known" if said is None else str(said)


def _equal(expected: Any, found: Any) -> bool:  # noqa: ANN401  any JSON, any fact
    """Amounts by what they are worth, times by when they are; inside of mappings, too."""
    if isinstance(found, Decimal):
        return not isinstance(expected, bool) and amount(expected) == found
    if isinstance(found, datetime):
        return moment_of(expected) == found
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        return expected.keys() == found.keys() and all(_equal(expected[key], found[key]) for key in found)
    return isinstance(expected, bool) == isinstance(found, bool) and bool(expected == found)


def moment_of(text: object) -> datetime | None:
    """A time as people write it; without an offset in UTC."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
