"""The table itself: who stands where, up to which change that is known, and how far the topic is read."""

import sqlite3
from collections.abc import Iterable
from typing import Any

SCHEMA = """
    CREATE TABLE IF NOT EXISTS stages (customer, instance, track, key, stage, since, PRIMARY KEY (customer, instance));
    CREATE TABLE IF NOT EXISTS customers (customer PRIMARY KEY, sequence);
    CREATE TABLE IF NOT EXISTS positions (partition PRIMARY KEY, next);
    CREATE TABLE IF NOT EXISTS stream (row PRIMARY KEY CHECK (row = 1), epoch);
"""


class Table:
    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path)
        self.db.executescript(SCHEMA)

    @property
    def epoch(self) -> int:
        """0 before the first beginning."""
        found = self.db.execute("SELECT epoch FROM stream").fetchone()
        return int(found[0]) if found else 0

    def sequence(self, customer: str) -> int:
        """Of the customer's last change that is in the table."""
        found = self.db.execute("SELECT sequence FROM customers WHERE customer = ?", [customer]).fetchone()
        return int(found[0]) if found else 0

    def positions(self) -> dict[int, int]:
        return dict(self.db.execute("SELECT partition, next FROM positions"))

    def read_up_to(self, positions: Iterable[tuple[int, int]]) -> None:
        self.db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions)

    def begin(self, epoch: int) -> None:
        for table in ("stages", "customers", "positions", "stream"):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608  our own four
        self.db.execute("INSERT INTO stream VALUES (1, ?)", [epoch])

    def replace(self, customer: str, sequence: int, rows: Iterable[dict[str, Any]]) -> None:
        self.db.execute("DELETE FROM stages WHERE customer = ?", [customer])
        for row in rows:
            self._stands(customer, row["instance"], row["track"], row["key"], row["stage"], row["since"])
        self._reached(customer, sequence)

    def apply(self, kind: str, change: dict[str, Any]) -> None:
        """One change. A type that we don't know only counts."""
        customer, sequence = change["customer_id"], change["sequence"]
        match kind:
            case "stage.changed" | "stage.retracted":
                moved = change["transition"]
                where = moved["track"], moved["key"], change["stage"], change["since"]
                self._stands(customer, moved["instance"], *where)
            case "customer.joined" | "customer.split":
                self.replace(customer, sequence, change["table"])
        self._reached(customer, sequence)

    def _stands(self, customer: str, instance: str, track: str, key: str, stage: str | None, since: str | None) -> None:
        self.db.execute("DELETE FROM stages WHERE customer = ? AND instance = ?", [customer, instance])
        if stage is not None:
            row = [customer, instance, track, key, stage, since]
            self.db.execute("INSERT INTO stages VALUES (?, ?, ?, ?, ?, ?)", row)

    def _reached(self, customer: str, sequence: int) -> None:
        self.db.execute("INSERT OR REPLACE INTO customers VALUES (?, ?)", [customer, sequence])
