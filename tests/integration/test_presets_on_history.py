"""Every published lifecycle on real shops' imported histories: who stands where equals a count made by hand."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import pytest
import walking
from cdnow import FOLDER as CDNOW
from cdnow import NEEDS_CDNOW
from online_retail import FILE as ONLINE_RETAIL
from online_retail import NEEDS_ONLINE_RETAIL

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

pytestmark = [pytest.mark.long, NEEDS_CDNOW, NEEDS_ONLINE_RETAIL]

OTTO = CDNOW.parent / "otto" / "train_20_sessions.jsonl"
SHOP = """\
{name}:
  name: {name}
  url: https://{name}.example
  currency: {currency}
  timezone: {zone}
  sender: {{name: {name}, email: hello@{name}.example}}
"""


class History(NamedTuple):
    """A file, how it is walked by hand, and the dates at which both are asked."""

    file: Path
    currency: str
    zone: str
    events: int
    walked: Callable[[], walking.Histories]
    asked: tuple[datetime, ...]


def _dates(*said: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(one).replace(tzinfo=UTC) for one in said)


HISTORIES = {
    "cdnow": History(
        CDNOW / "CDNOW_sample.txt",
        "USD",
        "America/New_York",
        6_919,
        walking.cdnow,
        _dates("1997-02-15", "1997-09-30", "1998-06-30", "2026-01-01"),
    ),
    "online-retail": History(
        ONLINE_RETAIL,
        "GBP",
        "Europe/London",
        22_190,
        walking.online_retail,
        _dates("2011-01-15", "2011-08-01", "2011-12-10", "2026-01-01"),
    ),
    "otto": History(
        OTTO,
        "EUR",
        "Europe/Berlin",
        857,
        walking.otto,
        _dates("2022-08-01", "2022-08-15", "2022-08-29", "2022-12-15", "2026-01-01"),
    ),
}

STANDS = """
    SELECT DISTINCT ON (customer.id) identity.value, transition.body ->> 'to_stage' AS stage
      FROM engine.transitions AS transition
      JOIN engine.customers AS customer ON customer.id = transition.customer_id
      JOIN engine.identities AS identity ON identity.id = customer.root
     WHERE customer.storefront = $1 AND NOT transition.retracted AND transition.at <= $2
       AND transition.body ->> 'track' = 'lifecycle'
     ORDER BY customer.id, transition.number DESC"""


class Past(NamedTuple):
    """A stack that has all three histories, and the shop directory that it began with."""

    stack: Stack
    sql: asyncpg.Connection
    shop: Path

    def command(self, *arguments: str | Path) -> str:
        environment = {
            **os.environ,
            "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": self.stack.endpoints["kafka"],
            "STAGEPOST_POSTGRES__DSN": self.stack.endpoints["postgres"],
            "STAGEPOST_SHOP": str(self.shop),
        }
        command = [sys.executable, "-m", "services", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
async def past(
    start_stack: Callable[..., Stack], tmp_path_factory: pytest.TempPathFactory, eventually: Eventually
) -> AsyncIterator[Past]:
    shop = tmp_path_factory.mktemp("shops") / "shop"
    shop.mkdir()
    said = [SHOP.format(name=name, currency=of.currency, zone=of.zone) for name, of in HISTORIES.items()]
    (shop / "storefronts.yaml").write_text("\n".join(said), encoding="utf-8")
    (shop / "lifecycle.yaml").write_text("extends: seven-stage\n", encoding="utf-8")
    (shop / "followups.yaml").write_text("{}\n", encoding="utf-8")
    stack = start_stack("--shop", str(shop), "--only", "postgres,kafka,ingest,stage_engine", "--free-ports")
    stack.wait()
    sql = await asyncpg.connect(stack.endpoints["postgres"])
    found = Past(stack, sql, shop)
    try:
        begun = time.monotonic()
        for name, of in HISTORIES.items():
            imported = ("import", of.file, "--mapping", name, "--storefront", name, "--state", shop.parent / "state")
            sys.stdout.write(await asyncio.to_thread(found.command, *imported))
        sent = time.monotonic() - begun

        async def folded() -> bool:
            count = "SELECT storefront, count(*) FROM engine.events GROUP BY storefront"
            stored = dict(await sql.fetch(count)) == {name: of.events for name, of in HISTORIES.items()}
            waiting = "SELECT count(*) FROM engine.customers WHERE waits_at IS NOT NULL OR refold_at IS NOT NULL"
            return stored and not await sql.fetchval(waiting)

        await eventually(folded, within=1_200)
        sys.stdout.write(f"imported in {sent:.0f} s, folded after {time.monotonic() - begun:.0f} s\n")
        yield found
    finally:
        await sql.close()
        stack.stop()


@pytest.mark.parametrize("preset", walking.LIFECYCLES)
async def test_who_stands_where_equals_a_count_by_hand(past: Past, preset: str, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    for file in past.shop.iterdir():
        (shop / file.name).write_bytes(file.read_bytes())
    (shop / "lifecycle.yaml").write_text(f"extends: {preset}\n", encoding="utf-8")
    begun = time.monotonic()
    await asyncio.to_thread(past.command, "apply", shop)
    sys.stdout.write(f"{preset}: all customers brought to it in {time.monotonic() - begun:.0f} s\n")
    for name, of in HISTORIES.items():
        histories = of.walked()
        for at in of.asked:
            found = {row["value"]: row["stage"] for row in await past.sql.fetch(STANDS, name, at)}
            assert found == walking.stages(preset, histories, at), (name, at)
            sys.stdout.write(f"  {name} {at:%Y-%m-%d}: {dict(sorted(Counter(found.values()).items()))}\n")
