"""Write keys made and revoked while ingest runs, by the commands that an operator has."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from visiting import Visit

from services.contracts.keys import SHOWN

Eventually = Callable[..., Awaitable[None]]
PAGE = "https://fern-and-fable.example"


def keys(stack: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": stack["kafka"]}
    command = [sys.executable, "-m", "services", "keys", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def made(stack: dict[str, str], *arguments: str) -> str:
    done = keys(stack, "create", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def answer(visit: Visit, key: str, **headers: str) -> httpx.Response:
    event = {"id": f"e-{visit.run}", "name": "Probe", "user_id": visit.user}
    url = f"{visit.stack['ingest']}/v1/events"
    return await visit.http.post(url, json=event, headers={"X-Write-Key": key, **headers})


def works(visit: Visit, key: str, status: int = 200) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return (await answer(visit, key)).status_code == status

    return asked


async def test_a_key_works_within_seconds_of_being_made_and_no_more_within_seconds_of_being_revoked(
    visit: Visit, eventually: Eventually
) -> None:
    storefront = visit.stack["storefront"]
    first, second = (made(visit.stack, storefront, "--kind", "server") for _ in range(2))
    await eventually(works(visit, first), within=10)
    await eventually(works(visit, second), within=10)
    done = keys(visit.stack, "revoke", first[:SHOWN])
    assert (done.returncode, first[:SHOWN] in done.stdout) == (0, True), done.stderr
    await eventually(works(visit, first, 401), within=10)
    assert (await answer(visit, second)).status_code == 200
    assert (await answer(visit, visit.stack["write_key"])).status_code == 200, "one that ingest was given stays"
    refusals = [(await answer(visit, key)).content for key in (first, "spwk_unknown", "")]
    assert len(set(refusals)) == 1, "revoked, unknown and none are answered alike"
    again = keys(visit.stack, "revoke", first[:SHOWN])
    assert (again.returncode, "is revoked since" in again.stdout) == (0, True)


async def test_a_page_key_is_refused_on_other_pages(visit: Visit, eventually: Eventually) -> None:
    key = made(
        visit.stack, visit.stack["storefront"], "--kind=browser", f"--origin={PAGE}/", "--origin=http://localhost:3000"
    )
    await eventually(works(visit, key), within=10)
    assert (await answer(visit, key, Origin=PAGE)).status_code == 200
    refused = await answer(visit, key, Origin="https://evil.example")
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert refused.headers["access-control-allow-origin"] == "https://evil.example", "the page may read why"


def test_keys_are_listed_by_what_may_be_shown_of_them(stack: dict[str, str]) -> None:
    key = made(stack, stack["storefront"], "--kind", "browser", "--origin", PAGE)
    (line,) = [line for line in keys(stack, "list").stdout.splitlines() if line.startswith(key[:SHOWN])]
    assert key not in line
    assert line.split()[1:3] == [stack["storefront"], "browser"]
    assert line.endswith(PAGE)
    keys(stack, "revoke", key)
    (line,) = [line for line in keys(stack, "list").stdout.splitlines() if line.startswith(key[:SHOWN])]
    assert "revoked" in line


def test_the_key_alone_is_on_the_output_and_what_is_to_be_known_beside_it(stack: dict[str, str]) -> None:
    done = keys(stack, "create", "tset-shop", "--kind", "server")
    assert done.stdout.strip().isalnum() or done.stdout.strip().replace("_", "").isalnum()
    assert "It is shown this once" in done.stderr
    made(stack, stack["storefront"], "--kind", "server")
    other = keys(stack, "create", "tesst-shop", "--kind", "server")
    assert f"Did you mean {stack['storefront']}?" in other.stderr


def test_what_can_t_be_done_is_said_with_what_can(stack: dict[str, str]) -> None:
    key = made(stack, stack["storefront"], "--kind", "server")
    wrong = key[: SHOWN - 1] + ("x" if key[SHOWN - 1] != "x" else "y")
    for arguments, code, said in (
        (("revoke", wrong), 2, f"did you mean {key[:SHOWN]}?"),
        (("create", "Main Shop", "--kind", "server"), 2, "can't name a storefront"),
        (("create", "main-shop", "--kind", "server", "--origin", PAGE), 2, "--origin is for browser keys"),
        (("create", "main-shop", "--kind", "browser", "--origin", "shop.example/cart"), 2, "is no origin"),
    ):
        done = keys(stack, *arguments)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert done.stdout == ""
    nowhere = keys({**stack, "kafka": "127.0.0.1:1"}, "list")
    assert (nowhere.returncode, "Kafka at 127.0.0.1:1 can't be used" in nowhere.stderr) == (1, True)


def test_a_kafka_without_the_topic_is_said_to_lack_it_and_gets_none_made_up(start_stack: Callable[..., Any]) -> None:
    unprepared = start_stack("--only", "kafka", "--free-ports")
    unprepared.wait()
    for arguments in (("create", "main-shop", "--kind", "server"), ("list",), ("revoke", "spwk_ywLtXnqh")):
        done = keys(unprepared.endpoints, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "Kafka lacks " in done.stderr
        assert "storefront.keys" in done.stderr
        assert done.stderr.rstrip().endswith("run: stagepost migrate")
    unprepared.stop()
