"""What was read of the topics, as entries to store or as dead letters. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter, decode_dead_letter
from services.contracts.events import MESSAGE_EVENTS, Event, Name, SaidBy, decode_event
from services.contracts.identity import Identity, IdentityKind, Who, identities_of
from services.contracts.topics import DEAD_LETTERS
from services.kafka import Stretch
from services.shop import Storefront
from stage_engine.history import Entry, body_hash
from stage_engine.identity import Link, identity_id, links_said
from stage_engine.orders import BOOKED

NEEDS_A_SERVER = (
    (BOOKED - {Name.ORDER_COMPLETED})
    | MESSAGE_EVENTS
    | {"Order Shipped", "Order Delivered", "Survey Answered", Name.EMAIL_SUBSCRIBED, "Stage Set", "Referral Completed"}
    | {"Support Case Opened", "Support Case Closed", "Product Back In Stock", "Product Price Dropped"}
)
"""What a browser may not say: keys of web pages are public, and these would forge money, consent or an answer, call the
shop's people to customers who are not unhappy, or let marketing go to those who are."""


ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL as JSON spells it; after an escaped backslash `u0000` is text like any other."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event to store, with every identity that it names and what it says of who is whom."""

    entry: Entry
    named: tuple[Identity, ...]
    links: tuple[Link, ...]
    place: Place


@dataclass(slots=True)
class Arrivals:
    events: list[Arrival] = field(default_factory=list)
    dead: list[tuple[Place, DeadLetter]] = field(default_factory=list)


MAX_TEXT = 2_000
"""Characters of a dead letter's texts."""
MAX_ID = 200
"""Characters of an event's id, as ingest takes it: it is part of an index's key in Postgres."""
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Nothing that a shop reports lies outside, and no span of a rule leads out of what a datetime can say."""


def arrivals_of(stretches: Iterable[Stretch], storefronts: Mapping[str, Storefront]) -> Arrivals:
    """Sorts every record into one of the two; none is dropped and none raises."""
    found = Arrivals()
    for stretch in stretches:
        for record in stretch.records:
            place = Place(record.topic, record.partition, record.offset)
            match _read(record, place, storefronts):
                case Arrival() as arrival:
                    found.events.append(arrival)
                case DeadLetter() as letter:
                    found.dead.append((place, letter))
    return found


def _read(record: Any, place: Place, storefronts: Mapping[str, Storefront]) -> Arrival | DeadLetter:  # noqa: ANN401  aiokafka's record
    raw = record.value or b""
    try:
        if record.topic == DEAD_LETTERS:
            return _storable(decode_dead_letter(raw), record)
        event = decode_event(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _letter(record, place, None, "undecodable", str(error))
    storefront = storefronts.get(event.storefront)
    if storefront is None:
        return _letter(
            record, place, event, "unknown_storefront", "the revision of the shop in force does not declare it"
        )
    if fault := _fault(event, raw, storefront):
        return _letter(record, place, event, *fault)
    return arrival(event, storefront, place)


def _fault(event: Event, raw: bytes, storefront: Storefront) -> tuple[str, str] | None:
    """Why an event of a known storefront is not taken in: a code and a reason."""
    if ESCAPED_NUL.search(raw):
        return "unstorable", "it holds a NUL, which Postgres can't keep"
    if not 0 < len(event.id) <= MAX_ID:
        return "unstorable", f"its id has {len(event.id)} characters; 1 to {MAX_ID} are taken"
    if not (event.occurred_at >= EARLIEST and event.received_at <= LATEST):
        return "absurd_time", f"its times are not within {EARLIEST:%Y} and {LATEST:%Y}"
    if max(event.occurred_at, event.imported_at or event.occurred_at) > event.received_at:
        return "from_the_future", "it says that it happened, or was imported, after it was received"
    asks = storefront.double_opt_in and event.name == Name.EMAIL_SUBSCRIBED
    if event.said_by is SaidBy.BROWSER and event.name in NEEDS_A_SERVER and not asks:
        return "untrusted_source", f"a browser may not say {event.name}"
    return None


def arrival(event: Event, storefront: Storefront, place: Place) -> Arrival:
    """Decides for ever which identity the event belongs to, and which of what it says of `who` names somebody."""
    named = identities_of(event.who, event.id, [address.lower() for address in storefront.own_addresses])
    kept = msgspec.structs.replace(
        event,
        who=Who(**{identity.kind.field: identity.value for identity in named if identity.kind != IdentityKind.EVENT}),
        occurred_at=event.occurred_at.astimezone(UTC),
        received_at=event.received_at.astimezone(UTC),
        imported_at=event.imported_at and event.imported_at.astimezone(UTC),
    )
    entry = Entry(
        identity=identity_id(event.storefront, named[0]), belongs_to=named[0], event=kept, body=body_hash(event)
    )
    return Arrival(entry, named, tuple(links_said(kept, named)), place)


def _letter(record: Any, place: Place, event: Event | None, code: str, reason: str) -> DeadLetter:  # noqa: ANN401  as above
    letter = DeadLetter(
        storefront=event.storefront if event else None,
        code=code,
        reason=reason,
        source=str(place),
        received_at=event.received_at if event else _stamped(record),
        raw=record.value or b"",
    )
    return _storable(letter, record)


def _storable(letter: DeadLetter, record: Any) -> DeadLetter:  # noqa: ANN401  as above
    """Whatever is in it, it can be kept: the table of dead letters is the last place there is."""
    in_range = EARLIEST <= letter.received_at <= LATEST
    return DeadLetter(
        storefront=None if letter.storefront is None else _text(letter.storefront),
        code=_text(letter.code),
        reason=_text(letter.reason),
        source=_text(letter.source),
        received_at=letter.received_at.astimezone(UTC) if in_range else _stamped(record),
        raw=letter.raw[:MAX_RAW_BYTES],
    )


def _text(said: str) -> str:
    return said[:MAX_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _stamped(record: Any) -> datetime:  # noqa: ANN401  as above
    """When Kafka says that the record was written; that is its writer's word, too."""
    return datetime.fromtimestamp(min(max(record.timestamp, 0), LATEST.timestamp() * 1000) / 1000, UTC)
