"""Starts programs, watches them, stops them in order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from services.commands import EXIT_NEEDS_A_PERSON
from services.devstack.guardian import WORD
from services.devstack.home import Home
from services.devstack.ports import Ports
from services.devstack.program import Program
from services.devstack.running import MARK, Running, new_run, write_run
from services.errors import StagepostError

TAIL_LINES: Final = 15
RESTARTS: Final = 8
RESTARTS_WITHIN: Final = 60.0
"""Seconds. One that dies more often than that won't get better by another start."""
LONGEST_REST: Final = 8.0
"""Seconds before another start. The first is at once, each further one within the minute rests twice as long."""
GUARD: Final = Path(__file__).with_name("guard.py")


class StackFailed(StagepostError):
    """Who of the stack ended and what it said last."""


@dataclass(slots=True)
class _Child:
    program: Program
    process: asyncio.subprocess.Process
    watch: asyncio.Task[None]


class Supervisor:
    """Of one run. `say` tells the operator a line."""

    def __init__(self, home: Home, ports: Ports, *, restarts: bool, say: Callable[[str], None]) -> None:
        self._home = home
        self._ports = ports
        self._say = say
        self._run = new_run(restarts=restarts)
        self._children: dict[str, _Child] = {}
        self._deaths: dict[str, deque[float]] = {}
        self._guardian: subprocess.Popen[str] | None = None
        self._stopping = asyncio.Event()
        self.failed: asyncio.Future[StackFailed] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        write_run(self._home, self._run)
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "services.devstack.guardian", str(self._home.path), self._run.mark],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
            env=environment({}),
        )

    def all_ready(self) -> None:
        self._run = replace(self._run, ready=True)
        write_run(self._home, self._run)

    async def start(self, program: Program) -> None:
        """Returns when it is ready; raises StackFailed when it ends before, or isn't within its time."""
        for port in program.ports:
            self._ports.release(port)
        self._home.log(program.name).unlink(missing_ok=True)
        await self._spawn(program)
        await self._until_ready(program)

    async def complete(self, program: Program) -> None:
        """Runs one that ends by itself; raises StackFailed unless it ends well."""
        log = self._home.log(program.name)
        log.unlink(missing_ok=True)
        process = await self._exec(program)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(program.grace.total_seconds()):
                    await process.wait()
            raise
        if code != 0:
            raise StackFailed(f"{program.name} failed ({_spoken(code)}). The end of {log}:\n{tail(log)}")

    async def stop(self) -> None:
        """All of them, those that others stand on last. Returns when none is left."""
        self._stopping.set()
        for layer in sorted({child.program.layer for child in self._children.values()}, reverse=True):
            await asyncio.gather(*(_stop(c) for c in self._children.values() if c.program.layer == layer))
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.communicate, WORD)
        self._home.run_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """All at once, for who asks a second time."""
        for child in self._children.values():
            _signal(child, signal.SIGKILL)

    async def _spawn(self, program: Program) -> None:
        process = await self._exec(program)
        self._run = self._run.with_child(
            Running(
                name=program.name,
                pid=process.pid,
                layer=program.layer,
                stop_signal=program.stop_signal,
                grace=program.grace.total_seconds(),
            )
        )
        write_run(self._home, self._run)
        watch = asyncio.create_task(self._watch(program, process), name=f"watch {program.name}")
        child = self._children[program.name] = _Child(program, process, watch)
        if self._stopping.is_set():  # told to stop while this one was just being started again
            _signal(child, signal.SIGKILL)
            await process.wait()

    async def _exec(self, program: Program) -> asyncio.subprocess.Process:
        user = program.user
        with self._home.log(program.name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", str(GUARD), str(int(program.stop_signal)), str(os.getpid())),
                *((str(user.uid), str(user.gid)) if user else ("-1", "-1")),
                *program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.directory if user is None else "/",
                env=environment({**program.env, MARK: self._run.mark}),
                start_new_session=True,  # Ctrl-C reaches us alone, who stop them in order
            )

    async def _watch(self, program: Program, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._stopping.is_set():
            return
        asked = self._home.restart_request(program.name)
        if asked.exists():
            asked.unlink()
            self._say(f"{program.name} is started again, as asked")
        elif not self._run.restarts or code == EXIT_NEEDS_A_PERSON or self._dies_too_often(program.name):
            self._fail(program, f"{program.name} ended by itself ({_spoken(code)})")
            return
        else:
            self._say(f"{program.name} ended ({_spoken(code)}) and is started again")
        try:
            if await self._is_time_for(program):
                await self._spawn(program)
        except (OSError, StagepostError) as error:
            self._fail(program, f"{program.name} could not be started again: {error}")

    def _dies_too_often(self, name: str) -> bool:
        deaths = self._deaths.setdefault(name, deque(maxlen=RESTARTS))
        often = len(deaths) == RESTARTS and time.monotonic() - deaths[0] < RESTARTS_WITHIN
        deaths.append(time.monotonic())
        return often

    async def _is_time_for(self, program: Program) -> bool:
        """Rests, then waits for those it stands on: without them it would only die again. False when all is to stop."""
        now = time.monotonic()
        recent = sum(now - death < RESTARTS_WITHIN for death in self._deaths.get(program.name, ()))
        await self._rest(min(LONGEST_REST, 2.0 ** (recent - 2)) if recent > 1 else 0.0)
        ground = [child.program for child in self._children.values() if child.program.layer < program.layer]
        while not self._stopping.is_set() and not all([await below.ready() for below in ground]):
            await self._rest(0.1)
        return not self._stopping.is_set()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _until_ready(self, program: Program) -> None:
        deadline = time.monotonic() + program.ready_within.total_seconds()
        while not self.failed.done():
            if await program.ready():
                return
            if time.monotonic() > deadline:
                self._fail(program, f"{program.name} was not ready within {program.ready_within.total_seconds():g} s")
            await asyncio.sleep(0.1)
        raise self.failed.result()

    def _fail(self, program: Program, reason: str) -> None:
        if not self.failed.done():
            log = self._home.log(program.name)
            self.failed.set_result(StackFailed(f"{reason}. The end of {log}:\n{tail(log)}"))


async def _stop(child: _Child) -> None:
    _signal(child, child.program.stop_signal)
    try:
        async with asyncio.timeout(child.program.grace.total_seconds()):
            await child.process.wait()
    except TimeoutError:
        _signal(child, signal.SIGKILL)
    await child.watch


def _signal(child: _Child, number: signal.Signals) -> None:
    """To its whole group when it is to be killed: what it may have started goes with it."""
    if child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(child.process.pid, number)
            else:
                child.process.send_signal(number)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Ours and `own`, whose every group of settings is whole: no stray `STAGEPOST_KAFKA__…` of a shell joins it."""
    replaced = {_group(name) for name in own}
    return {name: value for name, value in os.environ.items() if _group(name) not in replaced} | dict(own)


def _group(variable: str) -> str:
    return variable.partition("__")[0].removesuffix("_FILE")


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    except FileNotFoundError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


def _spoken(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
