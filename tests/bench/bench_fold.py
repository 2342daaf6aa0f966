"""How fast a fold is, against msgspec decoding the same events in the same run: ratios hold on any machine.

Run by `make bench`, or: python tests/bench/bench_fold.py
"""

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter

from services.contracts.events import Event, SaidBy, decode_event, encode_event
from services.contracts.identity import Who
from services.contracts.storefront import Sender, Storefront
from stage_engine.arrivals import Place, arrival
from stage_engine.fold import fold
from stage_engine.history import Entry
from stage_engine.model.load import PRESETS, load_model
from stage_engine.state import EMPTY, decode_state, encode_state

START = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = load_model(PRESETS / "seven-stage.yaml")
SHOP = Storefront(
    name="Shop",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Shop", email="shop@shop.example"),
)
NAMES = ("Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Cart Viewed", "Product Viewed")


def history(customer: str, events: int, *, carts: int, pause: timedelta) -> list[Entry]:
    """Views and carts, and an order for every 50 events; `carts` of them in turn."""
    entries = []
    for n in range(events):
        name = "Order Completed" if n % 50 == 49 else NAMES[n % len(NAMES)]
        at = START + n * pause
        said = Event(
            id=f"{customer}-{n:06}",
            storefront="shop",
            name=name,
            who=Who(user_id=customer, anonymous_id=f"a-{customer}"),
            occurred_at=at,
            received_at=at,
            said_by=SaidBy.SERVER,
            properties={
                "product_id": f"p{n % 40}",
                "name": "A mug",
                "price": "18.90",
                "quantity": 1,
                **({"order_id": f"o{n}", "revenue": 18.9, "total": 22.5} if name == "Order Completed" else {}),
                **({"cart_id": f"c{n % carts}"} if name != "Product Viewed" else {}),
            },
        )
        entries.append(arrival(said, SHOP, Place("storefront.events", 0, n)).entry)
    return entries


def measured(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds of the best round: what else runs on the machine only ever adds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        begun = perf_counter()
        work()
        best = min(best, perf_counter() - begun)
    return best


def one_by_one(entries: list[Entry], until: datetime) -> None:
    """As when every event comes alone: each is folded onto a state that was stored."""
    stored = encode_state(EMPTY)
    for entry in entries:
        stored = encode_state(fold([entry], MODEL, until, storefront=SHOP, start=decode_state(stored)).state)


def main() -> None:
    minute = timedelta(minutes=1)
    until = START + timedelta(days=3_650)
    cases: dict[str, list[list[Entry]]] = {
        "10,000 events of one customer, one cart": [history("u", 10_000, carts=1, pause=minute)],
        "10,000 events of one customer, 150 carts": [history("u", 10_000, carts=150, pause=minute)],
        "10,000 events of one customer over 19 years": [history("u", 10_000, carts=20, pause=1_000 * minute)],
        "1,000 customers with 10 events": [history(f"u{n}", 10, carts=1, pause=minute) for n in range(1_000)],
    }
    out = sys.stdout.write
    out(f"{'':46}{'events/s':>12}{'µs/event':>10}{'/ decoding':>12}\n")
    for name, histories in cases.items():
        raw = [encode_event(entry.event) for entries in histories for entry in entries]
        decoding = measured(lambda raw=raw: [decode_event(value) for value in raw])
        spent = measured(lambda histories=histories: [fold(h, MODEL, until, storefront=SHOP) for h in histories])
        out(f"{name:46}{len(raw) / spent:12,.0f}{spent / len(raw) * 1e6:10.1f}{spent / decoding:12.1f}\n")
    few = history("u", 1_000, carts=20, pause=minute)
    raw = [encode_event(entry.event) for entry in few]
    decoding = measured(lambda: [decode_event(value) for value in raw])
    spent = measured(lambda: one_by_one(few, START))
    name = "1,000 events of one customer, one by one"
    out(f"{name:46}{len(few) / spent:12,.0f}{spent / len(few) * 1e6:10.1f}{spent / decoding:12.1f}\n")


if __name__ == "__main__":
    main()
