"""The engine's transactions on a real Postgres, without Kafka: a test says what is said, and looks at what stands.

Every `World` is a storefront of its own in one database, so that a case needs no cleaning up. Only the watermark is the
database's: `World.opened` takes it back, so worlds live one after another.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa
from aiokafka import TopicPartition
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrations.migrate import upgrade
from services.contracts.changes import STRUCT_OF, ChangeType, CustomerChange, Transition
from services.contracts.events import Event, SaidBy, encode_event
from services.contracts.identity import Who
from services.contracts.storefront import Sender, Storefront
from services.kafka import Stretch
from services.offsets import Offsets
from services.postgres import create_engine, transaction
from services.settings import PostgresSettings
from stage_engine import mending, store, tables
from stage_engine.apply import take_in
from stage_engine.arrivals import Arrival, Place, arrival
from stage_engine.consumer import Consumer
from stage_engine.forward import Behind, Forward
from stage_engine.in_force import Folding
from stage_engine.model.model import Model
from stage_engine.orders import Order
from stage_engine.pointers import Grew
from stage_engine.refolder import Refolder
from stage_engine.rules import Rules
from stage_engine.store import Customer
from stage_engine.wakes import Wakes

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOWHERE = Place("storefront.events", 0, 0)
_numbers = count(1)
_worlds = count(1)


@asynccontextmanager
async def scratch_database(dsn: str, name: str = "") -> AsyncIterator[AsyncEngine]:
    """A migrated database of its own; a commit in it does not wait for the disk."""
    name = name or f"engine_{uuid4().hex[:8]}"
    admin = create_engine(PostgresSettings(dsn=dsn), application="test")
    async with admin.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
        await connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    await admin.dispose()
    engine = create_engine(PostgresSettings(dsn=re.sub(r"/\w+$", f"/{name}", dsn)), application="test")
    await upgrade(engine)
    yield engine
    await engine.dispose()


@dataclass(frozen=True, slots=True)
class Fixed:
    """Folds by these rules, whatever is in force: so worlds with rules of their own share a database."""

    engine: AsyncEngine
    rules: Rules

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[AsyncConnection, Rules]]:
        async with transaction(self.engine) as connection:
            yield connection, self.rules


class Read(NamedTuple):
    """What the engine looks at of Kafka's record."""

    topic: str
    partition: int
    offset: int
    value: bytes
    timestamp: int


