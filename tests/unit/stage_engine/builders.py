"""Builders: a test says what happened and when; the rest is a shop in euros and its customer u1.

Times are spans after `START`: `"0s"`, `"1h30m"`, `"90d"`.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from services.contracts.events import Event, SaidBy
from services.contracts.identity import Who
from services.contracts.storefront import Sender, Storefront
from services.durations import parse_duration
from stage_engine.arrivals import Arrival, Place, arrival
from stage_engine.facts import FactsAt
from stage_engine.fold import Folded, Move, fold
from stage_engine.history import Entry
from stage_engine.model.load import PRESETS, load_model
from stage_engine.model.model import Model
from stage_engine.orders import Order
from stage_engine.state import EMPTY, Instance, State

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHOP = Storefront(
    name="Shop",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Shop", email="hello@shop.example"),
    own_addresses=["Till@shop.example"],
)
SEVEN = load_model(PRESETS / "seven-stage.yaml")
NOWHERE = Place("storefront.events", 0, 0)
_numbers = count(1)


def when(after: str) -> datetime:
    return START + parse_duration(after)


def trusting() -> Storefront:
    """A shop without a server source."""
    return replace(SHOP, trust="browser")


def parallel_carts() -> Model:
    return model("extends: seven-stage\ntracks: {cart: {order_ends: named}}")


@cache
def model(text: str) -> Model:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lifecycle.yaml"
        path.write_text(text, encoding="utf-8")
        return load_model(path)


def said(  # noqa: PLR0913  each is one thing that an event may say
    name: str,
    after: str | datetime = "0s",
    /,
    *,
    id: str | None = None,  # noqa: A002  what it is called on the wire
    who: Mapping[str, str] | None = None,
    by: Literal["server", "browser"] = "server",
    received: str | None = None,
    imported: str | None = None,
    traits: Mapping[str, Any] | None = None,
    network: str | None = None,
    **properties: Any,  # noqa: ANN401  any JSON
) -> Arrival:
    """What is said, as it arrives: the event with who it names and what it links.

    `imported` is when the import began that brought it; unless told otherwise it was received then.
    """
    occurred_at = when(after) if isinstance(after, str) else after
    event = Event(
        id=id or f"e{next(_numbers):06}",
        storefront="shop",
        name=name,
        who=Who(**(who if who is not None else {"user_id": "u1"})),
        occurred_at=occurred_at,
        received_at=when(received or imported or "0s") if received or imported else occurred_at,
        said_by=SaidBy(by),
        properties=properties,
        traits=dict(traits or {}),
        imported_at=when(imported) if imported else None,
        network=network,
    )
    return arrival(event, SHOP, NOWHERE)


def event(name: str, after: str | datetime = "0s", /, **said_of_it: Any) -> Entry:  # noqa: ANN401  see `said`
    return said(name, after, **said_of_it).entry


def added(after: str = "0s", product: str = "p1", cart: str | None = "c1", **more: Any) -> Entry:  # noqa: ANN401  see `said`
    named = {"cart_id": cart} if cart else {}
    return event("Product Added", after, product_id=product, **named, **more)


def ordered(after: str = "0s", order: str = "o1", **more: Any) -> Entry:  # noqa: ANN401  see `said`
    return event("Order Completed", after, **{"order_id": order, "revenue": 10, "total": 12, **more})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a fold came to, as a test asks for it. `stage` and `went` take a key as it is shown (`c1#2`)."""

    folded: Folded
    model: Model
    until: datetime

    @property
    def state(self) -> State:
        return self.folded.state

    @property
    def moves(self) -> tuple[Move, ...]:
        return self.folded.moves

    @property
    def orders(self) -> dict[str, Order]:
        """The order book: of each order the latest version."""
        return {order.key: order for _, order in self.folded.orders}

    def instance(self, track: str = "lifecycle", key: str = "") -> Instance:
        return next(i for i in self.state.instances if (i.track, i.shown_key) == (track, key))

    def keys(self, track: str) -> list[str]:
        return [i.shown_key for i in self.state.instances if i.track == track]

    def stage(self, track: str = "lifecycle", key: str = "") -> str:
        return self.instance(track, key).stage

    def moves_of(self, track: str = "lifecycle", key: str = "") -> list[Move]:
        return [m for m in self.moves if (m.transition.track, m.transition.key) == (track, key)]

    def went(self, track: str = "lifecycle", key: str = "") -> list[str]:
        return [m.transition.to_stage for m in self.moves_of(track, key)]

    def fact(self, name: str) -> Any:  # noqa: ANN401  any fact
        return FactsAt(self.model, self.state.facts, self.until)[name]

    @property
    def waits(self) -> str | None:
        """The id of the first event that waits."""
        return self.folded.waits_from.event_id if self.folded.waits_from else None

    @property
    def wakes_after(self) -> timedelta | None:
        return self.folded.next_wake - START if self.folded.next_wake else None


def see(
    *entries: Entry | Iterable[Entry],
    until: str | datetime | None = None,
    by: Model = SEVEN,
    shop: Storefront = SHOP,
    start: State = EMPTY,
    orders: Mapping[str, Order] | None = None,
) -> Seen:
    """Folds; unless `until` says otherwise, everything is known up to the last event."""
    flat = [e for given in entries for e in ([given] if isinstance(given, Entry) else given)]
    limit = when(until) if isinstance(until, str) else until or max((e.event.occurred_at for e in flat), default=START)
    return Seen(fold(flat, by, limit, storefront=shop, start=start, orders=orders), by, limit)
