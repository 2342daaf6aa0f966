"""The dev stack, put together: Postgres, Kafka, a mailbox, and Stagepost's own services as child processes."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from services.devstack.catalogue import PARTS, PORTS_OF, SERVICES, USUAL_PORTS, Surroundings
from services.devstack.endpoints import HTTP, ORDER
from services.devstack.home import Home, cache_folder, read_json, write_json, write_private
from services.devstack.jars import JarStore, committed
from services.devstack.kafka import Kafka
from services.devstack.keys import ensure_keys
from services.devstack.ports import LOOPBACK, Ports
from services.devstack.postgres import Postgres
from services.devstack.program import Program
from services.devstack.progress import Reporter
from services.devstack.running import read_run, stop_children
from services.devstack.supervisor import Supervisor
from services.postgres import create_engine, reading
from services.revisions import store as revisions
from services.revisions.files import own, packed
from services.settings import PostgresSettings
from services.shop import load_shop

T = TypeVar("T")
During = Callable[[dict[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`parts` may be fewer than all, for tests. `kafka_proxy` is the port of a proxy that clients reach Kafka by."""

    shop: Path
    parts: frozenset[str] = frozenset(PARTS)
    restarts: bool = False
    free_ports: bool = False
    kafka_proxy: int | None = None


class Stack:
    """One run of a stack, from the first port claimed to the last process stopped."""

    def __init__(self, home: Home, options: Options, report: Reporter) -> None:
        """Raises ShopError for a shop that can't be meant: before anything is started."""
        self._home = home
        self._options = options
        self._report = report
        self._keys = ensure_keys(home, load_shop(options.shop).storefronts)
        usual = {} if options.free_ports else USUAL_PORTS
        self._ports = Ports(usual, read_json(home.ports_file), cache_folder() / "ports")
        self._supervisor = Supervisor(home, self._ports, restarts=options.restarts, say=report.say)

    async def run(self, during: During) -> None:
        """Until SIGINT, SIGTERM or SIGHUP, then stops all. Raises what failed, with all stopped as well.

        `during` is given the endpoints once all are ready; when it returns, all is stopped as well.
        """
        asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, asked)
        stop = asyncio.create_task(asked.wait())
        life = asyncio.create_task(self._live(during))
        ends: set[asyncio.Future[Any]] = {stop, life, self._supervisor.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        life.cancel()
        outcome = (await asyncio.gather(life, return_exceptions=True))[0]
        self._report.say("Stopping …")
        await self._supervisor.stop()
        self._ports.give_back()
        self._home.endpoints_file.unlink(missing_ok=True)
        if self._supervisor.failed.done():
            raise self._supervisor.failed.result()
        if isinstance(outcome, Exception):
            raise _first(outcome)

    def _on_signal(self, asked: asyncio.Event) -> None:
        if asked.is_set():
            self._supervisor.kill()
        asked.set()

    async def _live(self, during: During) -> None:
        left = read_run(self._home)
        if left is not None and (stopped := await in_thread(lambda: stop_children(left))):
            self._report.say(f"  stopped what an earlier run left behind: {', '.join(stopped)}")
        for request in self._home.path.glob("restart-*"):
            request.unlink()
        with self._report.showing():
            endpoints = await self._start()
        await during(endpoints)

    async def _start(self) -> dict[str, str]:
        parts = self._options.parts
        for part in PARTS:
            for port in PORTS_OF.get(part, (part,)) if part in parts else ():
                self._ports.claim(port)
        write_json(self._home.ports_file, {**read_json(self._home.ports_file), **self._ports.chosen})
        postgres = None
        if "postgres" in parts:
            postgres = await in_thread(lambda: Postgres.prepare(self._home, self._ports["postgres"]))
        places = self._surroundings(postgres)
        endpoints = self._endpoints(places, postgres)
        write_json(self._home.endpoints_file, endpoints)
        self._supervisor.begin()
        async with asyncio.TaskGroup() as group:
            if postgres is not None:
                group.create_task(self._start_postgres(postgres))
            if "kafka" in parts:
                group.create_task(self._start_kafka())
            if "mailbox" in parts:
                group.create_task(self._start_one("the mailbox", places.mailbox()))
        if {"postgres", "kafka"} <= parts:
            with self._report.step("Bringing tables and topics up to date", "Tables and topics are up to date"):
                await self._supervisor.complete(places.migration())
                await self._supervisor.complete(places.first_revision())
            await self._tell_whether_another_shop_is_in_force(places)
        async with asyncio.TaskGroup() as group:
            for service in SERVICES:
                if service.name in parts:
                    group.create_task(self._start_one(service.name, places.program(service)))
        self._supervisor.all_ready()
        return endpoints

    async def _tell_whether_another_shop_is_in_force(self, places: Surroundings) -> None:
        engine = create_engine(
            PostgresSettings(dsn=SecretStr(places.dsn_file.read_text(encoding="utf-8").strip())), application="up"
        )
        try:
            async with reading(engine) as connection:
                active = await revisions.active(connection)
                held = await revisions.revision(connection, active.number) if active else None
        finally:
            await engine.dispose()
        directory = self._options.shop
        if held is not None and own(held.files) != packed(directory):
            self._report.say(
                f"  revision {held.number} of the shop is in force, and {directory} differs from it:\n"
                f"  `stagepost plan {directory}` shows what would change, `stagepost apply {directory}` makes it so"
            )

    async def _start_postgres(self, postgres: Postgres) -> None:
        with self._report.step("Starting Postgres", f"Postgres runs on port {postgres.port}"):
            await in_thread(postgres.initialise)
            await self._supervisor.start(postgres.program())

    async def _start_kafka(self) -> None:
        store, jars = JarStore(cache_folder() / "maven"), committed()
        missing = await in_thread(lambda: store.missing(jars))
        if missing:
            size = sum(jar.size for jar in missing)
            what = f"Kafka ({len(missing)} files, {size / 1e6:.1f} MB)"
            with self._report.step(f"Fetching {what}", f"Fetched {what}", size=size) as advance:
                await in_thread(lambda: store.complete(jars, advance))
        port = self._ports["kafka"]
        kafka = Kafka(
            folder=self._home.path / "kafka",
            jars=[store.path(jar) for jar in jars],
            port=port,
            controller_port=self._ports["kafka_controller"],
            advertised_port=self._options.kafka_proxy or port,
        )
        with self._report.step("Starting Kafka", f"Kafka runs on port {port}"):
            await in_thread(kafka.initialise)
            await self._supervisor.start(kafka.program())

    async def _start_one(self, name: str, program: Program) -> None:
        with self._report.step(
            f"Starting {name}", f"{name[0].upper()}{name[1:]} runs on port {self._ports[program.name]}"
        ):
            await self._supervisor.start(program)

    def _surroundings(self, postgres: Postgres | None) -> Surroundings:
        dsn_file = self._home.keys / "postgres-dsn"
        write_private(dsn_file, postgres.dsn if postgres else "")
        return Surroundings(
            home=self._home,
            shop=self._options.shop,
            keys=self._keys,
            ports=self._ports.chosen,
            kafka=f"{LOOPBACK}:{self._options.kafka_proxy or self._ports.chosen.get('kafka')}",
            dsn_file=dsn_file,
        )

    def _endpoints(self, places: Surroundings, postgres: Postgres | None) -> dict[str, str]:
        keys, ports = self._keys, self._ports.chosen
        every = {name: f"http://{LOOPBACK}:{ports[name]}" for name in HTTP if name in ports} | {
            "smtp": f"{LOOPBACK}:{ports.get('smtp')}",
            "kafka": places.kafka,
            "postgres": postgres.dsn if postgres else "",
        }
        found = {name: where for name, where in every.items() if name in ports} | {
            "storefront": keys.storefront,
            "write_key": keys.write_key,
            "browser_key": keys.browser_key,
            "webhook_secret": keys.webhook_secret,
            "operator_key": keys.operator_key,
        }
        return {name: found[name] for name in ORDER if name in found}


async def in_thread(work: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, in a daemon: being told to stop must not wait for a download's end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not done.cancelled():
            how()

    def run() -> None:
        try:
            value = work()
        except Exception as error:  # noqa: BLE001  it is raised again where it is awaited
            how = partial(done.set_exception, error)
        else:
            how = partial(done.set_result, value)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, how)

    threading.Thread(target=run, daemon=True).start()
    return await done


def _first(error: Exception) -> Exception:
    """The one that caused the others of a group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
