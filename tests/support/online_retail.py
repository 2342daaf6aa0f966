"""UCI's Online Retail: 541,909 invoice lines of a British shop, 2010-12-01 to 2011-12-09, one event an invoice.

Choices, where the file leaves them:
- Its times have no zone and are taken as UTC, so that days stay days. An invoice's time is its first line's.
- A cancellation does not say what it cancels. It is taken to refund the customer's latest earlier invoice that holds
  the product of its first line; where there is none, it refunds an order of its own number, which nobody placed.
- A line without a customer has an empty one, and is posted so: `user_id` "" names nobody. Such invoices say how many
  lines they have but don't list them: the longest has 1,114, over the 32 KiB that ingest takes.
- What names nobody and brings nothing (broken, lost, found again) is a `Stock Adjusted`, a name unknown to us.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail" / "online_retail.csv.gz"

NEEDS_ONLINE_RETAIL = pytest.mark.skipif(not FILE.exists(), reason=f"Online Retail is not at {FILE}")


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: int
    price: Decimal

    @property
    def is_clean(self) -> bool:
        return self.quantity > 0 and self.price > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """`customer` is "" for nobody. `refunds` is the number of the order that a cancellation takes back."""

    number: str
    customer: str
    at: datetime
    lines: Sequence[Line]
    refunds: str | None = None

    @property
    def total(self) -> Decimal:
        return sum((line.quantity * line.price for line in self.lines), Decimal())

    @property
    def is_order(self) -> bool:
        return not self.refunds and (bool(self.customer) or self.total > 0)

    @property
    def clean_lines(self) -> list[Line]:
        """By the clean rule of those who publish figures: a customer, no cancellation, something for a price."""
        return [line for line in self.lines if line.is_clean] if self.customer and not self.refunds else []

    def event(self) -> dict[str, Any]:
        return {
            "id": f"invoice-{self.number}",
            "name": "Order Refunded" if self.refunds else "Order Completed" if self.is_order else "Stock Adjusted",
            "user_id": self.customer,
            "occurred_at": self.at.isoformat(),
            "properties": {
                "order_id": self.refunds or self.number,
                "total": str(self.total),
                "lines": len(self.lines),
                **({"products": [_product(line) for line in self.lines]} if self.customer else {}),
            },
        }


def _product(line: Line) -> dict[str, Any]:
    return {"sku": line.sku, "quantity": line.quantity, "price": str(line.price)}


@dataclass(frozen=True, slots=True)
class Account:
    """What a customer's invoices come to, counted without any of our code."""

    orders: int
    revenue: Decimal
    last_order_at: datetime | None


def read_invoices(until: datetime | None = None) -> list[Invoice]:
    """In the order of the file, which is that of time; only what is before `until`, if it is given."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if until is not None and _moment(row) >= until:
                break
            rows[row["InvoiceNo"]].append(row)
    held: dict[tuple[str, str], str] = {}
    return [_invoice(number, lines, held) for number, lines in rows.items()]


def _moment(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)


def _invoice(number: str, rows: Sequence[dict[str, str]], held: dict[tuple[str, str], str]) -> Invoice:
    """`held` has the latest order of each customer and product, and is kept up to date."""
    customer = rows[0]["CustomerID"]
    refunds = held.get((customer, rows[0]["StockCode"]), number) if number.startswith("C") else None
    if customer and not refunds:
        held.update({(customer, row["StockCode"]): number for row in rows})
    lines = [Line(row["StockCode"], int(float(row["Quantity"])), Decimal(row["UnitPrice"])) for row in rows]
    return Invoice(number=number, customer=customer, at=_moment(rows[0]), lines=lines, refunds=refunds)


def accounts(invoices: Iterable[Invoice]) -> dict[str, Account]:
    """Of every customer; a refund takes back no more than its order brought."""
    gross: dict[str, dict[str, Decimal]] = defaultdict(dict)
    back: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    last: dict[str, datetime] = {}
    for invoice in invoices:
        if invoice.refunds:
            back[invoice.customer][invoice.refunds] += abs(invoice.total)
        elif invoice.is_order:
            gross[invoice.customer][invoice.number] = invoice.total
            last[invoice.customer] = max(invoice.at, last.get(invoice.customer, invoice.at))
    return {
        customer: Account(
            orders=len(gross[customer]),
            revenue=sum(
                (max(Decimal(), brought - back[customer][n]) for n, brought in gross[customer].items()), Decimal()
            ),
            last_order_at=last.get(customer),
        )
        for customer in {*gross, *back}
        if customer
    }
