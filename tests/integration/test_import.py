"""`stagepost import`: a shop's past moves its customers to where they belong and mails nobody."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from cdnow import FOLDER, NEEDS_CDNOW, by_customer, read_purchases
from importing import shaped
from msgspec.structs import replace
from telling import EVERYTHING_IS_KNOWN, SHOPS, Standing, telling
from visiting import FERN, Visit

from services.contracts.identity import Identity
from services.shop import load_shop
from stage_engine.arrivals import Place, arrival
from stage_engine.fold import fold
from stage_engine.history import Entry
from stage_engine.model.load import load_model

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

PAST = """\
format: csv
time: {at: row.at}
who: {user_id: row.user, email: row.email}
events:
  - {name: Product Added, when: row.what == "cart", properties: {product_id: row.key, cart_id: row.key}}
  - {name: Order Completed, when: row.what == "order", properties: {order_id: row.key, total: '"12.50"'}}
"""


def start(kafka: str, shop: Path, state: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": kafka, "STAGEPOST_SHOP": str(shop)}
    command = [sys.executable, "-m", "services", "import", "--state", str(state), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


async def test_what_is_imported_mails_nobody_and_what_comes_live_does(
    visit: Visit, shop: Path, tmp_path: Path, eventually: Eventually
) -> None:
    """All of it lies within the follow-ups' `max_age`: told live, each of these rows would have had a mail."""
    run, now = visit.run, datetime.now(UTC)
    cart, buyer, guest = (f"{who}-{run}" for who in ("cart", "buyer", "guest"))
    rows = [
        (cart, now - timedelta(hours=3), "cart", f"c-{run}"),
        (buyer, now - timedelta(hours=2), "order", f"o1-{run}"),
        (buyer, now - timedelta(hours=1), "order", f"o2-{run}"),
        (guest, now - timedelta(hours=1), "order", f"o3-{run}"),
    ]
    path = tmp_path / f"past-{run}.csv"
    lines = [f"{user},{user}@example.com,{at.isoformat()},{what},{key}" for user, at, what, key in rows]
    path.write_text("\n".join(["user,email,at,what,key", *lines]), encoding="utf-8")
    (tmp_path / "past.yaml").write_text(PAST, encoding="utf-8")
    options = ("--mapping", tmp_path / "past.yaml", "--storefront", visit.stack["storefront"])
    said = finish(start(visit.stack["kafka"], shop, tmp_path / "state", path, *options))
    assert f"{path.name}: 4 rows, 4 events" in said

    async def stages() -> list[tuple[str, ...]]:
        found = [c for user in (cart, buyer, guest) for c in await visit.customers(user_id=user)]
        return [tuple(sorted(row["stage"] for rows_ in c["tracks"].values() for row in rows_)) for c in found]

    async def stand() -> bool:
        return await stages() == [
            ("abandoned", "consideration"),
            ("placed", "placed", "retention"),
            ("placed", "purchase"),
        ]

    await eventually(stand)

    # A device that nobody knew is the guest's: the table of that join tells of the imported order, too.
    device = f"device-{run}"
    await visit.post("Product Viewed", user_id=None, anonymous_id=device, properties={"product_id": "fern"})
    await visit.post("Customer Identified", user_id=guest, anonymous_id=device)

    # And then they go on, live.
    await visit.post("Product Added", user_id=cart, properties={"cart_id": f"new-{run}", **FERN})
    for user in (buyer, guest):
        order = {"order_id": f"live-{user}", "total": 20, "products": [FERN]}
        await visit.post("Order Completed", user_id=user, properties=order)

    async def mailed() -> bool:
        return all([await visit.mails(f"{user}@example.com") for user in (cart, buyer, guest)])

    await eventually(mailed)
    sent = []
    for user in (cart, buyer, guest):
        visit.user = user
        sent.append([(m["follow_up"], m["status"]) for m in await visit.messages()])
    assert sent == [[("abandoned-cart", "sent")], [("thank-you", "sent")], [("thank-you", "sent")]]
    assert [len(await visit.mails(f"{user}@example.com")) for user in (cart, buyer, guest)] == [1, 1, 1]


async def test_a_row_at_fault_stops_it_where_it_can_go_on(
    visit: Visit, shop: Path, tmp_path: Path, eventually: Eventually
) -> None:
    path = tmp_path / f"past-{visit.run}.csv"
    row = f"{visit.user},,2026-01-0%d,order,{visit.run}-%d"
    good, bad = [row % (day, day) for day in (1, 2, 3)], f"{visit.user},,soon,order,x"
    path.write_text("\n".join(["user,email,at,what,key", good[0], bad, *good[1:]]), encoding="utf-8")
    (tmp_path / "past.yaml").write_text(PAST, encoding="utf-8")
    options = (path, "--mapping", tmp_path / "past.yaml", "--storefront", visit.stack["storefront"])
    begun = (visit.stack["kafka"], shop, tmp_path / "state")
    said = finish(start(*begun, *options), 2)
    assert f"{path}:3 `soon` is no time" in said
    assert "What lies before row 2 is imported" in said

    async def orders(count: int) -> bool:
        found = await visit.customers()
        return bool(found) and found[0]["facts"]["orders"] == count

    await eventually(lambda: orders(1))
    said = finish(start(*begun, *options, "--on-error", "skip"))
    assert "going on at row 2" in said
    assert "3 rows, 2 events" in said
    assert "at fault, not imported: 1" in said
    await eventually(lambda: orders(3))
    path.write_text(path.read_text(encoding="utf-8") + f"\n{row % (4, 4)}\n", encoding="utf-8")
    assert "1 rows, 1 events" in finish(start(*begun, *options)), "a file that grew goes on where it ended"
    await eventually(lambda: orders(4))
    said = finish(start(*begun, *options, "--from-start", "--on-error", "skip"))
    assert "5 rows, 4 events" in said
    assert await visit.stage("lifecycle") == "churned"
    path.write_text("another,file\n", encoding="utf-8")
    assert "is not the file that" in finish(start(*begun, *options), 2)


