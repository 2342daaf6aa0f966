"""Online Retail over HTTP: the figures that the clean rule gives come out of the database, cancellations as refunds."""

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import asyncpg
import pytest
from online_retail import NEEDS_ONLINE_RETAIL, Account, Invoice, accounts, read_invoices
from telling import Telling, telling

from services.contracts.identity import IdentityKind

Eventually = Callable[..., Awaitable[None]]
Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""

pytestmark = NEEDS_ONLINE_RETAIL

A_MONTH = datetime(2011, 1, 1, tzinfo=UTC)
"""The first month ends here: what a short test can tell."""
NEW_BY_MONTH = [885, 417, 380, 452, 300, 284, 242, 188, 169, 299, 358, 323, 41]
"""Customers by the month of their first order, from December 2010 on."""

CLEAN = """
    WITH clean AS (  -- the lines of those who are somebody, no cancellations, something for a price
        SELECT event.customer_id, event.properties ->> 'order_id' AS invoice, occurred_at,
               line.quantity * line.price AS paid
          FROM reporting.events AS event
          JOIN engine.customers AS customer ON customer.id = event.customer_id
          JOIN engine.identities AS identity ON identity.id = customer.root AND identity.kind = 1
         CROSS JOIN jsonb_to_recordset(event.properties -> 'products') AS line(quantity numeric, price numeric)
         WHERE event.storefront = $1 AND event.name = 'Order Completed' AND line.quantity > 0 AND line.price > 0
    ), buyers AS (
        SELECT customer_id, count(DISTINCT invoice) AS invoices, count(DISTINCT occurred_at::date) AS days,
               min(occurred_at) AS first, date '2011-12-10' - max(occurred_at)::date AS recency
          FROM clean GROUP BY customer_id
    )"""


@dataclass(frozen=True, slots=True)
class Figures:
    """By the clean rule; what was cancelled is no part of it."""

    lines: int
    invoices: int
    customers: int
    revenue: Decimal
    cancelled: int
    cancelled_by_somebody: int
    lines_of_nobody: int
    new_by_month: tuple[int, ...]


@pytest.fixture(scope="module")
async def begun(real_shops: Stack, eventually: Eventually) -> AsyncIterator[Telling]:
    said = [invoice.event() for invoice in read_invoices(A_MONTH)]
    async with telling(real_shops, "online-retail-begun") as retail:
        await retail.post(said)
        await eventually(lambda: retail.is_folded(len(said)), within=300)
        yield retail


async def test_a_months_figures_are_what_counting_says(begun: Telling) -> None:
    figures = await _figures_in_the_database(begun)
    assert figures == _counted(read_invoices(A_MONTH))
    assert list(figures.new_by_month) == NEW_BY_MONTH[:1]


async def test_a_months_customers_are_what_counting_says_and_nobody_is_welded(begun: Telling) -> None:
    await _accounts_are_right(begun, read_invoices(A_MONTH))


async def test_a_month_equals_the_pure_fold(begun: Telling) -> None:
    said = [invoice.event() for invoice in read_invoices(A_MONTH)]
    assert await begun.standings() == begun.expected(said)


@pytest.mark.long
async def test_the_whole_year_is_as_published(real_shops: Stack, eventually: Eventually) -> None:
    invoices = read_invoices()
    said = [invoice.event() for invoice in invoices]
    assert sum(len(invoice.lines) for invoice in invoices) == 541_909
    async with telling(real_shops, "online-retail") as retail:
        begun = time.monotonic()
        await retail.post(said)
        posted = time.monotonic() - begun
        await eventually(lambda: retail.is_folded(len(said)), within=1_800)
        folded = time.monotonic() - begun
        sys.stdout.write(f"Online Retail: {len(said)} invoices posted in {posted:.0f} s, folded after {folded:.0f} s\n")
        figures = await _figures_in_the_database(retail)
        sys.stdout.write(f"{figures}\n")
        assert figures == _counted(invoices)
        assert (figures.lines, figures.invoices, figures.customers) == (397_884, 18_532, 4_338)
        assert round(figures.revenue, 2) == Decimal("8911407.90")
        assert round(figures.revenue / figures.invoices, 2) == Decimal("480.87")
        assert (figures.cancelled, figures.lines_of_nobody) == (3_836, 135_080)
        assert list(figures.new_by_month) == NEW_BY_MONTH
        await _habits_are_as_published(retail)
        await _accounts_are_right(retail, invoices)
        assert await retail.standings() == retail.expected(said)


