"""`stagepost check`: what is wrong with a shop's directory, all of it at once.

Each service looks at the files that it reads, through a function `check(directory) -> Findings` that it registers under
the entry point `stagepost.checks`; none is imported by name. What one file says and another means (a follow-up names a
stage) is compared here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from services.errors import ShopError
from services.shop import YamlFile

GROUP: Final = "stagepost.checks"
COUNTED: Final = ("storefront", "track", "stage", "rule", "follow-up", "template", "scenario")
"""What services may count, in the order in which it is told."""


class Level(StrEnum):
    """A fault is what a service refuses. A warning is what it would run, and nobody can have meant. A note tells."""

    FAULT = "fault"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """`line` and `column` count from 1. `fix` is what to do about it, if that can be said."""

    file: str
    line: int
    column: int
    level: Level
    message: str
    fix: str = ""

    def __str__(self) -> str:
        said = "" if self.level is Level.FAULT else f"{self.level}: "
        return f"{self.file}:{self.line}:{self.column} {said}{self.message}{'; ' if self.fix else ''}{self.fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNamed:
    """Where a file speaks of a stage that another file declares."""

    track: str
    stage: str
    source: YamlFile
    track_at: tuple[str | int, ...]
    stage_at: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a service says of its files.

    `counts` is what was found, in the words of COUNTED. `stages` of each track are for whoever declares them, None if
    that could not be read; `names` for whoever speaks of them. `told` is what there is to know of a shop that is sound.
    """

    found: tuple[Finding, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    stages: Mapping[str, Collection[str]] | None = None
    names: tuple[StageNamed, ...] = ()
    told: tuple[str, ...] = ()


Check = Callable[[Path], Findings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`found` is sorted by file and line; `told` are lines to read, and no fault of anybody's."""

    directory: Path
    found: tuple[Finding, ...]
    counts: Mapping[str, int]
    told: tuple[str, ...] = ()

    def of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.found if finding.level is level)

    def refuses(self, *, strict: bool = False) -> bool:
        return bool(self.of(Level.FAULT) or (strict and self.of(Level.WARNING)))

    @property
    def summary(self) -> str:
        faults, warnings = len(self.of(Level.FAULT)), len(self.of(Level.WARNING))
        said = [_counted(count, name) for name, count in ((Level.FAULT, faults), (Level.WARNING, warnings)) if count]
        found = [_counted(count, name) for name, count in self.counts.items()]
        return f"{self.directory}/: {', '.join(found) or 'nothing'}: {' and '.join(said) or 'sound'}"


def check_shop(directory: Path) -> Report:
    """All that every service has to say of it."""
    if not directory.is_dir():
        fix = f"`stagepost init {directory}` writes one"
        nowhere = Finding(
            file=str(directory), line=1, column=1, level=Level.FAULT, message="there is no such directory", fix=fix
        )
        return Report(directory=directory, found=(nowhere,), counts={})
    checks: list[Check] = [entry.load() for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)]
    said = [check(directory) for check in checks]
    stages = next((findings.stages for findings in said if findings.stages is not None), None)
    across = [] if stages is None else [f for findings in said for n in findings.names for f in _unknown(n, stages)]
    counts = {name: count for findings in said for name, count in findings.counts.items()}
    return Report(
        directory=directory,
        found=tuple(sorted({*across, *(finding for findings in said for finding in findings.found)})),
        counts=dict(sorted(counts.items(), key=lambda count: COUNTED.index(count[0]))),
        told=tuple(line for findings in said for line in findings.told),
    )


_LINE = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+) (?P<said>.*)")


def faults_of(error: ShopError) -> tuple[Finding, ...]:
    """The lines of a ShopError; what is no line of its own belongs to the one before."""
    found: list[Finding] = []
    for said in str(error).splitlines():
        if match := _LINE.fullmatch(said):
            message, _, fix = match["said"].partition("; ")
            line, column = int(match["line"]), int(match["column"])
            found.append(
                Finding(file=match["file"], line=line, column=column, level=Level.FAULT, message=message, fix=fix)
            )
        elif found:
            found[-1] = replace(found[-1], message=f"{found[-1].message} {said.strip()}")
    return tuple(found)


def finding_at(source: YamlFile, where: tuple[str | int, ...], level: Level, message: str, fix: str = "") -> Finding:
    """At the part of the file that these keys and indices lead to, or the nearest around it."""
    line, column = source.mark(where)
    return Finding(file=str(source.path), line=line, column=column, level=level, message=message, fix=fix)


def _unknown(named: StageNamed, stages: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    if named.track not in stages:
        message = f"lifecycle.yaml has no track `{named.track}`"
        yield finding_at(named.source, named.track_at, Level.FAULT, message, _meant(named.track, stages))
    elif named.stage not in stages[named.track]:
        message = f"the track `{named.track}` has no stage `{named.stage}`"
        yield finding_at(named.source, named.stage_at, Level.FAULT, message, _meant(named.stage, stages[named.track]))


def _meant(said: str, known: Collection[str]) -> str:
    close = get_close_matches(said, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
