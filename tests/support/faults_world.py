"""A real stack to do harm to: Kafka and Postgres behind proxies, several engines that are children of ours.

The stack itself is `stagepost up` without its stage engine. The engines are started here, each with a proxy of its own
before Postgres, and started again when they die, as any supervisor would do.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from faults_proxy import CLEAR, LOOPBACK, Proxy

from services.commands import EXIT_NEEDS_A_PERSON
from services.devstack.home import Home, read_json
from services.devstack.supervisor import GUARD, environment

SHOP: Final = Path(__file__).resolve().parents[1] / "faults" / "shop"
FIRST_START: Final = 300
"""Seconds; the first start on a machine fetches Kafka."""
PARTS: Final = "postgres,kafka,mailbox,ingest,notifier"
TRANSACTION_TIMEOUT: Final = 5
"""Seconds after which Postgres ends the transaction of an engine that was stopped inside it: shorter than anybody would
set it, so that a round does not wait a minute for it."""


def child(*command: str, ends_with: signal.Signals) -> tuple[str, ...]:
    """A command that ends when we do, however we end."""
    return (sys.executable, "-I", "-S", str(GUARD), str(int(ends_with)), str(os.getpid()), "-1", "-1", *command)


@dataclass(eq=False)
class Engine:
    """One stage engine. `wanted` is False once it is to stay away."""

    name: str
    postgres: Proxy
    command: tuple[str, ...]
    env: dict[str, str]
    log: Path
    wanted: bool = True
    process: asyncio.subprocess.Process | None = None
    exits: list[int] = field(default_factory=list)
    harmed: int = 0
    """How many of its exits were our doing."""
    _watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.wanted = True
        await self._spawn()
        self._watch = asyncio.create_task(self._keep())

    async def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdout=log, stderr=log, env=environment(self.env), start_new_session=True
            )

    async def _keep(self) -> None:
        while self.process is not None:
            code = await self.process.wait()
            self.exits.append(code)
            if not self.wanted or code == EXIT_NEEDS_A_PERSON:
                return
            await asyncio.sleep(0.5)
            await self._spawn()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            if number is signal.SIGKILL:
                self.harmed += 1
            self.process.send_signal(number)

    async def kill(self) -> None:
        """As kill -9 does; it is started again by itself."""
        self.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Stands still, as a machine that swaps or a virtual machine that is moved."""
        self.signal(signal.SIGSTOP)

    async def remove(self) -> None:
        """Kills it for good."""
        self.wanted = False
        if self.alive and self.process is not None:
            self.process.kill()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self.process is not None:
            await self.process.wait()

    @property
    def ended(self) -> int:
        """How often it ended by itself."""
        return len(self.exits) - self.harmed

    @property
    def said(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])


