"""A customer's events as the fold reads them: each belongs to an identity, and all have one order for ever."""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec

from services.contracts.changes import Cause
from services.contracts.events import Event, rank_of
from services.contracts.identity import Identity


class Position(NamedTuple):
    """Where an event sorts among its customer's: by time, then rank, then id by bytes.

    Python compares text by code points, which is the order of UTF-8 bytes and of Postgres' `COLLATE "C"`.
    """

    occurred_at: datetime
    rank: int
    event_id: str

    @classmethod
    def due(cls, at: datetime) -> "Position":
        """Where what is due at a time stands: before every event at that time, after all earlier ones."""
        return cls(at, 0, "")


THE_BEGINNING = Position.due(datetime.min.replace(tzinfo=UTC))
THE_END = Position.due(datetime.max.replace(tzinfo=UTC))


Precedence = tuple[datetime, bytes, datetime, str]
"""Received when, what it says, imported when, from where: all that two copies with one event id can differ in."""
NOT_IMPORTED = datetime.min.replace(tzinfo=UTC)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event under the identity that it belongs to for ever; `body` is a hash of all but when and whence it came."""

    identity: UUID
    belongs_to: Identity
    event: Event
    body: bytes

    @property
    def position(self) -> Position:
        return Position(self.event.occurred_at, rank_of(self.event.name), self.event.id)

    @property
    def cause(self) -> Cause:
        return Cause(identity=self.identity, event_id=self.event.id)

    @property
    def key(self) -> UUID:
        return event_key(self.event.id)

    @property
    def precedence(self) -> "Precedence":
        """Of copies with one event id the one received first counts."""
        return precedence_of(self.event.received_at, self.body, self.event.imported_at, self.event.network)


def precedence_of(
    received_at: datetime, body: bytes, imported_at: datetime | None, network: str | None
) -> "Precedence":
    return received_at, body, imported_at or NOT_IMPORTED, network or ""


def event_key(event_id: str) -> UUID:
    """16 bytes for an index in place of a text."""
    return UUID(bytes=blake2b(event_id.encode(), digest_size=16).digest())


_body = msgspec.json.Encoder(decimal_format="string", order="deterministic")


def body_hash(event: Event) -> bytes:
    """16 bytes that are equal for copies of one body, whenever they were received."""
    return blake2b(
        _body.encode(
            (event.name, event.who, event.occurred_at, event.said_by, event.properties, event.traits, event.context)
        ),
        digest_size=16,
    ).digest()


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """One entry an event id, in the order of their positions, whatever order and however many copies came."""
    first: dict[str, Entry] = {}
    for entry in entries:
        known = first.get(entry.event.id)
        if known is None or entry.precedence < known.precedence:
            first[entry.event.id] = entry
    return sorted(first.values(), key=lambda entry: entry.position)
