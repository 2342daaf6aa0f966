"""plan, apply and rollback on a whole stack, under traffic, with kill -9 midway: the fresh fold's states, no mail."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest
from cdnow import NEEDS_CDNOW, read_purchases
from sqlalchemy.ext.asyncio import AsyncEngine
from visiting import FERN

from services.postgres import create_engine, reading
from services.settings import PostgresSettings
from stage_engine import event_store, store
from stage_engine.fold import fold
from stage_engine.in_force import InForce

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
SHOP = Path(__file__).with_name("shop")
WIN_BACK = """
win-back:
  when: {track: lifecycle, entered: at_risk}
  until: {left: at_risk}
  purpose: marketing
  template: abandoned-cart
  max_age: 365d

cart-tomorrow:
  when: {track: cart, entered: abandoned}
  until: {left: abandoned}
  purpose: marketing
  template: abandoned-cart
  wait: 12h
  max_age: 24h
"""
BUYERS = 60


def laid(directory: Path, *, at_risk: str, carts: str) -> Path:
    """The tests' shop with these rules; a win-back that would go out at once to whoever newly is at risk."""
    shutil.copytree(SHOP, directory, dirs_exist_ok=True)
    risk = f"{{after: {at_risk}, since: facts.last_order_at, from: [purchase, post_purchase, retention, advocacy]}}"
    cart = f"{{after: 2s, idle: true, from: active, when: size(cart.items) > {carts}}}"
    (directory / "lifecycle.yaml").write_text(
        "extends: seven-stage\ntracks:\n"
        f"  lifecycle: {{stages: {{at_risk: {{enter: [{risk}]}}}}}}\n"
        f"  cart: {{stages: {{abandoned: {{enter: [{cart}]}}}}}}\n"
    )
    with (directory / "followups.yaml").open("a") as file:
        file.write(WIN_BACK)
    return directory


