"""CDNOW's sample: 6,919 purchases of 2,357 customers, and what was published of each customer at 1997-09-30.

The file gives days. All purchases stand at midnight UTC: real ties, which the ids break in the order of the file.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "cdnow"
NEEDS_CDNOW = pytest.mark.skipif(not FOLDER.exists(), reason=f"the CDNOW sample is not at {FOLDER}")
CUT = date(1997, 9, 30)
"""The last day of the calibration period."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """A row of the file, by its number: identical rows are real."""

    row: int
    customer: str
    day: date
    discs: int
    paid: Decimal

    @property
    def at(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)

    def event(self, *, addressed: bool = False) -> dict[str, Any]:
        """As a storefront would post it; `addressed` with an address of the customer's."""
        return {
            "id": f"purchase-{self.row:05}",
            "name": "Order Completed",
            "user_id": self.customer,
            **({"email": f"{self.customer}@example.com"} if addressed else {}),
            "occurred_at": self.at.isoformat(),
            "properties": {"order_id": f"order-{self.row:05}", "total": str(self.paid), "quantity": self.discs},
        }


@dataclass(frozen=True, slots=True)
class Published:
    """Of one customer at the cut: repeat purchases, weeks from the first to the last and to the cut, mean value."""

    x: int
    t_x: Decimal
    t: Decimal
    zbar: Decimal


def read_purchases() -> list[Purchase]:
    lines = (FOLDER / "CDNOW_sample.txt").read_text(encoding="ascii").splitlines()
    return [_purchase(row, line.split()) for row, line in enumerate(lines, 1)]


def _purchase(row: int, columns: Sequence[str]) -> Purchase:
    _, customer, day, discs, paid = columns
    return Purchase(row, customer, date.fromisoformat(day), int(discs), Decimal(paid))


def read_published() -> dict[str, Published]:
    """By the customer's number in the sample."""
    with (FOLDER / "cdnow_customers_summary_with_transactions.csv").open(encoding="ascii") as file:
        return {
            f"{int(row['ID']):04}": Published(int(row["x"]), *(Decimal(row[name]) for name in ("t_x", "T", "zbar")))
            for row in csv.DictReader(file)
        }


def by_customer(purchases: Sequence[Purchase]) -> dict[str, list[Purchase]]:
    found: dict[str, list[Purchase]] = defaultdict(list)
    for purchase in purchases:
        found[purchase.customer].append(purchase)
    return found
