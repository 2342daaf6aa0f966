"""A small data set for the checker's own tests: a seed's shop traffic, taken in by the product's own code.

No Kafka: the records are numbered here as a topic would number them, and what the outbox holds is taken for published.
"""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from engine_world import Fixed
from faults_evidence import Evidence, Mail, Published, Tables
from faults_reference import Logged, sorted_out
from faults_traffic import FERN, POISON, Shoppers
from faults_world import SHOP
from sqlalchemy.ext.asyncio import AsyncEngine

from ingest.dialects.native import read_event
from ingest.dialects.reading import Call as Reading
from ingest.dialects.reading import Refusal
from notifier import intake
from notifier.followups_file import read_follow_ups
from notifier.tables import messages
from services.contracts.events import SaidBy, encode_event
from services.contracts.topics import EVENTS
from services.postgres import transaction
from services.shop import YamlFile, load_shop
from stage_engine import snapshots, store, tables
from stage_engine.apply import take_in
from stage_engine.in_force import ensure_namespaces
from stage_engine.model.load import load_model
from stage_engine.outbox import PUBLISHED_AS, record_of
from stage_engine.pointers import Grew
from stage_engine.rules import Rules
from stage_engine.wakes import Wakes

RULES = Rules(load_model(SHOP / "lifecycle.yaml"), load_shop(SHOP).storefronts)
BATCH = 9


async def recorded(engine: AsyncEngine, *, seed: int, events: int) -> Evidence:
    """Evidence of a sound stack: every event sent twice, shuffled, with poison among them."""
    records = _records(random.Random(seed), events)  # noqa: S311  it is to be drawn again
    namespaces = await ensure_namespaces(engine, list(RULES.storefronts))
    for start in range(0, len(records), BATCH):
        arrivals = sorted_out(records[start : start + BATCH], RULES.storefronts)
        locked: frozenset[UUID] = frozenset()
        while True:
            try:
                async with transaction(engine) as connection:
                    await take_in(connection, arrivals.events, RULES, namespaces, also_lock=locked)
                    await store.write_dead_letters(connection, arrivals.dead)
                    await store.raise_watermark(connection, datetime.now(UTC) - timedelta(minutes=1))
            except Grew as grew:
                locked |= grew.rows
            else:
                break
    async with transaction(engine) as connection:
        await store.raise_watermark(connection, datetime.now(UTC) + timedelta(minutes=1))
    while await Wakes(Fixed(engine, RULES)).step():
        pass
    published = await _publish(engine)
    mails = await _mail(engine, published)
    acknowledged = {
        (arrival.entry.event.storefront, arrival.entry.event.id)
        for arrival in sorted_out(records, RULES.storefronts).events
    }
    return Evidence(
        acknowledged=frozenset(acknowledged),
        records=records,
        tables=await Tables.read(engine),
        published=published,
        mails=mails,
        standings=await _standings(engine),
    )


def _records(rng: random.Random, events: int) -> list[Logged]:
    values: list[bytes | None] = list(POISON)
    begun = datetime.now(UTC)
    for call in Shoppers(rng, "t").calls(events) * 2:
        said_by = SaidBy.SERVER if call.kind == "server" else SaidBy.BROWSER
        received_at = begun + timedelta(milliseconds=rng.randrange(60_000))
        by = Reading(storefront=call.storefront, said_by=said_by, received_at=received_at, new_id=lambda: "")
        event = read_event(json.dumps(call.event).encode(), by)
        assert not isinstance(event, Refusal), event
        values.append(encode_event(event))
    rng.shuffle(values)
    stamp = int(begun.timestamp() * 1000)
    return [
        Logged(topic=EVENTS, partition=0, offset=offset, timestamp=stamp, value=value)
        for offset, value in enumerate(values)
    ]


async def _publish(engine: AsyncEngine) -> list[Published]:
    """The outbox as it would stand on the topic, with one change repeated; the notifier hears it too."""
    o = tables.outbox.c
    async with transaction(engine) as connection:
        rows = (await connection.execute(sa.select(*PUBLISHED_AS).order_by(o.id))).all()
        await connection.execute(sa.update(tables.outbox).values(published=True))
        made = [(row, record_of(row)) for row in (*rows, rows[0])]
        found = [
            Published(
                partition=0,
                offset=offset,
                customer=row.customer_id,
                sequence=row.sequence,
                key=record.key or b"",
                headers=tuple(record.headers),
                value=record.value or b"",
            )
            for offset, (row, record) in enumerate(made)
        ]
        now = datetime.now(UTC)
        follow_ups = read_follow_ups(YamlFile(SHOP / "followups.yaml"))
        await intake.take_in(connection, intake.read([record for _, record in made], now), follow_ups, now)
    return found


async def _standings(engine: AsyncEngine) -> dict[UUID, tuple[int, bytes | None]]:
    async with transaction(engine) as connection:
        return {
            s.customer_id: (s.sequence, snapshots.record_of(s, epoch=1, now=datetime.now(UTC)).value)
            for s in await snapshots.everyone(connection, after=None, limit=10_000)
        }


async def _mail(engine: AsyncEngine, published: Sequence[Published]) -> list[Mail]:
    """Every message that is wanted counts as sent."""
    assert published
    async with transaction(engine) as connection:
        sent = await connection.execute(
            sa.update(messages)
            .where(messages.c.status == "pending")
            .values(status="sent", address=sa.func.concat(messages.c.id, "@example.com"))
            .returning(messages.c.id, messages.c.address, messages.c.follow_up)
        )
        subjects = {"thank-you": "Thank you for your order", "abandoned-cart": "Your cart is waiting"}
        return [
            Mail(message_id=f"{row.id}@{FERN}.example", to=row.address, subject=subjects[row.follow_up]) for row in sent
        ]
