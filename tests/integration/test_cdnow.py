"""CDNOW's sample over HTTP: the figures that others published come out of the database, however it was told."""

import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import asyncpg
import pytest
from cdnow import CUT, NEEDS_CDNOW, by_customer, read_published, read_purchases
from telling import SHOPS, Said, Telling, telling, user

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

pytestmark = NEEDS_CDNOW

SEED = 1997
AFTER_CUT = datetime.combine(CUT, time(), UTC) + timedelta(days=1)
REPEATERS = {0: 1411, 1: 439, 2: 214, 3: 100, 4: 62, 5: 38, 6: 29, 7: 64}
"""Customers by repeat purchases up to the cut; 7 stands for 7 and more. Published."""
LATER_MEANS = [".237", ".697", "1.393", "1.560", "2.532", "2.947", "3.862", "6.359"]
"""Mean purchases in the 39 weeks after the cut, of each of those. Published."""

BOUGHT = """
    WITH bought AS (  -- what a customer bought in one day is one purchase
        SELECT customer_id, occurred_at::date AS day, sum((properties ->> 'total')::numeric) AS paid
          FROM reporting.events
         WHERE storefront = $1 AND name = 'Order Completed'
         GROUP BY 1, 2
    ), purchases AS (
        SELECT bought.*, identity.value AS customer, min(day) OVER (PARTITION BY bought.customer_id) AS first
          FROM bought
          JOIN engine.customers AS customer ON customer.id = bought.customer_id
          JOIN engine.identities AS identity ON identity.id = customer.root
    ), summary AS (
        SELECT customer, count(*) FILTER (WHERE day > first AND day <= $2) AS x,
               (max(day) FILTER (WHERE day <= $2) - first) / 7.0 AS t_x, ($2 - first) / 7.0 AS t,
               coalesce(avg(paid) FILTER (WHERE day > first AND day <= $2), 0) AS zbar,
               count(*) FILTER (WHERE day > $2) AS later
          FROM purchases GROUP BY customer, first
    )"""


@pytest.fixture(scope="module")
async def told(real_shops: Stack, eventually: Eventually) -> AsyncIterator[Telling]:
    """Every purchase, in the order of the file."""
    said = [purchase.event() for purchase in read_purchases()]
    async with telling(real_shops, "cdnow") as cdnow:
        await cdnow.post(said)
        await eventually(lambda: cdnow.is_folded(6_919), within=300)
        yield cdnow


async def _at_the_cut(told: Telling, select: str) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await told.sql.fetch(BOUGHT + select, told.storefront, CUT)
    return found


async def test_repeat_purchases_are_as_published(told: Telling) -> None:
    rows = await _at_the_cut(told, "SELECT least(x, 7) AS x, count(*) AS n FROM summary GROUP BY 1")
    histogram = {row["x"]: row["n"] for row in rows}
    assert histogram == REPEATERS
    assert sum(n for x, n in histogram.items() if x > 0) == 946
    weekly = (
        "SELECT (day - date '1997-01-01') / 7 + 1 AS week, count(*) AS n FROM purchases WHERE day > first GROUP BY 1"
    )
    weeks = {row["week"]: row["n"] for row in await _at_the_cut(told, weekly)}
    assert [weeks[week] for week in range(20, 26)] == [73, 55, 70, 33, 56, 99]


async def test_what_came_after_the_cut_is_as_published(told: Telling) -> None:
    later = "SELECT round(avg(later), 3) AS mean FROM summary GROUP BY least(x, 7) ORDER BY least(x, 7)"
    assert [row["mean"] for row in await _at_the_cut(told, later)] == [Decimal(mean) for mean in LATER_MEANS]


async def test_every_customers_recency_frequency_and_value_are_as_published(told: Telling) -> None:
    """The table has two places: half a unit of the last is all that may differ."""
    published = read_published()
    rows = await _at_the_cut(told, "SELECT customer, x, t_x, t, zbar FROM summary")
    assert len(published) == 2_357
    assert {row["customer"] for row in rows} == set(published)
    for customer, *found in rows:
        expected = published[customer]
        assert found[0] == expected.x
        apart = [abs(a - b) for a, b in zip(found[1:], (expected.t_x, expected.t, expected.zbar), strict=True)]
        assert max(apart) <= Decimal(".005"), (customer, found, expected)


async def test_the_order_book_holds_every_purchase_and_all_the_money(told: Telling) -> None:
    """Also those that are identical in the file."""
    newest = """SELECT DISTINCT ON (customer_id, key) version.* FROM engine.orders AS version
                  JOIN engine.customers AS customer ON id = customer_id
                 WHERE storefront = $1 AND completed_at IS NOT NULL AND currency = 'USD'
                 ORDER BY customer_id, key, changed_at DESC, changed_rank DESC, changed_id DESC"""
    orders, revenue = await told.sql.fetchrow(f"SELECT count(*), sum(revenue) FROM ({newest})", told.storefront)  # noqa: S608  our own words
    assert (orders, revenue) == (6_919, Decimal("244091.94"))


