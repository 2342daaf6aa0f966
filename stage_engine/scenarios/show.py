"""A failed scenario for a person: the journey beside what was expected, at most 100 columns wide. Pure."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from textwrap import wrap
from typing import Final

from services.contracts.events import Event, SaidBy
from stage_engine.scenarios.compare import Line
from stage_engine.scenarios.play import Announced, Happened, Met, Played
from stage_engine.scenarios.story import Told

WIDTH: Final = 100
LEFT: Final = 62
RIGHT: Final = WIDTH - LEFT - 3
INDENT: Final = "  "


def failure(played: Played, met: Met) -> str:
    """Where it is expected, and the two columns."""
    left = [*_column("what happened", LEFT), *_journey(met.journey, LEFT)]
    expected = f"expected at {met.expected.now:%Y-%m-%d %H:%M}"
    right = [*_column(expected, RIGHT), *(text for line in met.lines for text in _line(line))]
    beside = [f"{INDENT}{a:<{LEFT}} {b}".rstrip() for a, b in zip_longest(left, right, fillvalue="")]
    return "\n".join([f"✗ {played.scenario.name}", f"{INDENT}{met.expected.place}", "", *beside])


def story(played: Played) -> str:
    """A scenario that holds, told at length."""
    told = [f"{INDENT}{line}" for line in _journey(played.journey, WIDTH - len(INDENT))]
    return "\n".join([f"✓ {played.scenario.name}", *told])


def _column(title: str, width: int) -> list[str]:
    return [title, "─" * (width - 1)]


def _journey(journey: Iterable[Happened], width: int) -> Iterator[str]:
    """A time stands where it is another than in the line before."""
    before = ""
    for happened in journey:
        match happened:
            case Told(entry=entry, late=late):
                event = entry.event
                by = " (browser)" if event.said_by is SaidBy.BROWSER else ""
                at, text = event.occurred_at, f"{event.name}{by}{' (comes late)' if late else ''} {_said(event)}"
            case Announced(transition=t, taken_back=True):
                at, text = t.at, f"  taken back: {f'{t.track} {t.key}'.rstrip()} → {t.to_stage}"
            case Announced(transition=t):
                at, text = t.at, f"  {f'{t.track} {t.key}'.rstrip()} → {t.to_stage}: {t.reason}"
        time = f"{at:%Y-%m-%d %H:%M}"
        yield from _wrapped(time if time != before else " " * len(time), text, width)
        before = time


def _said(event: Event) -> str:
    who = {name: value for name in event.who.__struct_fields__ if (value := getattr(event.who, name))}
    return ", ".join(f"{name} {_short(value)}" for name, value in {**who, **event.properties}.items())


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 30 else f"{text[:29]}…"  # noqa: PLR2004  half a column


def _wrapped(time: str, text: str, width: int) -> Iterator[str]:
    """The lines after the first stand further in than the first."""
    inner = len(text) - len(text.lstrip())
    room = width - len(time) - 3
    lines = wrap(text.strip(), room - inner, subsequent_indent="  ") or [""]
    for number, line in enumerate(lines):
        yield f"{time if number == 0 else ' ' * len(time)}  {' ' * inner}{line}"


def _line(line: Line) -> Iterable[str]:
    first, *rest = wrap(line.said, RIGHT - 2)
    yield f"{'✓' if line.holds else '✗'} {first}"
    yield from (f"  {text}" for text in rest)
    if not line.holds:
        yield from (f"    {text}" for text in wrap(line.instead, RIGHT - 4))
