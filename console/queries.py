"""What the console reads: the views of the schema `reporting`, and nothing else."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.postgres import reading

LATEST: Final = 30
"""Moves and messages on the overview: about two screens."""
OF_A_CUSTOMER: Final = 500
"""Newest events, moves and messages on one customer's page; a bot has thousands."""
FOUND: Final = 20
QUERY_CANCELED: Final = "57014"

STAGES: Final = sa.text("SELECT storefront, track, stage, instances, customers FROM reporting.stages")
TRANSITIONS: Final = """
    SELECT storefront, customer_id, id, at, track, key, from_stage, to_stage, rule, reason FROM reporting.transitions
"""
MESSAGES: Final = """
    SELECT storefront, follow_up, channel, customer_id, status, reason, created_at, sent_at FROM reporting.messages
"""
LATEST_MOVES: Final = sa.text(TRANSITIONS + "ORDER BY at DESC, from_stage IS NULL, id LIMIT :limit")
LATEST_MESSAGES: Final = sa.text(MESSAGES + "ORDER BY created_at DESC LIMIT :limit")
MESSAGE_COUNTS: Final = sa.text("SELECT status, count(*) AS messages FROM reporting.messages GROUP BY status")
NO_LONGER_THAN_2_S: Final = sa.text("SET LOCAL statement_timeout = '2s'")
TOTALS: Final = sa.text("""
    SELECT count(*) AS events, count(DISTINCT customer_id) AS customers,
           (SELECT count(*) FROM reporting.transitions) AS moves
      FROM reporting.events
""")
EVENTS_OF: Final = sa.text("""
    SELECT event_id, name, occurred_at, received_at, said_by, jsonb_pretty(properties) AS properties
      FROM reporting.events WHERE customer_id = :customer
     ORDER BY occurred_at DESC LIMIT :limit
""")
MOVES_OF: Final = sa.text(TRANSITIONS + "WHERE customer_id = :customer ORDER BY at DESC LIMIT :limit")
MESSAGES_OF: Final = sa.text(MESSAGES + "WHERE customer_id = :customer ORDER BY created_at DESC LIMIT :limit")
CUSTOMERS_BETWEEN: Final = sa.text("""
    SELECT DISTINCT customer_id FROM reporting.events WHERE customer_id BETWEEN :low AND :high
     ORDER BY customer_id LIMIT :limit
""")
CUSTOMERS_WITH_EVENT: Final = sa.text("""
    SELECT DISTINCT customer_id FROM reporting.events WHERE event_id = :event_id ORDER BY customer_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCount:
    """`instances` of a track (carts, orders) that stand in a stage, and how many customers they belong to."""

    storefront: str
    track: str
    stage: str
    instances: int
    customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    storefront: str
    customer_id: UUID
    id: UUID
    at: datetime
    track: str
    key: str
    from_stage: str | None
    to_stage: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    storefront: str
    follow_up: str
    channel: str
    customer_id: UUID
    status: str
    reason: str | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HappenedEvent:
    """`properties` are JSON text, indented for reading."""

    event_id: str
    name: str
    occurred_at: datetime
    received_at: datetime
    said_by: str
    properties: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    events: int
    customers: int
    moves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`totals` is None where counting takes too long to be done for a look at a page."""

    stages: list[StageCount]
    moves: list[Move]
    messages: list[Message]
    message_counts: dict[str, int]
    totals: Totals | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """The newest of a customer's events, moves and messages, each newest first."""

    events: list[HappenedEvent]
    moves: list[Move]
    messages: list[Message]


async def overview(engine: AsyncEngine) -> Overview:
    totals = await _totals(engine)
    async with reading(engine) as connection:
        limit = {"limit": LATEST}
        counts = await connection.execute(MESSAGE_COUNTS)
        return Overview(
            stages=[StageCount(**row) for row in await _rows(connection, STAGES, {})],
            moves=[Move(**row) for row in await _rows(connection, LATEST_MOVES, limit)],
            messages=[Message(**row) for row in await _rows(connection, LATEST_MESSAGES, limit)],
            message_counts={row.status: row.messages for row in counts},
            totals=totals,
        )


async def _totals(engine: AsyncEngine) -> Totals | None:
    async with reading(engine) as connection:
        await connection.execute(NO_LONGER_THAN_2_S)
        try:
            (row,) = await _rows(connection, TOTALS, {})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
                return None
            raise
    return Totals(**row)


async def journey(engine: AsyncEngine, customer: UUID) -> Journey | None:
    """None for a customer of whom nothing is known."""
    of = {"customer": customer, "limit": OF_A_CUSTOMER}
    async with reading(engine) as connection:
        found = Journey(
            events=[HappenedEvent(**row) for row in await _rows(connection, EVENTS_OF, of)],
            moves=[Move(**row) for row in await _rows(connection, MOVES_OF, of)],
            messages=[Message(**row) for row in await _rows(connection, MESSAGES_OF, of)],
        )
    return found if found.events or found.moves or found.messages else None


async def search(engine: AsyncEngine, asked: str) -> list[UUID]:
    """The customers whose id begins so, and those who did the event with this id."""
    found: set[UUID] = set()
    async with reading(engine) as connection:
        if ids := ids_beginning(asked):
            low, high = ids
            rows = await connection.execute(CUSTOMERS_BETWEEN, {"low": low, "high": high, "limit": FOUND})
            found.update(rows.scalars())
        rows = await connection.execute(CUSTOMERS_WITH_EVENT, {"event_id": asked, "limit": FOUND})
        found.update(rows.scalars())
    return sorted(found)[:FOUND]


SHORTEST_BEGINNING: Final = 4
"""Hex digits of a customer's id: a look-up among 1/65,536 of all, not a list of everybody."""


def ids_beginning(asked: str) -> tuple[UUID, UUID] | None:
    """The least and the greatest id that begin so: an index finds what lies between. None for what begins no id."""
    digits = asked.strip().lower().replace("-", "")
    if not SHORTEST_BEGINNING <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):  # noqa: PLR2004  an id's digits
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


async def _rows(
    connection: AsyncConnection, statement: sa.TextClause, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement, parameters)).mappings()]
