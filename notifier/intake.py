"""From the stream of changes to what is held and planned: one transaction a batch, with the offsets in it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier import choices, store
from notifier.followups import FollowUps
from notifier.holdings import Customer, Instance, apply
from notifier.metrics import INTAKE_LAG, INTAKE_RECORDS
from notifier.plan import plan, reconcile
from notifier.reading import Reader
from notifier.suppression import Place, Why, lift, place_of
from services.contracts.changes import (
    FIRST_EPOCH,
    CustomerChange,
    CustomerTable,
    CustomerUpdated,
    KnownUntil,
    Profile,
    StageChanged,
    StageRetracted,
    UnknownChangeType,
    decode_change,
    epoch_of,
)
from services.contracts.dead_letters import MAX_RAW_BYTES
from services.contracts.topics import STAGE_CHANGES
from services.kafka import Feed, Stretch
from services.offsets import Offsets
from services.postgres import transaction

log = structlog.get_logger()

LARGEST_SEQUENCE: Final = 2**63 - 1


@dataclass(slots=True)
class Batch:
    """What a poll brought, sorted by what it is."""

    changes: list[CustomerChange] = field(default_factory=list)
    known_until: dict[int, datetime] = field(default_factory=dict)
    dead: list[dict[str, Any]] = field(default_factory=list)


def read(records: Iterable[Any], now: datetime, *, epoch: int = FIRST_EPOCH) -> Batch:
    """Kafka's records as changes; what can't be understood becomes a dead letter, what isn't ours is passed over.

    So is what is of an epoch before `epoch`: the database was restored to a time before it was said, and whatever of it
    holds is said again.
    """
    batch = Batch()
    for record in records:
        value = record.value or b""
        try:
            if epoch_of(record.headers) < epoch:
                INTAKE_RECORDS.labels("taken_back").inc()
                continue
            change = decode_change(record.headers, value)
            _check_storable(change, value)
        except UnknownChangeType:
            INTAKE_RECORDS.labels("not_ours").inc()
            continue
        except (msgspec.DecodeError, ValueError) as error:
            INTAKE_RECORDS.labels("dead_letter").inc()
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.warning("a record can't be read", **place, error=str(error))
            batch.dead.append({**place, "reason": str(error), "value": value[:MAX_RAW_BYTES], "received_at": now})
            continue
        if isinstance(change, KnownUntil):
            batch.known_until[record.partition] = change.known_until
        else:
            batch.changes.append(change)
    return batch


def _check_storable(change: CustomerChange | KnownUntil, value: bytes) -> None:
    store.check_text(value)
    if not isinstance(change, KnownUntil) and not 0 < change.sequence <= LARGEST_SEQUENCE:
        raise ValueError("its sequence is out of range")


class Intake:
    """`step` is one poll and one transaction. Whatever goes wrong, the next step reads on from the stored offsets."""

    def __init__(
        self,
        feed: Feed,
        offsets: Offsets,
        engine: AsyncEngine,
        follow_ups: Callable[[], FollowUps],
        clock: Callable[[], datetime],
        topic: str = STAGE_CHANGES,
    ) -> None:
        self._feed = feed
        self._reader = Reader(feed, self._take)
        self._topic = topic
        self._offsets = offsets
        self._engine = engine
        self._follow_ups = follow_ups
        self._clock = clock
        self._seeded = False
        self._epoch = FIRST_EPOCH

    async def step(self) -> bool:
        """False when the stores were away: then it is worth waiting before the next."""
        return await self._reader.step()

    async def _take(self, stretches: Sequence[Stretch]) -> None:
        if not self._seeded:
            ends = await self._feed.ends(self._topic)
            async with transaction(self._engine) as connection:
                await store.seed_partitions(connection, [partition.partition for partition in ends])
                self._epoch = await store.load_epoch(connection)
            self._seeded = True
        now = self._clock()
        batch = read((record for stretch in stretches for record in stretch.records), now, epoch=self._epoch)
        async with transaction(self._engine) as connection:
            await self._offsets.advance(connection, stretches)
            await take_in(connection, batch, self._follow_ups(), now)
        for stretch in stretches:
            behind = now.timestamp() - stretch.records[-1].timestamp / 1000
            INTAKE_LAG.labels(str(stretch.partition.partition)).set(max(behind, 0.0))


async def take_in(connection: AsyncConnection, batch: Batch, follow_ups: FollowUps, now: datetime) -> None:
    """All that a batch changes: what is held of its customers, and the messages that are planned because of it."""
    if batch.changes:
        customers, instances = await _hold(connection, batch.changes)
        touched, updated, subscribed = _advance(batch.changes, customers, instances)
        await store.save_customers(connection, list(customers.values()))
        if updated:
            await choices.came_back(connection, updated)
        if touched:
            await _plan(connection, [instances[i] for i in touched], customers, follow_ups, now)
        for place in sorted(subscribed):
            await lift(connection, place=place, why=[Why.UNSUBSCRIBED], because="they subscribed again", now=now)
        moved = {instances[i].customer_id for i in touched}
        if updated or moved:
            await store.reconsider(connection, updated | moved, now)
    if batch.known_until:
        await store.save_known_until(connection, batch.known_until)
    if batch.dead:
        await store.keep_dead_letters(connection, batch.dead)


async def _plan(
    connection: AsyncConnection,
    touched: list[Instance],
    customers: dict[UUID, Customer],
    follow_ups: FollowUps,
    now: datetime,
) -> None:
    await store.save_instances(connection, touched)
    wanted = [
        message
        for instance in touched
        for message in plan(instance, customers[instance.customer_id].storefront, follow_ups)
    ]
    planned = {instance.instance for instance in touched}
    stored = await store.load_rows(connection, planned, wanted)
    forgotten = await store.load_forgotten(connection, wanted)
    await store.write_changes(connection, reconcile(planned, wanted, stored, now, forgotten), now)


async def _hold(
    connection: AsyncConnection, changes: Sequence[CustomerChange]
) -> tuple[dict[UUID, Customer], dict[UUID, Instance]]:
    customers = await store.lock_customers(connection, {c.customer_id: c.storefront for c in changes})
    named, holders = set(), set()
    for change in changes:
        match change:
            case StageChanged() | StageRetracted():
                named.add(change.transition.instance)
            case CustomerTable():
                named.update(row.instance for row in change.table)
                holders.add(change.customer_id)
            case CustomerUpdated():
                pass
    return customers, await store.load_instances(connection, named, holders)


def _advance(
    changes: Iterable[CustomerChange], customers: dict[UUID, Customer], instances: dict[UUID, Instance]
) -> tuple[set[UUID], set[UUID], set[Place]]:
    """Applies them in place.

    Returns the instances that changed, the customers whose circumstances did, and the addresses of those who had said
    no to mail and now say yes.
    """
    touched: set[UUID] = set()
    updated: set[UUID] = set()
    subscribed: set[Place] = set()
    for change in changes:
        before = customers[change.customer_id]
        applied = apply(change, before, instances)
        if applied is None:
            INTAKE_RECORDS.labels("repeat").inc()
            continue
        if before.sequence and change.sequence != before.sequence + 1:
            INTAKE_RECORDS.labels("gap").inc()
            log.warning("changes are missing", customer=str(before.id), after=before.sequence, next=change.sequence)
        INTAKE_RECORDS.labels("applied").inc()
        customers[change.customer_id] = applied.customer
        for instance in applied.instances:
            instances[instance.instance] = instance
            touched.add(instance.instance)
        if isinstance(change, CustomerUpdated | CustomerTable):
            updated.add(change.customer_id)
            if (address := _subscribed_again(before.profile, applied.customer.profile)) is not None:
                subscribed.add(place_of(before.storefront, address))
    return touched, updated, subscribed


def _subscribed_again(before: Profile, after: Profile) -> str | None:
    """Only who was known to have said no: what is behind, and does not know of the no yet, says yes as well."""
    given = after.addresses.get("email")
    changed = before.consent.get("email") is False and after.consent.get("email") is True
    return given.value if changed and given is not None else None
