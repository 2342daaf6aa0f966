"""Kafka away, slow or silent: what ingest answers with 200 is durable, and on the topic once Kafka is back."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import which
from typing import Any
from uuid import uuid4

import httpx
import pytest
from faults_proxy import CLEAR, Weather
from ingests import Ground, Shop, open_shops

Eventually = Callable[..., Awaitable[None]]

AWAY = 8
"""Seconds: longer than ingest waits for an acknowledgement, so that calls meet its end too."""


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


async def test_a_start_without_kafka_knows_the_keys_of_the_last_run(
    ground: Ground, http: httpx.AsyncClient, eventually: Eventually, tmp_path: Path
) -> None:
    """A key that nobody gave it, but that was made on the topic."""
    made = [await keys_command(ground, "create", ground.stack.endpoints["storefront"], "--kind=server") for _ in "ab"]
    key, other = (out.strip() for code, out in made if code == 0)
    no_keys = tmp_path / "none.json"
    no_keys.write_text("[]")
    settings = {"STAGEPOST_PUBLISH__ACK_DEADLINE": "1s", "STAGEPOST_WRITE_KEYS_FILE": str(no_keys)}
    ingest = await ground.ingest(tmp_path / "state", **settings)
    event = {"id": "e1", "name": "Probe", "user_id": uuid4().hex}

    async def answer(key: str) -> int:
        return (await http.post(f"{ingest.url}/v1/events", json=event, headers={"X-Write-Key": key})).status_code

    async def is_revoked() -> bool:
        return await answer(other) == 401

    assert (await answer(key), await answer(other), await answer("spwk_unknown")) == (200, 200, 401)
    assert (await keys_command(ground, "revoke", other[:13]))[0] == 0
    await eventually(is_revoked)
    await ingest.end(signal.SIGKILL)
    with ground.away():
        await ingest.start()
        assert await answer(key) == 200
        assert await answer(other) == await answer("spwk_unknown") == 503, "Kafka may know them: they must come again"
    await eventually(lambda: ingest.is_drained(http), within=40)
    await eventually(is_revoked)


async def keys_command(ground: Ground, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "keys", *arguments),
        env=ground.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


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
