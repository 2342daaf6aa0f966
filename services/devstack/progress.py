"""What the operator sees of a start: each step with its time, downloads with how far they are.

On a terminal steps turn and bars fill; elsewhere (a pipe, a CI log) the same comes as plain lines.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY: Final = 2.0
"""Seconds between lines on a download's way where no bar can be drawn."""


class Reporter:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Within, what is under way is drawn where it can be."""
        if not self._console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[so_far]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @contextmanager
    def step(self, doing: str, done: str, *, size: int | None = None) -> Iterator[Callable[[int], None]]:
        """Says `done` with the time it took. Yields a function that is told, from any thread, how many bytes came."""
        progress, began, come, last_line = self._progress, time.monotonic(), 0, time.monotonic()
        if progress is None:
            self.say(f"  {doing} …")
        task = progress.add_task(doing, total=size, so_far="") if progress else None

        def advance(count: int) -> None:
            nonlocal come, last_line
            come += count
            so_far = f"{_mb(come)} of {_mb(size or 0)}"
            if progress is not None and task is not None:
                progress.update(task, advance=count, so_far=so_far)
            elif time.monotonic() - last_line >= LINE_EVERY:
                last_line = time.monotonic()
                self.say(f"    {so_far}")

        try:
            yield advance
        finally:
            if progress is not None and task is not None:
                progress.remove_task(task)
        self.say(f"✓ {done} ({time.monotonic() - began:.1f} s)")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
