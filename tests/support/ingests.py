"""Ingests of a test's own before a Kafka behind a proxy: started, killed and asked as a test wants them.

A plugin of pytest, for its `ground`.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faults_proxy import CLEAR, Proxy, Weather
from faults_world import child

from services.compacted import Compacted
from services.contracts.events import decode_event
from services.contracts.progress import decode_settled, ingest_of
from services.contracts.topics import EVENTS, PROGRESS, TOPICS
from services.settings import KafkaSettings

Stack: TypeAlias = Any
"""The RunningStack of `stacks`, which pytest loads as a plugin."""


@dataclass(eq=False)
class Ground:
    """Kafka behind a proxy, and ingests that are children of ours."""

    stack: Stack
    kafka: Proxy
    ingests: list["Ingest"] = field(default_factory=list)

    @property
    def key(self) -> dict[str, str]:
        return {"X-Write-Key": self.stack.endpoints["write_key"]}

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": self.stack.endpoints["kafka"]}

    @contextlib.contextmanager
    def away(self, weather: Weather = Weather(refusing=True)) -> Any:  # noqa: ANN401, B008  frozen; as contextlib has it
        self.kafka.weather = weather
        if weather.refusing:
            self.kafka.cut()
        try:
            yield
        finally:
            self.kafka.weather = CLEAR

    async def ingest(self, folder: Path, **settings: str) -> "Ingest":
        """Started, and taking traffic."""
        made = Ingest(self, folder, folder.parent / f"{folder.name}-{len(self.ingests)}.log", settings)
        self.ingests.append(made)
        await made.start()
        return made

    async def events(self, user: str) -> list[str]:
        """The ids of all the user's events on the topic, in its order, repeats too."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stack.endpoints["kafka"], enable_auto_commit=False)
        await consumer.start()
        try:
            number = next(known.partitions for known in TOPICS if known.name == EVENTS)
            partitions = [TopicPartition(EVENTS, n) for n in range(number)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            found = []
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [decode_event(record.value) for record in records]
            return [event.id for event in found if event.who.user_id == user]
        finally:
            await consumer.stop()

    async def reports(self) -> dict[str, Any]:
        """Of each ingest what it said last; None is its leave."""
        reading = Compacted(KafkaSettings(bootstrap_servers=self.stack.endpoints["kafka"]), PROGRESS, client_id="test")
        await reading.start()
        try:
            records = (await reading.read_on()).records
        finally:
            await reading.stop()
        return {ingest_of(r.key): None if r.value is None else decode_settled(r.value).settled for r in records}


@dataclass(eq=False)
class Ingest:
    """One process."""

    ground: Ground
    folder: Path
    log: Path
    settings: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    url: str = ""

    async def start(self) -> None:
        endpoints = self.ground.stack.endpoints
        port = free_port()
        env = {
            **self.ground.env,
            "STAGEPOST_WRITE_KEYS_FILE": str(self.ground.stack.home / "keys" / "write-keys.json"),
            "STAGEPOST_NETWORK_KEY_FILE": str(self.ground.stack.home / "keys" / "network-key"),
            "STAGEPOST_STATE_FOLDER": str(self.folder),
            "STAGEPOST_OPERATOR_KEY": endpoints["operator_key"],
            "STAGEPOST_HTTP__PORT": str(port),
            "STAGEPOST_LOG__FORMAT": "json",
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *child(sys.executable, "-m", "ingest", ends_with=signal.SIGKILL),
                env=env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while not await self._is_ready(http):
                assert self.process.returncode is None, self.said
                await asyncio.sleep(0.05)

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await http.get(f"{self.url}/readyz")).status_code == 200
        return False

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        await self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    async def metric(self, http: httpx.AsyncClient, name: str) -> float:
        text = (await http.get(f"{self.url}/metrics")).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    async def is_drained(self, http: httpx.AsyncClient) -> bool:
        records = await self.metric(http, "stagepost_ingest_spool_records")
        return records == 0 == await self.metric(http, "stagepost_ingest_breaker_open")

    @property
    def id(self) -> str:
        found = re.findall(r'"ingest":"([-0-9a-f]{36})","event":"has its lasting id"', self.said)
        found += re.findall(r'"event":"has its lasting id".*?"ingest":"([-0-9a-f]{36})"', self.said)
        return str(found[-1])


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.asynccontextmanager
async def open_ground(start_stack: Callable[..., Stack], *more_parts: str) -> AsyncIterator[Ground]:
    started: list[Stack] = []

    def broker() -> int:
        return int(json.loads((started[0].home / "ports.json").read_text(encoding="utf-8"))["kafka"])

    proxy = Proxy(broker)
    await proxy.start()
    parts = ",".join(("postgres", "kafka", "ingest", *more_parts))
    stack = start_stack("--only", parts, "--restart", "--free-ports", "--kafka-proxy", str(proxy.port))
    started.append(stack)
    await asyncio.to_thread(stack.wait)
    made = Ground(stack, proxy)
    yield made
    for ingest in made.ingests:
        await ingest.end(signal.SIGKILL)
    await asyncio.to_thread(stack.stop)
    await proxy.close()


@pytest.fixture(scope="module")
async def ground(start_stack: Callable[..., Stack]) -> AsyncIterator[Ground]:
    async with open_ground(start_stack) as made:
        yield made


class Shop:
    """Sends one event after the other and never twice: it believes each 200."""

    def __init__(self, ground: Ground, http: httpx.AsyncClient, *, name: str = "Probe", pace: float = 0.01) -> None:
        """`pace` is in seconds, between an answer and the next event."""
        self._ground, self._http, self._name, self._pace = ground, http, name, pace
        self.user = uuid4().hex
        self.acknowledged: list[str] = []
        self.refusals: list[httpx.Response] = []
        self._numbers = count()

    async def send(self, ingest: Ingest, size: int = 10) -> httpx.Response:
        event = {
            "id": f"e{next(self._numbers)}",
            "name": self._name,
            "user_id": self.user,
            "properties": {"x": "y" * size},
        }
        answer = await self._http.post(f"{ingest.url}/v1/events", json=event, headers=self._ground.key)
        if answer.status_code == 200:
            self.acknowledged.append(event["id"])
        else:
            self.refusals.append(answer)
        return answer

    async def run(self, ingest: Ingest, until: asyncio.Event) -> None:
        while not until.is_set():
            await self.send(ingest)
            await asyncio.sleep(self._pace)

    async def nothing_is_lost(self) -> bool:
        return set(self.acknowledged) <= set(await self._ground.events(self.user))


@contextlib.asynccontextmanager
async def open_shops(ingest: Ingest, *shops: Shop) -> AsyncIterator[None]:
    """A client's error, of which there must be none, fails the test."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as sending:
        for shop in shops:
            sending.create_task(shop.run(ingest, done))
        try:
            yield
        finally:
            done.set()
