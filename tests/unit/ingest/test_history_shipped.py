"""The mappings that come with Stagepost, on their real data, held against counts made in plain Python."""

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import pytest
from cdnow import FOLDER, NEEDS_CDNOW, read_purchases
from importing import SHOP, Came, by_name, shaped
from msgspec.structs import replace
from online_retail import FILE, NEEDS_ONLINE_RETAIL, Invoice, read_invoices
from otto import read_sessions

from ingest.history.load import SHIPPED, find_mapping
from services.contracts.events import Event

UTC_SHOP = replace(SHOP, timezone="UTC")


def money(event: Event) -> Decimal:
    return Decimal(str(event.properties["total"]))


@NEEDS_CDNOW
def test_every_purchase_of_cdnow_is_an_order_of_its_own() -> None:
    found = shaped(FOLDER / "CDNOW_sample.txt", "cdnow", storefront=UTC_SHOP)
    purchases = read_purchases()
    assert (len(found.events), found.left_out, found.faults) == (6_919, [], [])
    assert len({event.id for event in found.events}) == 6_919
    assert [(e.who.user_id, e.occurred_at, money(e), e.properties["quantity"]) for e in found.events] == [
        (p.customer, p.at, p.paid, p.discs) for p in purchases
    ]
    assert sum(map(money, found.events)) == Decimal("244091.94")


@NEEDS_ONLINE_RETAIL
def test_every_invoice_of_a_month_of_online_retail_is_one_event(tmp_path: Path) -> None:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as whole, (tmp_path / "month.csv").open("w") as month:
        month.writelines(takewhile(lambda line: ",2011-01-0" not in line, whole))
    found = shaped(tmp_path / "month.csv", "online-retail", storefront=UTC_SHOP)
    equals_the_invoices(found, read_invoices(datetime(2011, 1, 1, tzinfo=UTC)))


@pytest.mark.long
@NEEDS_ONLINE_RETAIL
def test_every_invoice_of_online_retail_is_one_event_and_the_published_figures_come_out() -> None:
    found = shaped(FILE, "online-retail", storefront=UTC_SHOP)
    equals_the_invoices(found, read_invoices())
    assert len(found.left_out) == 135_080
    clean = [
        (event, Decimal(str(line["price"])) * line["quantity"])
        for event in found.events
        if event.name == "Order Completed"
        for line in event.properties["products"]
        if line["quantity"] > 0 and line["price"] > 0
    ]
    assert len(clean) == 397_884
    assert len({event.id for event, _ in clean}) == 18_532
    assert len({event.who.user_id for event, _ in clean}) == 4_338
    assert round(sum(paid for _, paid in clean), 2) == Decimal("8911407.90")


def equals_the_invoices(found: Came, every: Sequence[Invoice]) -> None:
    invoices = [invoice for invoice in every if invoice.customer]
    nobody = sum(len(invoice.lines) for invoice in every if not invoice.customer)
    assert Counter(found.left_out) == {"no customer": nobody}
    assert found.faults == []
    assert [(e.id, e.name, e.who.user_id, e.occurred_at) for e in found.events] == [
        (f"invoice-{i.number}", "Order Refunded" if i.number.startswith("C") else "Order Completed", i.customer, i.at)
        for i in invoices
    ]
    assert [abs(money(event)) for event in found.events] == [abs(invoice.total) for invoice in invoices]
    lines = [len(event.properties.get("products", ())) for event in found.events]
    assert lines == [0 if i.number.startswith("C") else len(i.lines) for i in invoices]


def test_every_row_of_otto_is_an_event_and_rows_of_one_instant_are_one_order() -> None:
    sessions = read_sessions()
    path = FOLDER.parent / "otto" / "train_20_sessions.jsonl"
    found = shaped(path, "otto")
    assert by_name(found.events) == {"Product Viewed": 800, "Product Added": 52, "Order Completed": 5}
    expected: dict[str | None, list[tuple[str, datetime, object]]] = defaultdict(list)
    for session in sessions:
        for event in session.events():
            at = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC)
            properties = {k: v for k, v in event["properties"].items() if k != "order_id"}
            expected[session.user].append((event["name"], at, properties))
    came: dict[str | None, list[tuple[str, datetime, object]]] = defaultdict(list)
    for event in found.events:
        properties = {key: value for key, value in event.properties.items() if key != "order_id"}
        came[event.who.anonymous_id].append((event.name, event.occurred_at, properties))
    assert {user: sorted(of, key=str) for user, of in came.items()} == {
        user: sorted(of, key=str) for user, of in expected.items()
    }


def test_the_documentation_shows_mappings_as_they_are_shipped() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "import.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for name, text in zip(("cdnow", "online-retail"), shown, strict=True):
        lines = find_mapping(name).read_text(encoding="utf-8").splitlines(keepends=True)
        assert text == "".join(line for line in lines if not line.startswith("#"))
    assert all(f"`{path.stem}`" in page for path in SHIPPED.glob("*.yaml"))