@dataclass(eq=False)
class World:
    stack: "Stack"
    kafka: Proxy
    keys: dict[str, dict[str, str]]
    """storefront → kind of key → key."""
    engines: list[Engine] = field(default_factory=list)
    ended: int = 0
    """How often engines that are gone had ended by themselves."""
    _made: int = 0

    @property
    def home(self) -> Home:
        return self.stack.home

    @property
    def endpoints(self) -> dict[str, str]:
        return self.stack.endpoints

    async def add_engine(self) -> Engine:
        self._made += 1
        name = f"engine-{self._made}"
        port = urlsplit(self.endpoints["postgres"]).port or 5432
        proxy = Proxy(lambda: port)
        await proxy.start()
        parts = urlsplit(self.endpoints["postgres"])
        dsn = urlunsplit(
            # Every statement's text is on the wire each time, so that a trap can lie in wait for it.
            parts._replace(
                netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{proxy.port}",
                query="sslmode=disable&prepared_statement_cache_size=0",
            )
        )
        engine = Engine(
            name,
            proxy,
            child(sys.executable, "-m", "stage_engine", ends_with=signal.SIGKILL),
            {
                "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": self.endpoints["kafka"],
                "STAGEPOST_POSTGRES__DSN": dsn,
                "STAGEPOST_POSTGRES__TRANSACTION_TIMEOUT": f"{TRANSACTION_TIMEOUT}s",
                "STAGEPOST_OPERATOR_KEY": self.endpoints["operator_key"],
                "STAGEPOST_HTTP__PORT": "0",
                "STAGEPOST_LOG__FORMAT": "json",
            },
            self.home.logs / f"{name}.log",
        )
        await engine.start()
        self.engines.append(engine)
        return engine

    async def remove_engine(self, engine: Engine) -> None:
        self.engines.remove(engine)
        await engine.remove()
        self.ended += engine.ended
        await engine.postgres.close()

    async def heal(self, engines: int) -> None:
        """Clear weather, no trap, so many engines, none of them stopped."""
        self.kafka.weather = CLEAR
        self.kafka.disarm()
        for engine in list(self.engines):
            engine.postgres.weather = CLEAR
            engine.postgres.disarm()
            engine.signal(signal.SIGCONT)
            if not engine.alive and engine.exits and engine.exits[-1] == EXIT_NEEDS_A_PERSON:
                continue  # that is a finding, which the round reports
            if not engine.alive and not engine.wanted:
                await self.remove_engine(engine)
        while len(self.engines) > engines:
            await self.remove_engine(self.engines[-1])
        while len(self.engines) < engines:
            await self.add_engine()

    def pid(self, part: str) -> int:
        """Of a part that the stack runs, as it runs now."""
        run = read_json(self.home.run_file)
        return int(next(c["pid"] for c in run["children"] if c["name"] == part))

    def signal(self, part: str, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(part), number)

    async def sql(self, statement: str, *arguments: Any) -> list[Any]:  # noqa: ANN401  any parameter
        """Straight to Postgres, past every proxy; waits for one that is just starting."""
        while True:
            try:
                connection = await asyncpg.connect(self.endpoints["postgres"], ssl=False, timeout=10)
                try:
                    return list(await connection.fetch(statement, *arguments))
                finally:
                    await connection.close()
            except (
                OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
                asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.InterfaceError,
            ):  # fmt: skip
                await asyncio.sleep(0.2)

    async def eventually(self, holds: Callable[[], bool], *, within: float) -> bool:
        """Looks until it holds; False when it doesn't in time."""
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def unexpected_ends(self) -> Iterable[str]:
        for engine in self.engines:
            if engine.exits and engine.exits[-1] == EXIT_NEEDS_A_PERSON:
                yield f"{engine.name} has stopped for good:\n{engine.said}"


@dataclass(eq=False)
class Stack:
    """One `stagepost up`. `keep` says whether its folder stays, for somebody to look at."""

    home: Home
    endpoints: dict[str, str]
    keep: bool = False


@contextlib.asynccontextmanager
async def stack(parts: str, *options: str, folder: Path | None = None) -> AsyncIterator[Stack]:
    """A fresh one of these parts, stopped at the end."""
    home = Home(folder or new_folder())
    env = {**os.environ, "STAGEPOST_HOME": str(home.path)}
    stagepost = (sys.executable, "-m", "services.devstack")
    up = ("up", "--shop", str(SHOP), "--only", parts, "--free-ports", *options)
    said = home.path / "up.log"
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *child(*stagepost, *up, ends_with=signal.SIGTERM), stdout=log, stderr=log, env=env, start_new_session=True
        )
    made = Stack(home, {})
    try:
        waiting = await asyncio.create_subprocess_exec(
            *(*stagepost, "endpoints", "--json", "--wait", str(FIRST_START)), stdout=asyncio.subprocess.PIPE, env=env
        )
        found, _ = await waiting.communicate()
        if waiting.returncode != 0:
            raise RuntimeError(said.read_text(encoding="utf-8"))
        made.endpoints = json.loads(found)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if not made.keep:
            shutil.rmtree(home.path, ignore_errors=True)


def new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stagepost-faults-"))
    folder.chmod(0o711)  # so that Postgres, who may run as another user, gets to its data
    return folder


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A fresh one without engines."""
    folder = new_folder()
    kafka = Proxy(lambda: int(read_json(Home(folder).ports_file)["kafka"]))
    await kafka.start()
    try:
        async with stack(PARTS, "--restart", "--kafka-proxy", str(kafka.port), folder=folder) as up:
            made = World(up, kafka, read_json(up.home.keys / "plain-write-keys.json"))
            try:
                yield made
            finally:
                for engine in list(made.engines):
                    await made.remove_engine(engine)
    finally:
        await kafka.close()
