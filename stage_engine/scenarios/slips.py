"""What is wrong in a scenario file, by where it stands; and the readings that may go wrong. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from services.durations import parse_duration
from stage_engine.scenarios.compare import moment_of

At = tuple[str | int, ...]
"""The keys and indices that lead to a part of the file."""
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""An event outside of them is a dead letter in production; a clock has no business there either."""


@dataclass(slots=True)
class Slips:
    """Collected, to be told all at once."""

    found: list[tuple[At, str]] = field(default_factory=list)

    def say(self, at: At, message: str) -> None:
        self.found.append((at, message))

    def unknown(self, at: At, message: str, said: str, known: Iterable[str]) -> None:
        names = list(known)
        close = get_close_matches(said, names, n=1)
        self.say(at, f"{message}; {f'did you mean `{close[0]}`?' if close else 'there are: ' + ', '.join(names)}")

    def duration(self, at: At, text: str, *, or_else: str = "") -> timedelta | None:
        try:
            return parse_duration(text)
        except ValueError as error:
            self.say(at, f"{error}{or_else}")
            return None

    def moment(self, at: At, text: str | None) -> datetime | None:
        found = moment_of(text)
        if found is None:
            self.say(at, f"`{text}` is no time; write it as in 2026-03-01 10:00")
        return found if found is None else self.sensible(at, found)

    def sensible(self, at: At, moment: datetime) -> datetime | None:
        if EARLIEST <= moment <= LATEST:
            return moment
        self.say(at, f"{moment:%Y-%m-%d} is not within {EARLIEST:%Y} and {LATEST:%Y}: no shop reports such a time")
        return None
