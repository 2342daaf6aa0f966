"""A notifier in a test: its tables in a database of their own, workers that send to a server that obeys, a clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import store
from notifier.channels.channel import Channel
from notifier.channels.email import EmailChannel
from notifier.followups import EMAIL, FollowUp, FollowUps
from notifier.in_force import Terms
from notifier.intake import Batch, take_in
from notifier.links import LinkMaker, Signer
from notifier.queue import Queue
from notifier.render import Renderer
from notifier.settings import SmtpSettings
from notifier.tables import messages, metadata
from notifier.worker import Worker
from services.contracts.changes import Address, CustomerChange, CustomerUpdated, Profile, Transition
from services.contracts.events import SaidBy
from services.postgres import transaction
from services.shop import Shop
from tests.integration.notifier_world import Answering, Clock, smtp_server
from tests.unit.notifier.builders import FOLLOW_UPS, NOON, STOREFRONT, changed, retracted, uid

SHOP = Shop(directory=Path("nowhere"), storefronts={"main-shop": STOREFRONT})
LEASE = timedelta(minutes=2)
LINKS = LinkMaker(base="https://mail.shop.example", signer=Signer("x" * 32))


@dataclass
class World:
    engine: AsyncEngine
    server: Answering
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    sequences: dict[UUID, int] = field(default_factory=dict)
    channels: list[Channel[Any]] = field(default_factory=list)
    follow_ups: FollowUps = field(default_factory=lambda: FOLLOW_UPS)
    shop: Shop = SHOP

    def worker(self, *, port: int | None = None, pace: dict[str, float] | None = None) -> Worker:
        smtp = SmtpSettings(
            host="127.0.0.1",
            port=port or self.server.port,
            security="none",
            timeout=timedelta(seconds=2),
            pace=pace,
        )
        self.channels.append(EmailChannel(smtp, self.clock))
        queue = Queue(self.engine, sending_lease=LEASE)
        terms = Terms(shop=self.shop, follow_ups=self.follow_ups, renderer=Renderer(self.shop.directory), since=NOON)
        return Worker(queue, EMAIL, self.channels[-1], lambda: terms, LINKS, self.clock)

    async def take(self, *changes: CustomerChange, partitions: int = 6, stale: bool = False) -> None:
        heard = {} if stale else dict.fromkeys(range(partitions), self.clock.now)
        async with transaction(self.engine) as connection:
            await take_in(connection, Batch(changes=list(changes), known_until=heard), self.follow_ups, self.clock.now)

    def next(self, customer: str = "ada") -> int:
        self.sequences[uid(customer)] = self.sequences.get(uid(customer), 0) + 1
        return self.sequences[uid(customer)]

    async def move(self, move: Transition, customer: str = "ada", **more: Any) -> None:  # noqa: ANN401  any of `changed`'s
        await self.take(changed(self.next(customer), move, customer=customer, **more))

    async def retract(self, move: Transition, customer: str = "ada") -> None:
        await self.take(retracted(self.next(customer), move, None, customer=customer))

    async def know(
        self,
        address: str | None = "ada@mail.example",
        *,
        customer: str = "ada",
        said_by: SaidBy = SaidBy.SERVER,
        consent: dict[str, bool] | None = None,
        hold: str | None = None,
        **more: Any,  # noqa: ANN401  any of Profile's
    ) -> None:
        addresses = {"email": Address(value=address, said_by=said_by)} if address else {}
        await self.take(
            CustomerUpdated(
                storefront="main-shop",
                customer_id=uid(customer),
                sequence=self.next(customer),
                profile=Profile(addresses=addresses, consent=consent or {}, **more),
                hold=hold,
            )
        )

    async def pass_by(self, time: timedelta) -> None:
        """Time in which the engine says every second that all is known."""
        self.clock.pass_by(time)
        await self.take()

    async def rows(self) -> list[tuple[str, str | None]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(
                sa.select(messages.c.status, messages.c.reason).order_by(messages.c.created_at, messages.c.id)
            )
            return [(row.status, row.reason) for row in found]

    @property
    def ids(self) -> list[str]:
        """Message-IDs of what arrived."""
        return [message_from_bytes(bytes(mail.original_content or b""))["Message-ID"] for mail in self.server.taken]


@asynccontextmanager
async def fresh_world(engine: AsyncEngine) -> AsyncIterator[World]:
    """With nothing in its tables."""
    async with transaction(engine) as connection:
        for table in metadata.sorted_tables:
            await connection.execute(sa.delete(table))
        await store.seed_partitions(connection, range(6))
    async with smtp_server() as server:
        world = World(engine, server)
        yield world
        for channel in world.channels:
            await channel.close()


def shop(**says: Any) -> Shop:  # noqa: ANN401  any of a storefront's keys
    return replace(SHOP, storefronts={"main-shop": msgspec.structs.replace(STOREFRONT, **says)})


def follow(*follow_ups: FollowUp) -> FollowUps:
    return {one.name: one for one in follow_ups}


async def drained(worker: Worker) -> None:
    while await worker.step():
        pass
