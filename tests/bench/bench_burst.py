"""What one storefront's burst costs another: the other's answers beside it, as a multiple of its answers without it.

    python tests/bench/bench_burst.py [SECONDS]

Needs a stack of one's own (`stagepost up --shop tests/integration/real_shops`), whose ingest it floods: from one
storefront with as many calls as eight connections can carry, so that its rate (STAGEPOST_RATES__…) is passed soon.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import httpx

HOME = Path(os.environ.get("STAGEPOST_HOME", ".stagepost"))
ENDPOINTS = HOME / "endpoints.json"
KEYS = HOME / "keys" / "plain-write-keys.json"
CONNECTIONS = 8
EVENTS = 100
"""Of one of the noisy storefront's calls."""


async def answers(http: httpx.AsyncClient, url: str, key: str, events: int, until: float) -> list[tuple[int, float]]:
    """Status and seconds of each call, one after the other."""
    found, number = [], 0
    while time.perf_counter() < until:
        number += 1
        body = [{"id": f"{key[-6:]}-{until}-{number}-{n}", "name": "Probe", "user_id": "u1"} for n in range(events)]
        began = time.perf_counter()
        answer = await http.post(f"{url}/v1/events", json=body, headers={"X-Write-Key": key})
        found.append((answer.status_code, time.perf_counter() - began))
    return found


async def noise(url: str, key: str, until: float) -> Counter[int]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        calls = await asyncio.gather(*(answers(http, url, key, EVENTS, until) for _ in range(CONNECTIONS)))
    return Counter(status for one in calls for status, _ in one)


def noise_of_its_own(url: str, key: str, seconds: float) -> Counter[int]:
    """In a process of its own: what is measured is ingest, not a client that has to do both."""
    return asyncio.run(noise(url, key, time.perf_counter() + seconds))


async def main(seconds: float) -> None:
    url = json.loads(ENDPOINTS.read_text(encoding="utf-8"))["ingest"]
    noisy, quiet = (kinds["server"] for kinds in list(json.loads(KEYS.read_text(encoding="utf-8")).values())[:2])
    with ProcessPoolExecutor(1) as another:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            await answers(http, url, quiet, 1, time.perf_counter() + 1)  # warm
            alone = await answers(http, url, quiet, 1, time.perf_counter() + seconds)
            burst = another.submit(noise_of_its_own, url, noisy, seconds + 1)
            await asyncio.sleep(1)  # until it has begun
            together = await answers(http, url, quiet, 1, time.perf_counter() + seconds)
        statuses = burst.result()
    for name, calls in (("alone", alone), ("beside the burst", together)):
        took = sorted(one for _, one in calls)
        print(f"quiet {name}: {len(calls)} calls, {dict(Counter(status for status, _ in calls))}, median", end=" ")
        print(f"{statistics.median(took) * 1000:.1f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.1f} ms")
    print(f"noisy: {statuses.total() * EVENTS} events, {dict(statuses)} calls")
    ratio = statistics.median(one for _, one in together) / statistics.median(one for _, one in alone)
    print(f"the quiet storefront's median is {ratio:.1f} times what it is alone")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
