"""What is where: the answer of `stagepost endpoints`, for people and for programs."""

import asyncio
import time
from shlex import quote
from typing import Final

import httpx

from services.devstack.home import Home, read_json
from services.devstack.running import read_run
from services.errors import StagepostError

HTTP: Final = ("ingest", "stage_engine", "notifier", "console", "mailbox")
ORDER: Final = (
    *HTTP,
    "smtp",
    "kafka",
    "postgres",
    "storefront",
    "write_key",
    "browser_key",
    "webhook_secret",
    "operator_key",
)
"""All that a whole stack has; a part of one leaves out what it doesn't run. `smtp` and `kafka` are host:port."""


class NoStack(StagepostError):
    """Nothing runs in this home, or not yet."""


def read_endpoints(home: Home) -> dict[str, str]:
    """Raises NoStack."""
    found = read_json(home.endpoints_file) if home.is_locked else {}
    if not found:
        raise NoStack(f"no stack runs in {home.path}; `stagepost up` starts one")
    return found


async def wait_for_endpoints(home: Home, seconds: float) -> dict[str, str]:
    """Returns when every part is ready; raises NoStack when that isn't so in time, or when the stack has gone."""
    deadline = time.monotonic() + seconds
    seen = False
    while True:
        locked = home.is_locked
        if seen and not locked:
            raise NoStack(f"the stack in {home.path} has stopped; its logs are in {home.logs}")
        seen = seen or locked
        if locked and not (waiting_for := await _waiting_for(home)):
            return read_endpoints(home)
        if time.monotonic() > deadline:
            rest = f"still waits for {', '.join(waiting_for)}" if locked else "does not run"
            raise NoStack(f"the stack in {home.path} {rest} after {seconds:g} s")
        await asyncio.sleep(0.2)


async def _waiting_for(home: Home) -> list[str]:
    run, endpoints = read_run(home), read_json(home.endpoints_file)
    if run is None or not run.ready:
        return ["its start"]
    named = [name for name in HTTP if name in endpoints]
    ready = await asyncio.gather(*(is_ready(endpoints[name]) for name in named))
    return [name for name, is_so in zip(named, ready, strict=True) if not is_so]


async def is_ready(url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            return (await client.get(f"{url}/readyz")).is_success
    except httpx.TransportError:
        return False


def table(found: dict[str, str]) -> str:
    """Without secrets: this lands on screens and in logs. `--json` has them."""
    return "\n".join(
        f"  {name:<14}{where.rpartition('@')[2]}"
        for name, where in found.items()
        if not name.endswith(("_key", "_secret"))
    )


def shell(found: dict[str, str]) -> str:
    """Assignments for `eval`: every place under its name, and what `stagepost`'s own commands read, exported."""
    read = {"STAGEPOST_POSTGRES__DSN": found.get("postgres"), "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": found.get("kafka")}
    if "smtp" in found:
        host, _, port = found["smtp"].rpartition(":")
        # As on the way of the stack's own notifier: over loopback, without TLS.
        read |= {"STAGEPOST_SMTP__HOST": host, "STAGEPOST_SMTP__PORT": port, "STAGEPOST_SMTP__SECURITY": "none"}
    return "\n".join(
        [f"{name}={quote(where)}" for name, where in found.items()]
        + [f"export {name}={quote(where)}" for name, where in read.items() if where is not None]
    )
