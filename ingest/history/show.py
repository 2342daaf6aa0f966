"""What is seen of an import: a bar on a terminal, elsewhere a plain line every few seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from services.durations import spoken

LINE_EVERY: Final = 5.0
"""Seconds between two lines where no bar can be drawn."""


class Show:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._began = self._last_line = 0.0
        self._name, self._size = "", 0

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[None]:
        """`size` in bytes, as it lies on the disk."""
        self._name, self._size = name, size
        self._began = self._last_line = time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[so_far]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._task = self._progress.add_task(name, total=size, so_far="")
            yield
        self._progress = None

    def reached(self, place: int, rows: int, events: int) -> None:
        taken = time.monotonic() - self._began
        so_far = f"{rows:,} rows, {events:,} events, {rows / max(taken, 0.001):,.0f} rows/s"
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=place, so_far=so_far)
        elif time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            left = timedelta(seconds=round(taken * (self._size - place) / max(place, 1)))
            part = 100 * place // max(self._size, 1)
            self.say(f"{self._name}: {part} %, {so_far}, about {spoken(left)} left")
