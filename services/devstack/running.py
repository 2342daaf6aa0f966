"""Who runs in a home, written down so that another process can stop them: `stagepost down`, or the guardian.

A process id alone proves nothing, since ids are given out again. Every process of a run carries the run's random mark
in its environment; only who carries it is ever signalled.
"""

import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import psutil

from services.devstack.home import Home, read_json, write_json

MARK: Final = "STAGEPOST_STACK_MARK"
SUPERVISOR_GRACE: Final = 75.0
"""Seconds for `stagepost up` to stop all in order: the sum of the layers' own graces."""
KILL_GRACE: Final = 5.0
"""Seconds for the system to end one that was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    name: str
    pid: int
    layer: int
    stop_signal: int
    grace: float
    """In seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`restarts` says whether who dies is started again; `ready`, that all were ready once."""

    mark: str
    supervisor: int
    restarts: bool = False
    ready: bool = False
    children: tuple[Running, ...] = field(default=())

    def with_child(self, child: Running) -> "Run":
        return replace(self, children=(*(c for c in self.children if c.name != child.name), child))


def new_run(*, restarts: bool) -> Run:
    return Run(mark=secrets.token_hex(16), supervisor=os.getpid(), restarts=restarts)


def write_run(home: Home, run: Run) -> None:
    write_json(home.run_file, asdict(run))


def read_run(home: Home) -> Run | None:
    content: dict[str, Any] = read_json(home.run_file)
    if not content:
        return None
    children = tuple(Running(**child) for child in content.pop("children"))
    return Run(**content, children=children)


def process_of(run: Run, pid: int) -> psutil.Process | None:
    """The process with this id if it is one of this run's, and alive."""
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == run.mark:
            return process
    return None


def stop_supervisor(home: Home, run: Run) -> bool:
    """Asks `stagepost up` to stop, kills it when it doesn't. False when it was gone already."""
    if not home.is_locked:
        return False
    with suppress(psutil.Error):
        supervisor = psutil.Process(run.supervisor)
        supervisor.terminate()
        supervisor.resume()  # one that was stopped by Ctrl-Z can't answer
        if not _becomes(lambda: not home.is_locked, time.monotonic() + SUPERVISOR_GRACE):
            supervisor.kill()
    return True


def stop_children(run: Run) -> list[str]:
    """Stops those of a run that are still there, layer by layer; returns their names."""
    stopped = []
    for layer in sorted({child.layer for child in run.children}, reverse=True):
        alive = [
            (child, process)
            for child in run.children
            if child.layer == layer and (process := process_of(run, child.pid)) is not None
        ]
        stopped += [child.name for child, _ in alive]
        for child, process in alive:
            with suppress(psutil.Error):
                process.send_signal(signal.Signals(child.stop_signal))
                process.resume()
        deadline = time.monotonic() + max((child.grace for child, _ in alive), default=0)
        _kill_after(run, [child.pid for child, _ in alive], deadline)
    return stopped


def _kill_after(run: Run, pids: Sequence[int], deadline: float) -> None:
    def still() -> list[psutil.Process]:
        return [process for pid in pids if (process := process_of(run, pid)) is not None]

    if not _becomes(lambda: not still(), deadline):
        for process in still():
            for one in (*_children(process), process):
                with suppress(psutil.Error):
                    one.kill()
        _becomes(lambda: not still(), time.monotonic() + KILL_GRACE)


def _becomes(condition: Callable[[], bool], deadline: float) -> bool:
    """Looks again and again; psutil's own wait takes one that nobody has collected yet (a zombie) for alive."""
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found
