"""A real stack for the tests: Kafka, Postgres, a mailbox and the services, as a newcomer would start them.

A plugin of pytest, so that all folders of tests share the stacks of a session.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from visiting import Visit

from services.devstack.supervisor import GUARD

STAGEPOST = (sys.executable, "-m", "services.devstack")
# Also when these tests are killed outright nothing stays behind: the stack is then told to stop, as by Ctrl-C.
ENDS_WITH_US = (sys.executable, "-I", "-S", str(GUARD), str(int(signal.SIGTERM)), str(os.getpid()), "-1", "-1")
SHOPS = Path(__file__).resolve().parents[1] / "integration"
FIRST_START = 300
"""Seconds; the first start on a machine fetches Kafka."""


@dataclass
class RunningStack:
    """One `stagepost up` with a home of its own."""

    home: Path
    process: subprocess.Popen[str]
    endpoints: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*STAGEPOST, *arguments], env=self.env, capture_output=True, text=True, check=False)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "STAGEPOST_HOME": str(self.home)}

    @property
    def said(self) -> str:
        return (self.home / "up.log").read_text(encoding="utf-8")

    def wait(self) -> None:
        """Until all is ready. One that ends instead fails the test at once, with what it said."""
        arguments = ("endpoints", "--json", "--wait", str(FIRST_START))
        with subprocess.Popen([*STAGEPOST, *arguments], env=self.env, stdout=subprocess.PIPE, text=True) as waiting:
            while waiting.poll() is None and self.process.poll() is None:
                time.sleep(0.1)
            if self.process.poll() is not None:
                waiting.kill()
            found, _ = waiting.communicate()
        assert waiting.returncode == 0, self.said
        self.endpoints = json.loads(found)

    def pid(self, name: str) -> int:
        """Of a part, as it runs now."""
        run = json.loads((self.home / "run.json").read_text(encoding="utf-8"))
        found: int = next(child["pid"] for child in run["children"] if child["name"] == name)
        return found

    def kill(self, name: str) -> None:
        """As kill -9 does."""
        os.kill(self.pid(name), signal.SIGKILL)

    def processes(self) -> list[str]:
        """The command lines of all that run for this home."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or ())
            if process.info["status"] != psutil.STATUS_ZOMBIE and (
                str(self.home) in line or process.pid == self.process.pid or self._is_child(process)
            ):
                found.append(line)
        return found

    def _is_child(self, process: psutil.Process) -> bool:
        try:
            environment: dict[str, str] = process.environ()
        except (psutil.Error, OSError):
            return False
        mine = environment.get("STAGEPOST_HOME") == str(self.home)
        return mine and "STAGEPOST_STACK_MARK" in environment

    def nothing_is_left(self, *, within: float = 60) -> bool:
        deadline = time.monotonic() + within
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def stop(self) -> None:
        """As Ctrl-C does. Checks that it ends well and that nothing is left."""
        self.process.terminate()
        assert self.process.wait(timeout=90) == 0, self.said
        assert self.nothing_is_left(), self.processes()


StartStack = Callable[..., RunningStack]


@pytest.fixture(scope="session")
def shop() -> Path:
    return SHOPS / "shop"


@pytest.fixture(scope="session")
def start_stack(shop: Path) -> Iterator[StartStack]:
    """Starts one, with options of `stagepost up`, and perhaps a home or settings. Who runs at the end is stopped."""
    started: list[RunningStack] = []

    def start(*options: str, home: Path | None = None, settings: Mapping[str, str] | None = None) -> RunningStack:
        if home is None:
            home = Path(tempfile.mkdtemp(prefix="stagepost-test-"))
            home.chmod(0o711)  # so that Postgres, who may run as another user, gets to its data
        with (home / "up.log").open("w") as log:
            process = subprocess.Popen(
                [*ENDS_WITH_US, *STAGEPOST, "up", "--shop", str(shop), *options],
                env={**os.environ, **(settings or {}), "STAGEPOST_HOME": str(home)},
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        stack = RunningStack(home, process)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        if stack.process.poll() is None:
            stack.process.terminate()
            stack.process.wait(timeout=90)
        assert stack.nothing_is_left(), stack.processes()
    for home in {stack.home for stack in started}:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def running_stack(start_stack: StartStack) -> Iterator[RunningStack]:
    """The whole of it, shared by all tests of a session. A part that a test kills comes back."""
    stack = start_stack("--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def real_shops(start_stack: StartStack) -> Iterator[RunningStack]:
    """Where the histories of real shops are told; without a notifier, whom their tests would only wait for."""
    parts = "postgres,kafka,ingest,stage_engine"
    shops = SHOPS / "real_shops"
    stack = start_stack("--shop", str(shops), "--only", parts, "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def postgres(start_stack: StartStack) -> Iterator[str]:
    """The DSN of a Postgres for the tests that need no more: each file makes a database of its own in it."""
    stack = start_stack("--only", "postgres", "--free-ports")
    stack.wait()
    yield stack.endpoints["postgres"]
    stack.stop()


@pytest.fixture(scope="session")
def stack(running_stack: RunningStack) -> dict[str, str]:
    """The endpoints of the whole stack."""
    return running_stack.endpoints


Condition = Callable[[], Awaitable[bool]]


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Waits until an async function says true, for 30 s unless told otherwise."""

    async def wait(condition: Condition, *, within: float = 30) -> None:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110  it waits for other processes
                await asyncio.sleep(0.1)

    return wait


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def visit(http: httpx.AsyncClient, stack: dict[str, str]) -> Visit:
    """A visitor of this test's own."""
    return Visit(http, stack)
