"""A shop whose directory is applied as people do it: engines on a real Postgres that go by the active revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import reference
import sqlalchemy as sa
from engine_world import START, Standing, World
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.changes import CustomerChange, StageChanged, StageRetracted
from services.postgres import transaction
from services.revisions.tables import active
from stage_engine import tables
from stage_engine.arrivals import Arrival
from stage_engine.consumer import Consumer
from stage_engine.fold import FOLD_VERSION, Folded
from stage_engine.forward import Forward
from stage_engine.in_force import InForce
from stage_engine.revising import Applied, Draft, apply

STOREFRONTS = """\
shop:
  name: Shop
  url: https://shop.example
  currency: EUR
  timezone: Europe/Berlin
  sender: {name: Shop, email: hello@shop.example}
"""
FOLLOW_UPS = """\
abandoned-cart:
  when: {track: cart, entered: abandoned}
  until: {left: abandoned}
  purpose: marketing
  template: abandoned-cart
  max_age: 24h
"""
SEVEN = "extends: seven-stage\n"


def at_risk_after(time: str) -> str:
    """The preset with another rule for `at_risk`."""
    rule = f"{{after: {time}, since: facts.last_order_at, from: [purchase, post_purchase, retention, advocacy]}}"
    return f"{SEVEN}tracks: {{lifecycle: {{stages: {{at_risk: {{enter: [{rule}]}}}}}}}}\n"


def written(
    directory: Path, lifecycle: str, *, storefronts: str = STOREFRONTS, follow_ups: str = FOLLOW_UPS, **files: str
) -> Path:
    directory.mkdir(exist_ok=True)
    said = {"storefronts.yaml": storefronts, "lifecycle.yaml": lifecycle, "followups.yaml": follow_ups}
    for name, text in {**said, **files}.items():
        place = directory / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return directory


@dataclass(slots=True)
class Shop:
    """A whole database of its own, with one storefront, `shop`."""

    engine: AsyncEngine
    directory: Path
    world: World
    said: list[Arrival] = field(default_factory=list)
    _offset: int = 0

    @classmethod
    async def opened(cls, engine: AsyncEngine, directory: Path, lifecycle: str = SEVEN) -> "Shop":
        await apply(engine, Draft.of(written(directory, lifecycle)))
        rules = await InForce(engine).look()
        return cls(engine, directory, World(engine, rules, "shop", rules.namespaces["shop"]))

    async def apply(self, lifecycle: str, **more: str) -> Applied:
        """In force, and nobody brought to it yet."""
        return await apply(self.engine, Draft.of(written(self.directory, lifecycle, **more)))

    async def since(self, at: datetime) -> None:
        """As if what is in force had come into force then."""
        async with transaction(self.engine) as connection:
            await connection.execute(sa.update(active).values(since=at))

    def in_force(self, *, fold_version: int = FOLD_VERSION) -> InForce:
        return InForce(self.engine, fold_version=fold_version)

    def consumer(self, *, fold_version: int = FOLD_VERSION) -> Consumer:
        """An engine of its own, that is handed what it reads."""
        made = self.world.consumer()
        made.in_force = self.in_force(fold_version=fold_version)
        return made

    def event(self, name: str, after: float, /, *, who: Mapping[str, str] | None = None, **more: Any) -> Arrival:  # noqa: ANN401  see `World.event`
        return self.world.event(name, after, who=who or {"user_id": "u1"}, **more)

    async def take(self, *arrivals: Arrival, by: Consumer | None = None) -> None:
        """One batch."""
        stretch = self.world.stretch(0, self._offset, arrivals)
        await (by or self.consumer()).take([stretch])
        self._offset = stretch.end
        self.said += arrivals

    async def know(self, until: float) -> None:
        """Raises the watermark; whoever has something to do is woken, brought forward, folded in the background."""
        await self.world.know(until, folding=self.in_force())

    async def bring_everyone(self) -> None:
        forward = Forward(self.in_force())
        while await forward.step():
            pass
        if self.world.known_until is not None:
            await self.know((self.world.known_until - START).total_seconds())

    async def stands(self) -> Standing:
        return await self.world.stands()

    async def fresh(self) -> dict[Any, Folded]:
        """What the rules in force make of all that was said, by the pure functions."""
        rules = await self.in_force().look()
        customers = reference.customers_by_identity(self.said, "shop", rules.namespaces["shop"])
        entries = reference.histories(self.said, customers)
        assert self.world.known_until is not None
        return reference.folded(entries, rules.model, self.world.known_until, rules.storefronts["shop"])

    async def is_as_fresh(self) -> None:
        """State, wakes, orders, instances and surviving moves are those of one fold by the rules in force."""
        stands, rules = await self.stands(), await self.in_force().look()
        for id_, folded in (await self.fresh()).items():
            customer = stands.customers[id_]
            assert customer.state == folded.state
            assert (customer.next_wake, customer.waits_from) == (folded.next_wake, folded.waits_from)
            assert (customer.revision, customer.hold) == (rules.number("shop"), None)
            assert stands.orders.get(id_, {}) == {order.key: order for _, order in folded.orders}
            assert {i: row[2] for i, row in stands.instances.get(id_, {}).items()} == {
                i.id: i.stage for i in folded.state.instances
            }
            assert [t.id for t in stands.transitions.get(id_, [])] == [m.transition.id for m in folded.moves]
            numbers = [c.sequence for c in stands.outbox if c.customer_id == id_]
            assert numbers == list(range(1, customer.sequence + 1))

    async def announced(self, *, after: int = 0) -> list[CustomerChange]:
        """What was, in order, from the so-manieth on."""
        return list((await self.stands()).outbox)[after:]

    async def checkpoints(self) -> int:
        async with self.engine.connect() as connection:
            return int(await connection.scalar(sa.select(sa.func.count()).select_from(tables.checkpoints)) or 0)


def moves(changes: list[CustomerChange]) -> list[tuple[str, str, bool]]:
    """Of each: `+` or `-`, where to, and whether it is a replay."""
    return [
        ("+" if isinstance(change, StageChanged) else "-", change.transition.to_stage, change.replay)
        for change in changes
        if isinstance(change, StageChanged | StageRetracted)
    ]