def next_row(point: Path) -> int:
    return int(json.loads(point.read_bytes())["next_row"]) if point.exists() else 1


async def paused_midway(process: subprocess.Popen[str], point: Path) -> None:
    """As soon as it has written a further resume point, and with rows still to come."""
    stood = next_row(point)
    while next_row(point) == stood:
        assert process.poll() is None, finish(process)
        await asyncio.sleep(0)
    process.send_signal(signal.SIGSTOP)
    assert stood < next_row(point) < 6_920


@NEEDS_CDNOW
async def test_cdnow_equals_the_pure_fold_though_importer_and_broker_are_ended_midway(
    real_shops: Stack, tmp_path: Path, eventually: Eventually
) -> None:
    source = FOLDER / "CDNOW_sample.txt"
    options = (source, "--mapping", "cdnow", "--storefront", "cdnow-imported")
    begun = (real_shops.endpoints["kafka"], SHOPS, tmp_path / "state")
    point = tmp_path / "state" / "cdnow-imported--CDNOW_sample.txt.json"

    ended = start(*begun, *options)
    await paused_midway(ended, point)
    ended.send_signal(signal.SIGINT)
    ended.send_signal(signal.SIGCONT)
    assert "ended in CDNOW_sample.txt; the same command goes on where it stood" in finish(ended, 130)

    killed = start(*begun, *options)
    await paused_midway(killed, point)
    killed.kill()
    assert "going on at row" in finish(killed, -signal.SIGKILL)

    waiting = start(*begun, *options)
    await paused_midway(waiting, point)
    broker = real_shops.pid("kafka")
    os.kill(broker, signal.SIGSTOP)
    try:
        waiting.send_signal(signal.SIGCONT)
        assert waiting.stdout is not None
        while "Kafka does not acknowledge" not in (line := await asyncio.to_thread(waiting.stdout.readline)):
            assert line, "it ended"
    finally:
        os.kill(broker, signal.SIGCONT)
    assert "Kafka acknowledges again" in finish(waiting)
    assert json.loads(point.read_bytes())["done"]
    assert "6,919 rows, 6,919 events" in finish(start(*begun, *options, "--from-start"))

    storefront, model = load_shop(SHOPS).storefronts["cdnow-imported"], load_model(SHOPS / "lifecycle.yaml")
    expected = shaped(source, "cdnow", storefront=storefront, name="cdnow-imported")
    async with telling(real_shops, "cdnow-imported") as cdnow:
        await eventually(lambda: cdnow.is_folded(6_919), within=300)
        found = "SELECT event_id, imported_at FROM engine.events WHERE storefront = 'cdnow-imported'"
        marks = dict(await cdnow.sql.fetch(found))
        assert len(set(marks.values())) == 3, "each of the three runs brought something"
        histories: dict[Identity, list[Entry]] = defaultdict(list)
        for event in expected.events:
            entry = arrival(replace(event, imported_at=marks[event.id]), storefront, Place("t", 0, 0)).entry
            histories[entry.belongs_to].append(entry)
        folds = {who: fold(of, model, EVERYTHING_IS_KNOWN, storefront=storefront) for who, of in histories.items()}
        stands = await cdnow.standings()
        assert stands.keys() == folds.keys()
        for who, f in folds.items():
            moves = [move.transition.id for move in f.moves]
            assert stands[who] == Standing(f.state, f.next_wake, list(f.orders), moves), who
        assert all(m.transition.historical for f in folds.values() for m in f.moves)
        purchases = by_customer(read_purchases())
        assert {who.value: s.state.facts.sums.get("revenue", Decimal()) for who, s in stands.items()} == {
            customer: sum((p.paid for p in of), Decimal()) for customer, of in purchases.items()
        }
        replays = await cdnow.sql.fetchval(
            "SELECT count(*) FROM engine.outbox WHERE storefront = 'cdnow-imported' AND type = 'stage.changed'"
            "   AND NOT (convert_from(value, 'UTF8')::jsonb ->> 'replay')::bool"
        )
        assert replays == 0


def test_what_can_not_be_begun_is_said_in_a_sentence(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "past.yaml").write_text(PAST, encoding="utf-8")
    (tmp_path / "past.csv").write_text("user,email,when,what,key\n", encoding="utf-8")
    nowhere = ("127.0.0.1:1", shop, tmp_path / "state", tmp_path / "past.csv", "--mapping")
    assert "declares no storefront tset-shop; did you mean test-shop?" in finish(
        start(*nowhere, tmp_path / "past.yaml", "--storefront", "tset-shop"), 2
    )
    assert "past.yaml:2:8 in `row.at`, at character 5: `row` has no `at`" in finish(
        start(*nowhere, tmp_path / "past.yaml", "--storefront", "test-shop", "--dry-run"), 2
    )
    assert "Kafka at 127.0.0.1:1 can't be used" in finish(start(*nowhere, "otto", "--storefront", "test-shop"), 1)
