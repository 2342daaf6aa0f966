"""The outbox: changes are written in the transaction that made them, published after it, and kept for a time.

A repeat is the same bytes, headers included, since all that they are made of is what is stored.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.changes import FIRST_EPOCH, ChangeType, cloudevent_attributes, cloudevent_headers
from services.contracts.fitting import fitted
from services.contracts.topics import STAGE_CHANGES
from services.kafka import Record
from services.postgres import columns_of, rows, selected, transaction
from stage_engine import tables
from stage_engine.changes import Announcement

SLICES = 8
"""How many engines can publish at once at the most; a customer is always in the same slice."""
FORGOTTEN_AT_ONCE = 1000
"""Rows of one deletion: a transaction of milliseconds, so that nobody waits for it."""

_O = tables.outbox.c
_S = tables.slices.c
PUBLISHED_AS = (_O.id, _O.slice, _O.customer_id, _O.sequence, _O.storefront, _O.type, _O.value, _O.made_at, _O.epoch)
"""What a record is made of."""


def slice_of(customer: UUID) -> int:
    return customer.bytes[0] % SLICES


def current_epoch() -> sa.ColumnElement[int]:
    """The stream's epoch, as part of a statement."""
    return sa.func.coalesce(sa.select(tables.stream.c.epoch).scalar_subquery(), FIRST_EPOCH)


async def post(connection: AsyncConnection, announced: Sequence[Announcement]) -> None:
    """Writes changes into the outbox, in their order, inside the caller's transaction."""
    if not announced:
        return
    columns = (_O.slice, _O.customer_id, _O.sequence, _O.storefront, _O.type, _O.value, _O.made_at)
    given = rows("posted", columns)
    now = datetime.now(UTC)
    values = [
        (slice_of(c.customer_id), c.customer_id, c.sequence, c.storefront, str(kind), fitted(c)[1], now)
        for kind, c in announced
    ]
    await connection.execute(
        insert(tables.outbox).from_select(
            [*(c.name for c in columns), "epoch"], sa.select(*selected(given, columns), current_epoch())
        ),
        columns_of("posted", columns, values),
    )


def record_of(row: Any) -> Record:  # noqa: ANN401  a row of PUBLISHED_AS
    return Record(
        topic=STAGE_CHANGES,
        key=str(row.customer_id).encode(),  # text: the CloudEvents SDKs read a key as the partition key
        value=row.value,
        headers=cloudevent_headers(ChangeType(row.type), **_context(row)),
    )


def attributes_of(row: Any) -> dict[str, str | int]:  # noqa: ANN401  a row of PUBLISHED_AS
    """The same context as the record's, for answers over HTTP."""
    return cloudevent_attributes(ChangeType(row.type), **_context(row))


def _context(row: Any) -> dict[str, Any]:  # noqa: ANN401  a row of PUBLISHED_AS
    return {
        "event_id": f"{row.customer_id}/{row.sequence}",
        "storefront": row.storefront,
        "subject": str(row.customer_id),
        "time": row.made_at,
        "epoch": row.epoch,
    }


async def lock_slices(connection: AsyncConnection, slices: Sequence[int]) -> dict[int, int]:
    """The last position given in each of them, none of which another transaction gives out or forgets meanwhile."""
    wanted = sa.select(_S.slice, _S.position).where(_S.slice.in_(slices)).order_by(_S.slice).with_for_update()
    found = (await connection.execute(wanted)).all()
    if len(found) < len(slices):
        begun = [{"slice": number, "position": 0, "forgotten": 0} for number in sorted(slices)]
        await connection.execute(insert(tables.slices).on_conflict_do_nothing(), begun)
        found = (await connection.execute(wanted)).all()
    return {row.slice: row.position for row in found}


async def forget_published(engine: AsyncEngine, made_before: datetime) -> int:
    """Deletes the oldest of the published changes, a few at once; returns how many.

    Which were deleted is remembered by their positions: who asks for them is told that they are gone.
    """
    oldest = sa.select(_O.id, _O.published, _O.made_at).order_by(_O.id).limit(FORGOTTEN_AT_ONCE).subquery()
    old = sa.select(oldest.c.id).where(oldest.c.published, oldest.c.made_at < made_before)
    async with transaction(engine) as connection:
        await lock_slices(connection, range(SLICES))
        deleted = (
            await connection.execute(sa.delete(tables.outbox).where(_O.id.in_(old)).returning(_O.slice, _O.position))
        ).all()
        gone: dict[int, int] = {}
        for row in deleted:
            gone[row.slice] = max(gone.get(row.slice, 0), row.position or 0)
        for number, position in gone.items():
            await connection.execute(
                sa.update(tables.slices)
                .where(_S.slice == number)
                .values(forgotten=sa.func.greatest(_S.forgotten, position))
            )
    return len(deleted)
