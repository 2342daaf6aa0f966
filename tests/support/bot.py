"""A bot: one customer's thousands of shuffled events, straight into the engine's transaction, without Kafka."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from engine_world import Fixed
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.events import Event, SaidBy
from services.contracts.identity import Identity, IdentityKind, Who
from services.postgres import transaction
from services.shop import default_shop, load_shop
from stage_engine import store
from stage_engine.apply import take_in
from stage_engine.arrivals import Arrival, Place, arrival
from stage_engine.identity import customer_id
from stage_engine.in_force import ensure_namespaces
from stage_engine.model.load import load_model
from stage_engine.refolder import Refolder
from stage_engine.rules import Rules
from stage_engine.store import Customer

STOREFRONT = "main-shop"
NAMES = ("Product Viewed",) * 6 + ("Product Added",) * 3 + ("Order Completed",)


@dataclass
class Ground:
    """A migrated database with the default shop's rules."""

    engine: AsyncEngine
    rules: Rules
    namespaces: dict[str, UUID]

    @classmethod
    async def of(cls, engine: AsyncEngine) -> "Ground":
        shop = load_shop(default_shop())
        rules = Rules(load_model(default_shop() / "lifecycle.yaml"), shop.storefronts)
        async with transaction(engine) as connection:
            await store.raise_watermark(connection, datetime.now(UTC))
        return cls(engine, rules, await ensure_namespaces(engine, list(shop.storefronts)))

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        async with transaction(self.engine) as connection:
            await take_in(connection, arrivals, self.rules, self.namespaces)

    @property
    def refolder(self) -> Refolder:
        return Refolder(self.engine, Fixed(self.engine, self.rules))

    async def customer(self, user: str) -> Customer:
        id_ = customer_id(self.namespaces[STOREFRONT], Identity(IdentityKind.USER_ID, user))
        async with self.engine.connect() as connection:
            return (await store.customers(connection, [id_]))[id_]

    def arrival(self, event: Event) -> Arrival:
        return arrival(event, self.rules.storefronts[STOREFRONT], Place("test", 0, 0))


def happened(user: str, name: str, at: datetime, **properties: object) -> Event:
    return Event(
        id=uuid4().hex,
        storefront=STOREFRONT,
        name=name,
        who=Who(user_id=user),
        occurred_at=at,
        received_at=datetime.now(UTC),
        said_by=SaidBy.SERVER,
        properties=properties,
    )


def bots_events(user: str, count: int, *, seed: int) -> list[Event]:
    """Over 170 days, shuffled."""
    chance = random.Random(seed)  # noqa: S311  the same for the same seed is what is wanted
    start = datetime.now(UTC) - timedelta(days=200)
    events = []
    for number in range(count):
        properties: dict[str, object] = {"product_id": str(number % 50)}
        name = chance.choice(NAMES)
        if name == "Product Added":
            properties["cart_id"] = f"c{number // 37}"
        elif name == "Order Completed":
            properties |= {"order_id": f"o{number // 20}", "total": 10}
        events.append(happened(user, name, start + timedelta(days=170) * number / count, **properties))
    chance.shuffle(events)
    return events