async def _habits_are_as_published(retail: Telling) -> None:
    """How many came again, and for how long they have been silent."""
    habits = """SELECT round(100.0 * count(*) FILTER (WHERE invoices > 1) / count(*), 2) AS again,
                       round(100.0 * count(*) FILTER (WHERE days > 1) / count(*), 2) AS again_by_day,
                       percentile_cont(0.5) WITHIN GROUP (ORDER BY recency) AS median, round(avg(recency), 2) AS mean,
                       count(*) FILTER (WHERE recency > 90) AS silent, count(*) FILTER (WHERE recency > 180) AS lost
                  FROM buyers"""
    (row,) = await _clean(retail, habits)
    sys.stdout.write(f"{dict(row)}\n")
    found = [str(value) for value in row]
    assert found == ["65.58", "64.32", "51.0", "93.06", "1449", "861"]


async def _clean(retail: Telling, select: str) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await retail.sql.fetch(CLEAN + select, retail.storefront)
    return found


async def _figures_in_the_database(retail: Telling) -> Figures:
    sums = """SELECT count(*) AS lines, count(DISTINCT invoice) AS invoices, count(DISTINCT customer_id) AS customers,
                     sum(paid) AS revenue FROM clean"""
    (row,) = await _clean(retail, sums)
    others = await retail.sql.fetchrow(
        """SELECT count(*) FILTER (WHERE name = 'Order Refunded') AS cancelled,
                  count(*) FILTER (WHERE name = 'Order Refunded' AND properties ? 'products') AS by_somebody,
                  sum((properties ->> 'lines')::int) FILTER (WHERE NOT properties ? 'products') AS of_nobody
             FROM reporting.events WHERE storefront = $1""",
        retail.storefront,
    )
    months = await _clean(
        retail, "SELECT count(*) AS n FROM buyers GROUP BY date_trunc('month', first) ORDER BY min(first)"
    )
    return Figures(*row, *others, new_by_month=tuple(month["n"] for month in months))


def _counted(invoices: Sequence[Invoice]) -> Figures:
    """The same, without any of our code."""
    clean = [(invoice, line) for invoice in invoices for line in invoice.clean_lines]
    cancelled = [invoice for invoice in invoices if invoice.number.startswith("C")]
    first: dict[str, date] = {}
    for invoice, _ in clean:
        first.setdefault(invoice.customer, invoice.at.date().replace(day=1))
    return Figures(
        lines=len(clean),
        invoices=len({invoice.number for invoice, _ in clean}),
        customers=len(first),
        revenue=sum((line.quantity * line.price for _, line in clean), Decimal()),
        cancelled=len(cancelled),
        cancelled_by_somebody=sum(bool(invoice.customer) for invoice in cancelled),
        lines_of_nobody=sum(len(invoice.lines) for invoice in invoices if not invoice.customer),
        new_by_month=tuple(n for _, n in sorted(Counter(first.values()).items())),
    )


async def _accounts_are_right(retail: Telling, invoices: Sequence[Invoice]) -> None:
    """The facts of everybody; and every invoice of nobody is a customer of its own."""
    standings = await retail.standings()
    found = {
        who.value: Account(
            orders=standing.state.facts.counts.get("orders", 0),
            revenue=standing.state.facts.sums.get("revenue", Decimal()),
            last_order_at=latest.at if (latest := standing.state.facts.latest.get("last_order_at")) else None,
        )
        for who, standing in standings.items()
        if who.kind is IdentityKind.USER_ID
    }
    assert found == accounts(invoices)
    nobody = {who.value for who in standings if who.kind is IdentityKind.EVENT}
    assert nobody == {invoice.event()["id"] for invoice in invoices if not invoice.customer}
    assert len(standings) == len(found) + len(nobody)