@pytest.fixture(scope="module")
def in_force(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid(tmp_path_factory.mktemp("in-force") / "shop", at_risk="90d", carts="0")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid(tmp_path_factory.mktemp("changed") / "shop", at_risk="60d", carts="9")


@pytest.fixture(scope="module")
def revised(start_stack: Callable[..., Any], in_force: Path) -> Iterator[Stack]:
    """A stack of our own: what is in force is changed, and parts are killed."""
    stack = start_stack("--shop", str(in_force), "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@dataclass
class Ground:
    stack: Stack
    http: httpx.AsyncClient
    sql: asyncpg.Connection
    engine: AsyncEngine
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "STAGEPOST_POSTGRES__DSN": self.stack.endpoints["postgres"]}

    def stagepost(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services", *arguments]
        told = {**self.environment, **environment}
        return subprocess.run(command, env=told, capture_output=True, text=True, check=False)

    async def stagepost_beside(self, *arguments: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "services", *arguments]
        return await asyncio.create_subprocess_exec(*command, env=self.environment)

    async def post(self, *events: dict[str, Any]) -> None:
        while True:
            with suppress(httpx.TransportError):
                answer = await self.http.post(
                    f"{self.stack.endpoints['ingest']}/v1/events",
                    content=json.dumps([{"id": uuid.uuid4().hex, **event} for event in events]),
                    headers={"X-Write-Key": self.stack.endpoints["write_key"]},
                )
                if answer.status_code == 200:
                    assert answer.json()["rejected"] == []
                    return
            await asyncio.sleep(0.1)

    def who(self, name: object) -> dict[str, str]:
        user = f"{self.run}-{name}"
        return {"user_id": user, "email": f"{user}@example.com"}

    async def mails(self) -> Counter[str]:
        answer = await self.http.get(f"{self.stack.endpoints['mailbox']}/api/v1/messages", params={"limit": 1000})
        return Counter(f"{m['Subject']} to {m['To'][0]['Address']}" for m in answer.json()["messages"])

    async def messages(self, follow_up: str) -> Counter[str]:
        rows = await self.sql.fetch(
            "SELECT status, count(*) AS number FROM notifier.messages WHERE follow_up = $1 GROUP BY 1", follow_up
        )
        return Counter({row["status"]: row["number"] for row in rows})

    async def stages(self) -> dict[str, str]:
        """By user id, where each stands on the lifecycle."""
        rows = await self.sql.fetch(
            "SELECT i.value, s.stage FROM engine.instances s JOIN engine.identities i USING (customer_id)"
            " WHERE s.track = 'lifecycle' AND i.kind = 1 AND i.value LIKE $1 || '-%'",
            self.run,
        )
        return {row["value"]: row["stage"] for row in rows}

    async def revision(self) -> int:
        found: int = await self.sql.fetchval("SELECT number FROM shop.active")
        return found

    async def behind(self) -> int:
        found: int = await self.sql.fetchval(
            "SELECT count(*) FROM engine.customers WHERE revision <> (SELECT (folded_as ->> 'test-shop')::bigint"
            "  FROM shop.revisions JOIN shop.active USING (number))"
        )
        return found

    async def is_quiet(self) -> bool:
        """Everything is folded, published and taken in by the notifier."""
        return not await self.sql.fetchval(
            "SELECT count(*) FROM engine.customers c LEFT JOIN notifier.customers n USING (id) WHERE c.sequence > 0 AND"
            " (n.sequence IS DISTINCT FROM c.sequence OR c.waits_at IS NOT NULL OR c.hold IS NOT NULL"
            "  OR c.next_wake <= (SELECT at FROM engine.watermark))"
        )

    async def is_as_fresh(self) -> bool:
        """Every customer's state, wake and surviving moves are those of one fold of all their events."""
        rules = await InForce(self.engine, tells=False).look()
        async with reading(self.engine) as connection:
            until = await store.read_watermark(connection)
            rows = await self.sql.fetch("SELECT id FROM engine.customers WHERE sequence > 0")
            ids = [row["id"] for row in rows]
            customers = await store.customers(connection, ids)
            histories = await event_store.histories(connection, dict.fromkeys(ids))
            standing = await store.standing_transitions(connection, dict.fromkeys(ids, 0))
        assert until is not None
        for id_, customer in customers.items():
            shop = rules.storefronts[customer.storefront]
            fresh = fold(histories.get(id_, ()), rules.model, until, storefront=shop)
            if (customer.state, customer.next_wake) != (fresh.state, fresh.next_wake):
                return False
            if list(standing.get(id_, {})) != [move.transition.id for move in fresh.moves]:
                return False
        return True

    async def ready(self, service: str) -> tuple[int, list[str]]:
        with suppress(httpx.TransportError):
            answer = await self.http.get(f"{self.stack.endpoints[service]}/readyz")
            return answer.status_code, answer.json()["waiting_for"]
        return 0, []


@pytest.fixture
async def ground(revised: Stack) -> AsyncIterator[Ground]:
    async with ground_of(revised) as ground:
        yield ground


@asynccontextmanager
async def ground_of(stack: Stack) -> AsyncIterator[Ground]:
    sql = await asyncpg.connect(stack.endpoints["postgres"])
    engine = create_engine(PostgresSettings(dsn=stack.endpoints["postgres"]), application="test")
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield Ground(stack, http, sql, engine)
    await engine.dispose()
    await sql.close()


@asynccontextmanager
async def traffic(ground: Ground) -> AsyncIterator[list[str]]:
    """Visitors come and look all the while; new ones, and the buyers."""
    seen: list[str] = []

    async def come() -> None:
        for number in range(100_000):
            who = ground.who(number % BUYERS) if number % 2 else ground.who(f"new-{number}")
            await ground.post({"name": "Product Viewed", **who, "properties": {"product_id": "fern"}})
            seen.append(who["user_id"])
            await asyncio.sleep(0.02)

    coming = asyncio.create_task(come())
    try:
        yield seen
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming


def stage(days: list[int], at_risk: int) -> str:
    """Of a buyer with orders so many days ago, in plain Python."""
    silent = min(days)
    if silent >= at_risk:
        return "at_risk" if silent < at_risk + 90 else "churned"
    return "purchase" if len(days) == 1 else "retention"


async def orders_of_sixty(ground: Ground) -> dict[str, list[int]]:
    """Posted just now: who is at risk by that is news, and is mailed once."""
    now = datetime.now(UTC)
    days = {f"{ground.run}-{n}": [2 + 4 * n] for n in range(BUYERS)}
    orders = [
        {
            "name": "Order Completed",
            **ground.who(n),
            "occurred_at": (now - timedelta(days=2 + 4 * n, hours=1)).isoformat(),
            "properties": {"order_id": f"{ground.run}-{n}", "total": 10},
        }
        for n in range(BUYERS)
    ]
    await ground.post(*orders)
    return days


async def orders_of_cdnow(ground: Ground, folder: Path, shop: Path) -> dict[str, list[int]]:
    """CDNOW's sample, told by `stagepost import` as if its last day had been yesterday."""
    purchases = read_purchases()
    yesterday, last = datetime.now(UTC).date() - timedelta(days=1), max(p.day for p in purchases)
    days: dict[str, list[int]] = defaultdict(list)
    with (folder / f"{ground.run}.csv").open("w") as file:
        file.write("user,email,day,paid\n")
        for purchase in purchases:
            at = purchase.day + (yesterday - last)
            who = ground.who(purchase.customer)
            file.write(f"{who['user_id']},{who['email']},{at:%Y%m%d},{purchase.paid}\n")
            days[who["user_id"]].append((yesterday - at).days + 1)
    mapping = folder / "mapping.yaml"
    mapping.write_text(
        'format: csv\ntypes: {paid: decimal}\ntime: {at: row.day, format: "%Y%m%d"}\n'
        "who: {user_id: row.user, email: row.email}\n"
        "events: [{name: Order Completed, properties: {total: row.paid}}]\n"
    )
    told = ground.stagepost(
        *("import", str(folder / f"{ground.run}.csv"), "--mapping", str(mapping), "--storefront", "test-shop"),
        *("--state", str(folder / "state")),
        STAGEPOST_SHOP=str(shop),
        STAGEPOST_KAFKA__BOOTSTRAP_SERVERS=ground.stack.endpoints["kafka"],
    )
    assert told.returncode == 0, told.stderr
    return days


async def test_a_changed_model_is_planned_applied_under_traffic_and_taken_back(
    ground: Ground, changed: Path, eventually: Eventually
) -> None:
    days = await orders_of_sixty(ground)
    await eventually(lambda: _stand(ground, days, 90), within=60)
    at_risk = sum(stage(theirs, 90) == "at_risk" for theirs in days.values())
    await eventually(lambda: _sent(ground, "win-back", at_risk), within=60)
    await there_and_back(ground, changed, eventually, days)


@pytest.mark.long
@NEEDS_CDNOW
async def test_the_same_with_the_customers_of_cdnow(
    start_stack: Callable[..., Any], changed: Path, in_force: Path, tmp_path: Path, eventually: Eventually
) -> None:
    stack = start_stack("--shop", str(in_force), "--restart", "--free-ports")
    stack.wait()
    async with ground_of(stack) as ground:
        days = await orders_of_cdnow(ground, tmp_path, in_force)
        await eventually(lambda: _stand(ground, days, 90), within=300)
        await there_and_back(ground, changed, eventually, days)
    stack.stop()


async def there_and_back(ground: Ground, changed: Path, eventually: Eventually, days: Mapping[str, list[int]]) -> None:
    for n in range(5):
        cart = {"cart_id": f"{ground.run}-c{n}", **FERN}
        await ground.post({"name": "Product Added", **ground.who(f"cart-{n}"), "properties": cart})
    mailed = (await ground.messages("abandoned-cart"))["sent"] + 5
    await eventually(lambda: _sent(ground, "abandoned-cart", mailed), within=60)
    await eventually(ground.is_quiet, within=60)
    waiting = (await ground.messages("cart-tomorrow"))["pending"]
    assert waiting >= 5
    mails, number = await ground.mails(), await ground.revision()

    buyers = {user: (stage(theirs, 90), stage(theirs, 60)) for user, theirs in days.items()}
    moves = Counter(("lifecycle", *move) for move in buyers.values() if move[0] != move[1])
    said = ground.stagepost("plan", str(changed), "--json")
    assert said.returncode == 0, said.stderr
    planned = Counter({(m["track"], m["from"], m["to"]): m["instances"] for m in json.loads(said.stdout)["moves"]})
    carts = {move: count for move, count in planned.items() if move[0] == "cart"}
    assert carts == {("cart", "abandoned", "active"): waiting}
    assert planned == moves + Counter(carts)
    assert ground.stagepost("plan", str(changed), "--max-moved", "1").returncode == 3

    async with traffic(ground) as seen:
        await killed_midway(ground, changed, eventually, sorted(days)[:BUYERS:2])
        again = ground.stagepost("apply", str(changed))
        assert again.returncode == 0, again.stderr
        assert "is in force already" in again.stdout
        assert await ground.behind() == 0
        count = len(seen)
        await eventually(lambda: _reached(seen, count + 20))
    await eventually(ground.is_quiet, within=60)
    assert await ground.is_as_fresh()
    assert await _stand(ground, days, 60)
    assert (await ground.messages("cart-tomorrow"))["pending"] == 0
    assert await ground.mails() == mails, "no mail went out"

    back = ground.stagepost("rollback")
    assert f"revision {number} is in force, before it" in back.stdout, back.stderr
    await eventually(ground.is_quiet, within=60)
    assert await ground.is_as_fresh()
    assert await _stand(ground, days, 90)
    assert await ground.mails() == mails, "no mail went out on the way back"
    assert json.loads(ground.stagepost("revisions", "--json").stdout)["customers_behind"] == 0


async def _stand(ground: Ground, days: Mapping[str, list[int]], at_risk: int) -> bool:
    """Whether all stand where they must, and nothing of them is on its way."""
    stages = await ground.stages()
    return all(stages.get(user) == stage(theirs, at_risk) for user, theirs in days.items())


async def _reached(seen: list[str], count: int) -> bool:
    return len(seen) >= count


async def killed_midway(ground: Ground, changed: Path, eventually: Eventually, users: list[str]) -> None:
    """An `apply` and the engine. Some customers are locked by somebody else, so that it is midway."""
    holder = await asyncpg.connect(ground.stack.endpoints["postgres"])
    holding = holder.transaction()
    await holding.start()
    held = await holder.fetch(
        "SELECT c.id FROM engine.customers c JOIN engine.identities i ON i.customer_id = c.id"
        " WHERE i.value = ANY($1) ORDER BY c.id FOR UPDATE OF c",
        users,
    )
    applying = await ground.stagepost_beside("apply", str(changed), "--expect", str(await ground.revision()))

    async def midway() -> bool:
        return await ground.behind() == len(held)

    await eventually(midway, within=60)
    applying.send_signal(signal.SIGKILL)
    assert await applying.wait() == -signal.SIGKILL
    ground.stack.kill("stage_engine")
    await holding.rollback()
    await holder.close()


async def _sent(ground: Ground, follow_up: str, number: int) -> bool:
    return (await ground.messages(follow_up))["sent"] == number


async def test_services_that_can_not_read_what_is_in_force_say_so_and_go_on_when_they_can(
    ground: Ground, eventually: Eventually
) -> None:
    services = ("stage_engine", "notifier", "console")
    broken = json.dumps({"storefronts.yaml": "a: 1", "lifecycle.yaml": "tracks: {}", "followups.yaml": "x: y"})
    await ground.sql.execute(
        "INSERT INTO shop.revisions SELECT 99, now(), 'broken', number, $1::jsonb, 'x', fold_version, folding,"
        " folded_as FROM shop.revisions WHERE number = 1",
        broken,
    )
    await ground.sql.execute("UPDATE shop.active SET number = 99, since = now()")

    async def stopped() -> bool:
        found = [await ground.ready(service) for service in services]
        return all(status == 503 and "revision" in waiting for status, waiting in found)

    await eventually(stopped, within=60)
    metrics = await ground.http.get(f"{ground.stack.endpoints['stage_engine']}/metrics")
    assert "stagepost_revision_unreadable 1.0" in metrics.text
    await ground.post({"name": "Product Viewed", **ground.who("waiting"), "properties": {}})
    await asyncio.sleep(1)
    assert f"{ground.run}-waiting" not in await ground.stages()

    assert ground.stagepost("rollback", "1").returncode == 0

    async def taken_in() -> bool:
        all_ready = all([(await ground.ready(service))[0] == 200 for service in services])
        return all_ready and f"{ground.run}-waiting" in await ground.stages()

    await eventually(taken_in, within=60)


async def test_a_stack_says_when_its_directory_is_not_what_is_in_force(
    ground: Ground, changed: Path, start_stack: Callable[..., Any]
) -> None:
    ground.stack.stop()
    again = start_stack("--shop", str(changed), "--restart", "--free-ports", home=ground.stack.home)
    again.wait()
    assert "revision 1 of the shop is in force" in again.said
    assert "stagepost plan" in again.said
    ground.stack.process, ground.stack.endpoints = again.process, again.endpoints
