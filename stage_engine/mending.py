"""What an operator does when something could not be taken in: look at dead letters, send them again, fold again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.events import decode_event, record_key
from services.contracts.topics import EVENTS
from services.errors import ConfigurationError
from services.kafka import Record, Sender
from services.postgres import among, reading, transaction
from stage_engine import tables
from stage_engine.history import THE_BEGINNING
from stage_engine.outcomes import REFOLDING

_D = tables.dead_letters.c
_C = tables.customers.c
DEADLINE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Letter:
    """`place` names it: `topic/partition/offset` of the record that it is about, or that brought it."""

    place: str
    storefront: str | None
    code: str
    reason: str
    source: str
    received_at: datetime
    raw: bytes
    replayed_at: datetime | None


async def letters(engine: AsyncEngine, *, code: str | None, replayed: bool, limit: int) -> list[Letter]:
    """The newest first."""
    wanted = sa.select(tables.dead_letters).order_by(_D.received_at.desc()).limit(limit)
    if code is not None:
        wanted = wanted.where(_D.code == code)
    if not replayed:
        wanted = wanted.where(_D.replayed_at.is_(None))
    async with reading(engine) as connection:
        return [_letter(row) for row in await connection.execute(wanted)]


async def letter(engine: AsyncEngine, place: str) -> Letter:
    """Raises ConfigurationError when there is none at this place."""
    async with reading(engine) as connection:
        row = (await connection.execute(sa.select(tables.dead_letters).where(*_at(place)))).one_or_none()
    if row is None:
        raise ConfigurationError(f"there is no dead letter {place}; `stagepost dead-letters list` names them")
    return _letter(row)


async def replay(engine: AsyncEngine, sender: Sender, found: Sequence[Letter]) -> tuple[list[Letter], list[Letter]]:
    """Puts those that hold an event on the topic again and marks them; returns what was sent and what can't be.

    Sending twice does no harm: the event has its id. What ingest refused is no event yet and is for its client to mend.
    """
    records, sent, left = [], [], []
    for one in found:
        try:
            event = decode_event(one.raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            left.append(one)
            continue
        records.append(Record(topic=EVENTS, key=record_key(event), value=one.raw))
        sent.append(one)
    await sender.send(records, deadline=DEADLINE)
    async with transaction(engine) as connection:
        for one in sent:
            await connection.execute(
                sa.update(tables.dead_letters).where(*_at(one.place)).values(replayed_at=datetime.now(UTC))
            )
    return sent, left


async def ask_to_refold(connection: AsyncConnection, *, customer: UUID | None) -> int:
    """Has one customer, or all that are broken, folded again from the beginning; returns how many."""
    wanted = sa.select(_C.id).with_for_update()
    wanted = wanted.where(_C.broken.is_not(None)) if customer is None else wanted.where(_C.id == customer)
    ids = list((await connection.execute(wanted.order_by(_C.id))).scalars())
    at, rank, event_id = THE_BEGINNING
    await connection.execute(
        sa.update(tables.customers)
        .where(among(_C.id, ids))
        .values(
            refold_at=at,
            refold_rank=rank,
            refold_id=event_id,
            next_wake=None,
            hold=sa.func.coalesce(_C.hold, REFOLDING),
        )
    )
    return len(ids)


def _at(place: str) -> tuple[sa.ColumnElement[bool], ...]:
    try:
        topic, partition, offset = place.rsplit("/", 2)
        return _D.topic == topic, _D.partition == int(partition), _D.record_offset == int(offset)
    except ValueError:
        raise ConfigurationError(f"`{place}` names no dead letter; write it as in storefront.events/3/120") from None


def _letter(row: Any) -> Letter:  # noqa: ANN401  SQLAlchemy's row
    return Letter(
        place=f"{row.topic}/{row.partition}/{row.record_offset}",
        storefront=row.storefront,
        code=row.code,
        reason=row.reason,
        source=row.source,
        received_at=row.received_at,
        raw=row.raw,
        replayed_at=row.replayed_at,
    )
