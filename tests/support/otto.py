"""OTTO's 20 visitors as events: order rows of a session with equal `ts` are one order with several products."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

NAMES = {"clicks": "Product Viewed", "carts": "Product Added"}


@dataclass(frozen=True)
class Session:
    number: int
    rows: list[dict[str, Any]]

    @property
    def user(self) -> str:
        return f"otto-{self.number}"

    @property
    def last(self) -> datetime:
        return moment(max(row["ts"] for row in self.rows))

    def expected_stage(self) -> str:
        """Counted without any of our code: orders, else carts or the third look at one product, else views."""
        orders = {row["ts"] for row in self.rows if row["type"] == "orders"}
        if orders:
            return "purchase" if len(orders) == 1 else "retention"
        looks = Counter(row["aid"] for row in self.rows if row["type"] == "clicks")
        compares = max(looks.values(), default=0) > 2 or any(row["type"] == "carts" for row in self.rows)
        return "consideration" if compares else "interest"

    def events(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        """As a storefront would post them, ids from the place in the file: real rows may be identical."""
        who = {"user_id": prefix + self.user, "email": f"{prefix}{self.user}@example.com"}
        numbered = list(enumerate(self.rows))
        for number, row in numbered:
            if row["type"] in NAMES:
                yield {
                    "id": f"{prefix}{self.user}-{number}",
                    "name": NAMES[row["type"]],
                    "occurred_at": moment(row["ts"]).isoformat(),
                    "properties": {"product_id": str(row["aid"])},
                    **who,
                }
        orders = [row for _, row in numbered if row["type"] == "orders"]
        for ts, rows in groupby(sorted(orders, key=lambda row: row["ts"]), key=lambda row: row["ts"]):
            products = [{"product_id": str(row["aid"]), "quantity": 1} for row in rows]
            yield {
                "id": f"{prefix}{self.user}-order-{ts}",
                "name": "Order Completed",
                "occurred_at": moment(ts).isoformat(),
                "properties": {"order_id": f"{prefix}{self.user}-{ts}", "products": products},
                **who,
            }


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def read_sessions() -> list[Session]:
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "otto" / "train_20_sessions.jsonl"
    if not path.exists():
        pytest.skip(f"the OTTO sample is not at {path}: this test proves nothing without real data")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Session(found["session"], found["events"]) for found in map(json.loads, lines)]
