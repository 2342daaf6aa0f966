"""Where a shop's customers stand by each published lifecycle, walked by hand: none of our fold, facts or rules is used.

It knows three kinds of thing that happen (a look, a product into a cart, an order) and silence. That is all that the
histories of CDNOW, Online Retail and OTTO hold; what brings nobody anywhere (a refund) is still a first sight.
"""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cdnow import read_purchases
from online_retail import FILE as ONLINE_RETAIL
from otto import moment, read_sessions

SILENT = timedelta(days=90)
NEVER = datetime.min.replace(tzinfo=UTC)
CALM = timedelta(days=14)
"""After a sale the sales cycle follows up in any case."""


class Deed(NamedTuple):
    """Of one instant the look comes before the cart, and the cart before the order."""

    at: datetime
    rank: int
    what: str
    product: str = ""


@dataclass
class Walker:
    """One customer on the way; a lifecycle says where a deed leads, the silence after a sale is the same in all."""

    start: str
    stage: str | None = None
    since: datetime = NEVER
    ordered: datetime | None = None
    orders: int = 0
    looks: Counter[str] = field(default_factory=Counter)

    def walk(self, deeds: Iterable[Deed], until: datetime) -> str | None:
        for deed in deeds:
            if deed.at > until:
                break
            self.fall_silent(deed.at)
            if self.stage is None:
                self.go(self.start, deed.at)
            if deed.what == "look":
                self.looks[deed.product] += 1
            if deed.what == "order":
                self.orders += 1
                self.ordered = deed.at
            if (to := self.leads_to(deed)) is not None and to != self.stage:
                self.go(to, deed.at)
        self.fall_silent(until)
        return self.stage

    def go(self, to: str, at: datetime) -> None:
        self.stage, self.since = to, at

    def fall_silent(self, until: datetime) -> None:
        while (due := self.due()) is not None and due[0] <= until:
            self.go(due[1], due[0])

    def due(self) -> tuple[datetime, str] | None:
        """What comes by itself, and when."""
        if self.stage == "at_risk":
            return self.since + SILENT, "churned"
        if self.ordered is None or self.stage in (self.start, "churned"):
            return None
        return max(self.ordered + SILENT, self.since), "at_risk"

    def leads_to(self, deed: Deed) -> str | None:
        raise NotImplementedError

    @property
    def gone(self) -> bool:
        return self.stage in ("at_risk", "churned")


class SevenStage(Walker):
    def leads_to(self, deed: Deed) -> str | None:
        if deed.what == "order":
            return "purchase" if self.orders == 1 else "retention"
        if self.stage not in ("awareness", "interest"):
            return None
        if deed.what == "cart" or (deed.what == "look" and self.looks[deed.product] >= 3):
            return "consideration"
        return "interest" if deed.what == "look" and self.stage == "awareness" else None


class SixStage(Walker):
    def leads_to(self, deed: Deed) -> str | None:
        if deed.what == "order":
            return "conversion" if self.orders == 1 else "retention"
        return "consideration" if deed.what in ("look", "cart") and self.stage == "awareness" else None


class Reach(Walker):
    first, later = "conversion", "retention"

    def leads_to(self, deed: Deed) -> str | None:
        if deed.what != "order":
            return None
        if self.orders == 1:
            return self.first
        if self.gone:
            return self.later
        return "loyalty" if self.orders >= 3 else self.later


class Crm(Reach):
    first = "purchase"

    def leads_to(self, deed: Deed) -> str | None:
        if deed.what in ("look", "cart"):
            return "consideration" if self.stage == "awareness" else None
        return super().leads_to(deed)


class SalesCycle(Walker):
    def leads_to(self, deed: Deed) -> str | None:
        if deed.what == "order":
            return "close"
        return "engage" if deed.what == "cart" and self.stage == "identify" else None

    def due(self) -> tuple[datetime, str] | None:
        if self.stage == "close":
            return self.since + CALM, "follow_up"
        return super().due() if self.stage != "engage" else None


LIFECYCLES: dict[str, tuple[type[Walker], str]] = {
    "seven-stage": (SevenStage, "awareness"),
    "five-stage-reach": (Reach, "reach"),
    "six-stage": (SixStage, "awareness"),
    "crm": (Crm, "awareness"),
    "sales-cycle": (SalesCycle, "identify"),
}

Histories = dict[str, Sequence[Deed]]
"""By the customer's name in the file."""


def stages(preset: str, histories: Histories, at: datetime) -> dict[str, str]:
    """Where each stands at that time; who was not seen until then is left out."""
    walker, start = LIFECYCLES[preset]
    found = {name: walker(start).walk(deeds, at) for name, deeds in histories.items()}
    return {name: stage for name, stage in found.items() if stage is not None}


def cdnow() -> Histories:
    """A day begins at midnight in New York. In UTC, where 90 days are as long when the clocks are changed."""
    zone = ZoneInfo("America/New_York")
    return _sorted(
        (p.customer, Deed(datetime(*p.day.timetuple()[:3], tzinfo=zone).astimezone(UTC), 2, "order"))
        for p in read_purchases()
    )


def online_retail() -> Histories:
    """An invoice is one order at the time of its first line, in London; one that begins with C takes an order back."""
    first: dict[str, dict[str, str]] = {}
    with gzip.open(ONLINE_RETAIL, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["CustomerID"]:
                first.setdefault(row["InvoiceNo"], row)
    zone = ZoneInfo("Europe/London")
    return _sorted(
        (
            row["CustomerID"],
            Deed(
                datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=zone).astimezone(UTC),
                2,
                "refund" if number.startswith("C") else "order",
            ),
        )
        for number, row in first.items()
    )


def otto() -> Histories:
    """Order rows of one visitor and instant are one order."""
    found: list[tuple[str, Deed]] = []
    for session in read_sessions():
        name = f"otto-{session.number}"
        for row in session.rows:
            if row["type"] != "orders":
                what, rank = ("look", 0) if row["type"] == "clicks" else ("cart", 1)
                found.append((name, Deed(moment(row["ts"]), rank, what, str(row["aid"]))))
        ordered = {row["ts"] for row in session.rows if row["type"] == "orders"}
        found += [(name, Deed(moment(ts), 2, "order")) for ts in ordered]
    return _sorted(found)


def _sorted(deeds: Iterable[tuple[str, Deed]]) -> Histories:
    found: dict[str, list[Deed]] = defaultdict(list)
    for name, deed in deeds:
        found[name].append(deed)
    return {name: sorted(of, key=attrgetter("at", "rank")) for name, of in found.items()}