async def test_every_customers_facts_are_what_counting_says(told: Telling) -> None:
    standings = await told.standings()
    bought = by_customer(read_purchases())
    assert len(standings) == len(bought) == 2_357
    for customer, purchases in bought.items():
        facts = standings[user(customer)].state.facts
        assert facts.counts["orders"] == len(purchases), customer
        assert facts.sums.get("revenue", Decimal()) == sum(p.paid for p in purchases), customer
        assert facts.latest["last_order_at"].at == max(p.at for p in purchases), customer


async def test_what_is_known_about_the_cut_stops_there(told: Telling) -> None:
    """Of every fortieth customer, as an operator asks."""
    for customer, purchases in list(by_customer(read_purchases()).items())[::40]:
        then = [p for p in purchases if p.day <= CUT]
        facts = (await told.customer(customer, AFTER_CUT - timedelta(microseconds=1)))["facts"]
        assert facts["orders"] == len(then)
        assert Decimal(facts["revenue"]) == sum(p.paid for p in then)
        now = await told.customer(customer)
        assert now["facts"]["orders"] == len(purchases)
        assert now["tracks"]["lifecycle"][0]["stage"] == "churned"


async def test_the_database_equals_the_pure_fold(told: Telling) -> None:
    expected = told.expected([purchase.event() for purchase in read_purchases()])
    assert await told.standings() == expected


async def test_shuffled_with_repeats_and_a_kill_it_comes_out_the_same(
    told: Telling, real_shops: Stack, eventually: Eventually
) -> None:
    once = [purchase.event() for purchase in read_purchases()]
    async with telling(real_shops, "cdnow-shuffled") as shuffled:
        await _told_badly(shuffled, once, kills=1, eventually=eventually)
        assert await shuffled.standings() == shuffled.expected(once)
        assert await _journeys(shuffled) == await _journeys(told)


async def _told_badly(told: Telling, once: Sequence[Said], *, kills: int, eventually: Eventually) -> None:
    """In any order, a tenth of it again, and the engine killed on the way. Returns when all is folded."""
    chance = random.Random(SEED)  # noqa: S311  no secret
    said = [*once, *chance.sample(once, len(once) // 10)]
    chance.shuffle(said)
    await told.post(said)
    for number in range(kills):

        async def so_far(share: int = number + 1) -> bool:
            return await told.stored() >= share * len(once) // (kills + 1)

        await eventually(so_far, within=300)
        assert await told.stored() < len(once), "it would be killed too late to prove anything"
        before = told.stack.pid("stage_engine")
        told.stack.kill("stage_engine")

        async def is_back(before: int = before) -> bool:
            return bool(told.stack.pid("stage_engine") != before)

        await eventually(is_back, within=60)
    await eventually(lambda: told.is_folded(len(once)), within=300)


@pytest.mark.long
async def test_nobody_is_mailed_about_1997(start_stack: Callable[..., Stack], eventually: Eventually) -> None:
    """With addresses, told as badly as can be to the whole stack. An order of today shows that it does mail."""
    once = [purchase.event(addressed=True) for purchase in read_purchases()]
    stack = start_stack("--shop", str(SHOPS), "--restart", "--free-ports")
    stack.wait()
    async with telling(stack, "cdnow-with-addresses") as told:
        await _told_badly(told, once, kills=3, eventually=eventually)
        assert await told.standings() == told.expected(once)

        async def all_heard() -> bool:
            behind = """SELECT count(*) FROM engine.customers AS told LEFT JOIN notifier.customers AS heard USING (id)
                         WHERE told.sequence > coalesce(heard.sequence, 0)"""
            open_ = "SELECT count(*) FROM reporting.messages WHERE status IN ('pending', 'claimed', 'sending', 'retry')"
            return not await told.sql.fetchval(behind) and not await told.sql.fetchval(open_)

        await eventually(all_heard, within=600)
        wanted = dict(await told.sql.fetch("SELECT status, count(*) FROM reporting.messages GROUP BY status"))
        sys.stdout.write(f"CDNOW: messages about 1997, by what became of them: {wanted or 'none was even planned'}\n")
        assert set(wanted) <= {"withheld", "cancelled"}
        assert await _mailed(told) == []

        today = {"order_id": "order-of-today", "total": "14.96"}
        who = {"user_id": "today", "email": "today@example.com"}
        await told.post([{"id": "purchase-of-today", "name": "Order Completed", **who, "properties": today}])

        async def is_thanked() -> bool:
            return bool(await _mailed(told))

        await eventually(is_thanked, within=120)
        assert await _mailed(told) == ["today@example.com"]
    stack.stop()


async def _mailed(told: Telling) -> list[str]:
    """Whom, of all that there are."""
    mailbox = await told.http.get(f"{told.stack.endpoints['mailbox']}/api/v1/messages", params={"limit": 5_000})
    return [mail["To"][0]["Address"] for mail in mailbox.json()["messages"]]


async def _journeys(told: Telling) -> Counter[tuple[str, ...]]:
    """Every move of everybody in words that do not hang on the storefront, as the ids do."""
    rows = await told.sql.fetch(
        "SELECT identity.value, number, at, track, key, from_stage, to_stage, rule, cause"
        "  FROM reporting.transitions JOIN engine.customers AS customer ON customer.id = customer_id"
        "  JOIN engine.identities AS identity ON identity.id = customer.root WHERE customer.storefront = $1",
        told.storefront,
    )
    return Counter(tuple(map(str, row)) for row in rows)
