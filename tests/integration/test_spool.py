"""Kafka away, slow or silent: what ingest answers with 200 is durable, and on the topic once Kafka is back."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import which
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
"""The RunningStack of conftest.py, which test files can't import."""
Eventually = Callable[..., Awaitable[None]]

AWAY = 8
"""Seconds: longer than ingest waits for an acknowledgement, so that calls meet its end too."""


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
    import socket  # noqa: PLC0415  here only

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
async def ground(start_stack: Callable[..., Stack]) -> AsyncIterator[Ground]:
    started: list[Stack] = []

    def broker() -> int:
        return int(json.loads((started[0].home / "ports.json").read_text(encoding="utf-8"))["kafka"])

    proxy = Proxy(broker)
    await proxy.start()
    stack = start_stack("--only", "postgres,kafka,ingest", "--free-ports", "--kafka-proxy", str(proxy.port))
    started.append(stack)
    await asyncio.to_thread(stack.wait)
    made = Ground(stack, proxy)
    yield made
    for ingest in made.ingests:
        await ingest.end(signal.SIGKILL)
    await asyncio.to_thread(stack.stop)
    await proxy.close()


class Shop:
    """Sends one event after the other and never twice: it believes each 200."""

    def __init__(self, ground: Ground, http: httpx.AsyncClient) -> None:
        self._ground, self._http = ground, http
        self.user = uuid4().hex
        self.acknowledged: list[str] = []
        self.refusals: list[httpx.Response] = []
        self._numbers = count()

    async def send(self, ingest: Ingest, size: int = 10) -> httpx.Response:
        event = {
            "id": f"e{next(self._numbers)}",
            "name": "Probe",
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
            await asyncio.sleep(0.01)

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


@pytest.mark.parametrize(
    "weather", [Weather(refusing=True), Weather(half_open=True), Weather(delay=6)], ids=["gone", "silent", "slow"]
)
async def test_with_kafka_away_under_load_every_call_is_answered_200_and_none_is_lost_or_overtakes(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path, weather: Weather
) -> None:
    ingest = await ground.ingest(tmp_path / "state")
    shops = [Shop(ground, http) for _ in range(10)]
    async with open_shops(ingest, *shops):
        await asyncio.sleep(1)
        with ground.away(weather):
            await asyncio.sleep(AWAY)
            assert await ingest.metric(http, "stagepost_ingest_breaker_open") == 1
            assert await ingest.metric(http, "stagepost_ingest_spool_records") > 10
        await eventually(lambda: ingest.is_drained(http), within=40)
        await asyncio.sleep(1)
    assert sum(len(shop.refusals) for shop in shops) == 0
    for shop in shops:
        on_topic = await ground.events(shop.user)
        assert list(dict.fromkeys(on_topic)) == shop.acknowledged
    assert await ingest.metric(http, "stagepost_ingest_drained_total") > 10
    await ingest.end(signal.SIGTERM)
    assert (await ground.reports())[ingest.id] is None
    assert not list((tmp_path / "state").glob("*/spool*"))


async def test_a_full_spool_is_said_with_503_and_when_to_come_again(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    ingest = await ground.ingest(
        tmp_path / "state", STAGEPOST_SPOOL__MAX_BYTES="5000", STAGEPOST_PUBLISH__ACK_DEADLINE="1s"
    )
    shop = Shop(ground, http)
    with ground.away():
        answers = [await shop.send(ingest, 300) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert {answer.json()["code"] for answer in shop.refusals} == {"spool_full"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in shop.refusals)
        assert await ingest.metric(http, "stagepost_ingest_spool_bytes") <= 5000
    await eventually(lambda: ingest.is_drained(http))
    assert (await shop.send(ingest)).status_code == 200
    assert await ground.events(shop.user) == shop.acknowledged


async def test_a_full_disk_is_a_full_spool(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    if which("mount") is None:
        pytest.skip("no small disk can be had without `mount`")
    mounted = await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk can be had as root only")
    try:
        ingest = await ground.ingest(folder, STAGEPOST_PUBLISH__ACK_DEADLINE="1s")
        shop = Shop(ground, http)
        with ground.away():
            while not shop.refusals:
                await shop.send(ingest, 30_000)
            assert len(shop.acknowledged) > 3
            assert shop.refusals[0].json()["code"] == "spool_full"
            for _ in range(5):
                await shop.send(ingest, 30_000)
            assert {answer.status_code for answer in shop.refusals} == {503}
            await ingest.end(signal.SIGKILL)
            await ingest.start()
        await eventually(lambda: ingest.is_drained(http), within=40)
        assert (await shop.send(ingest)).status_code == 200
        assert await shop.nothing_is_lost()
        await ingest.end(signal.SIGTERM)
        assert not list(folder.glob("*/spool*"))
    finally:
        for one in ground.ingests:
            if one.folder == folder:
                await one.end(signal.SIGKILL)
        await asyncio.to_thread(subprocess.run, ["umount", str(folder)], check=True)


async def test_kill_9_while_spooling_loses_nothing_and_the_next_one_takes_traffic_without_kafka(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    ingest = await ground.ingest(tmp_path / "state", STAGEPOST_PUBLISH__ACK_DEADLINE="1s")
    shops = [Shop(ground, http) for _ in range(4)]
    with ground.away():
        for _ in range(3):
            done = asyncio.Event()
            sending = [asyncio.create_task(shop.run(ingest, done)) for shop in shops]
            await asyncio.sleep(2)
            await ingest.end(signal.SIGKILL)
            outcomes = await asyncio.gather(*sending, return_exceptions=True)
            assert all(isinstance(outcome, httpx.TransportError) for outcome in outcomes)
            own, settled = ingest.id, (await ground_reports(ground))[ingest.id]
            await ingest.start()
            assert ingest.id == own
    assert settled is not None
    assert sum(len(shop.acknowledged) for shop in shops) > 50
    await eventually(lambda: ingest.is_drained(http), within=40)
    for shop in shops:
        assert shop.refusals == []
        assert await shop.nothing_is_lost()


async def ground_reports(ground: Ground) -> dict[str, Any]:
    """Past the weather: our own way to Kafka is the proxy's, too."""
    weather, ground.kafka.weather = ground.kafka.weather, CLEAR
    try:
        return await ground.reports()
    finally:
        ground.kafka.weather = weather
        ground.kafka.cut()


async def test_what_is_left_by_processes_that_do_not_come_back_is_drained_by_one_that_does(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    settings = {"STAGEPOST_PUBLISH__ACK_DEADLINE": "1s"}
    ingests = [await ground.ingest(folder, **settings) for _ in range(3)]
    assert len({ingest.id for ingest in ingests}) == 3
    shop = Shop(ground, http)
    with ground.away():
        for ingest in ingests:
            assert (await shop.send(ingest)).status_code == 200
        await asyncio.gather(*(ingest.end(signal.SIGKILL) for ingest in ingests))
    last = await ground.ingest(folder, **settings)
    await eventually(shop.nothing_is_lost, within=40)

    async def all_have_left_but_the_last() -> bool:
        found = await ground.reports()
        return {ingest.id for ingest in ingests if found[ingest.id] is not None} == {last.id}

    await eventually(all_have_left_but_the_last)
    assert [path.parent.name for path in folder.glob("*/spool.sqlite")] == [last.id]


async def test_a_stop_without_kafka_says_what_it_leaves_and_a_command_drains_it(
    ground: Ground, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    ingest = await ground.ingest(folder, STAGEPOST_PUBLISH__ACK_DEADLINE="1s", STAGEPOST_SPOOL__LEAVING="1s")
    shop = Shop(ground, http)
    with ground.away():
        for _ in range(3):
            assert (await shop.send(ingest)).status_code == 200
        held = await command(ground, "list", folder)
        await ingest.end(signal.SIGTERM)
        assert '"records":3' in ingest.said
        assert str(folder) in ingest.said
    assert "3 records" in held[1]
    assert "held by a running ingest" in held[1]
    assert "3 records" in (listed := await command(ground, "list", folder))[1]
    assert "free" in listed[1]
    assert (await ground.reports())[ingest.id] is not None
    drained = await command(ground, "drain", folder)
    assert (drained[0], "3 records are on Kafka" in drained[1]) == (0, True), drained
    assert await ground.events(shop.user) == shop.acknowledged
    assert (await ground.reports())[ingest.id] is None
    assert await command(ground, "list", folder) == (0, "no spool is here: nothing is owed\n")


async def command(ground: Ground, what: str, folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "spool", what, str(folder)),
        env=ground.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()