@dataclass(slots=True)
class World:
    """One storefront, and all that was said in it."""

    engine: AsyncEngine
    rules: Rules
    storefront: str
    namespace: UUID
    said: list[Arrival] = field(default_factory=list)
    known_until: datetime | None = None

    @classmethod
    async def opened(
        cls, engine: AsyncEngine, model: Model, *, trust: Literal["server", "browser"] = "server"
    ) -> "World":
        name = f"shop{next(_worlds)}-{uuid4().hex[:6]}"
        storefront = Storefront(
            name="Shop",
            url="https://shop.example",
            currency="EUR",
            timezone="Europe/Berlin",
            sender=Sender(name="Shop", email="hello@shop.example"),
            trust=trust,
        )
        async with transaction(engine) as connection:
            await connection.execute(sa.delete(tables.watermark))
        namespace = uuid4()
        return cls(engine, Rules(model, {name: storefront}, {name: namespace}), name, namespace)

    @property
    def namespaces(self) -> Mapping[str, UUID]:
        return self.rules.namespaces

    def folding(self, engine: AsyncEngine | None = None) -> Fixed:
        return Fixed(engine or self.engine, self.rules)

    def event(
        self,
        name: str,
        after: float = 0,
        /,
        *,
        who: Mapping[str, str],
        id: str | None = None,  # noqa: A002  what it is called on the wire
        by: str = "server",
        received: float = 0,
        traits: Mapping[str, Any] | None = None,
        **properties: Any,  # noqa: ANN401  any JSON
    ) -> Arrival:
        """`after` START in seconds; received `received` seconds later."""
        occurred_at = START + timedelta(seconds=after)
        event = Event(
            id=id or f"e{next(_numbers):06}",
            storefront=self.storefront,
            name=name,
            who=Who(**who),
            occurred_at=occurred_at,
            received_at=occurred_at + timedelta(seconds=received),
            said_by=SaidBy(by),
            properties=properties,
            traits=dict(traits or {}),
        )
        return arrival(event, self.rules.storefronts[self.storefront], NOWHERE)

    def here(self, arrived: Arrival) -> Arrival:
        """The same, said in this storefront."""
        event = replace(arrived.entry.event, storefront=self.storefront)
        return arrival(event, self.rules.storefronts[self.storefront], arrived.place)

    async def take(self, *arrivals: Arrival) -> None:
        """One transaction, as the consumer has it."""
        self.said += arrivals
        also_lock: frozenset[UUID] = frozenset()
        while True:
            try:
                async with transaction(self.engine) as connection:
                    await take_in(connection, arrivals, self.rules, self.namespaces, also_lock=also_lock)
            except Grew as grew:
                also_lock |= grew.rows
            except Behind as behind:
                await Forward(self.folding()).these(behind.customers)
            else:
                return

    def consumer(self) -> Consumer:
        """An engine of its own that is handed what it reads (`stretch`): it has no Kafka."""
        no_feed: Any = None
        return Consumer(self.folding(), no_feed, Offsets(self.engine, tables.offsets))

    def stretch(self, partition: int, start: int, arrivals: Sequence[Arrival]) -> Stretch:
        """As read of a topic that is the storefront's own."""
        place = TopicPartition(self.storefront, partition)
        records = tuple(
            Read(self.storefront, partition, start + n, encode_event(a.entry.event), int(START.timestamp() * 1000))
            for n, a in enumerate(arrivals)
        )
        return Stretch(place, start, start + len(records), records)

    async def know(self, until: datetime | float, *, folding: Folding | None = None) -> None:
        """Raises the watermark, wakes everyone for whom a time has come, and lets the refolder finish."""
        self.known_until = until if isinstance(until, datetime) else START + timedelta(seconds=until)
        async with transaction(self.engine) as connection:
            await store.raise_watermark(connection, self.known_until)
        folding = folding or self.folding()
        wakes = Wakes(folding)
        refolder = Refolder(self.engine, folding)
        while await refolder.step() or await wakes.step():
            pass

    async def ask_to_refold(self) -> None:
        """As `stagepost refold --broken` does."""
        async with transaction(self.engine) as connection:
            await mending.ask_to_refold(connection, customer=None)

    async def stands(self) -> "Standing":
        return await standing(self.engine, self.storefront)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database holds of one storefront."""

    customers: Mapping[UUID, Customer]
    identities: Mapping[UUID, UUID]
    """Each identity's customer."""
    orders: Mapping[UUID, Mapping[str, Any]]
    instances: Mapping[UUID, Mapping[UUID, tuple[str, str, str, datetime]]]
    transitions: Mapping[UUID, Sequence[Transition]]
    outbox: Sequence[CustomerChange]

    def customer_with(self, identity: UUID) -> Customer:
        return self.customers[self.identities[identity]]


async def standing(engine: AsyncEngine, storefront: str) -> Standing:
    c, i, o, b = tables.customers.c, tables.identities.c, tables.outbox.c, tables.instances.c
    async with engine.connect() as connection:
        ids = list((await connection.execute(sa.select(c.id).where(c.storefront == storefront))).scalars())
        customers = await store.customers(connection, ids)
        identities = await connection.execute(sa.select(i.id, i.customer_id).where(i.storefront == storefront))
        versions = tables.orders.c
        booked = await connection.execute(
            sa.select(tables.orders)
            .where(versions.customer_id.in_(ids))
            .order_by(versions.changed_at, versions.changed_rank, versions.changed_id)
        )
        orders: dict[UUID, dict[str, Any]] = {}
        for row in booked:
            orders.setdefault(row.customer_id, {})[row.key] = Order(
                **{name: getattr(row, name) for name in Order.__struct_fields__}
            )
        stood = await connection.execute(sa.select(tables.instances).where(b.storefront == storefront))
        instances: dict[UUID, dict[UUID, tuple[str, str, str, datetime]]] = {}
        for row in stood:
            instances.setdefault(row.customer_id, {})[row.instance] = (row.track, row.key, row.stage, row.since)
        transitions = await store.standing_transitions(connection, dict.fromkeys(ids, 0))
        written = await connection.execute(
            sa.select(o.type, o.value, o.customer_id, o.sequence).where(o.storefront == storefront).order_by(o.id)
        )
        outbox: list[CustomerChange] = []
        for row in written:
            change: Any = msgspec.json.decode(row.value, type=STRUCT_OF[ChangeType(row.type)])
            assert (row.customer_id, row.sequence) == (change.customer_id, change.sequence)
            outbox.append(change)
        return Standing(
            customers=customers,
            identities={row.id: row.customer_id for row in identities},
            orders=orders,
            instances=instances,
            transitions={id_: [stood.transition for stood in found.values()] for id_, found in transitions.items()},
            outbox=outbox,
        )
