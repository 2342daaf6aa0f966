"""What leaves the stage engine on `customer.stage-changes` and `customer.stages`: CloudEvents 1.0, Kafka's binary mode.

The type of a record is its `ce_type` header and decides the struct of its value. Every customer has a sequence without
gaps over all types of change but `known.until`; a repeat is byte for byte the same, so a subscriber drops what is not
above the last sequence it has seen. All of that holds within one epoch (`ce_streamepoch`): when it rises, the database
was restored to an earlier time, sequences were given out a second time, and a subscriber begins anew from
`customer.stages`. A breaking change is a new type.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from services.contracts.events import Moment, SaidBy


class ChangeType(StrEnum):
    STAGE_CHANGED = "stage.changed"
    STAGE_RETRACTED = "stage.retracted"
    CUSTOMER_UPDATED = "customer.updated"
    CUSTOMER_JOINED = "customer.joined"
    CUSTOMER_SPLIT = "customer.split"
    KNOWN_UNTIL = "known.until"
    """Not about a customer: on every partition, once a second."""


STANDING_TYPE: Final = "customer.standing"
"""The type of what stands on `customer.stages`: no change, but where the changes up to its sequence have led."""
FIRST_EPOCH: Final = 1


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where somebody can be reached. What only a browser said is a claim, not yet an address.

    `network` stands for the network that a claim first came from (`Event.network`): few claims of one are believed.
    """

    value: str
    said_by: SaidBy
    network: str | None = None


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """The identity that a customer's id was made of: who says something of it says it of this customer.

    `kind` is as in an event's `who`, or `event` where nobody was named.
    """

    kind: str
    value: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a customer beside the stages.

    `traits` were said by a server and may stand in a mail; `claims` only by a browser: good for conditions, never for
    the text of a mail. `consent` maps a channel (`email`) or a topic of marketing (`topic:news`) to
    True (granted) or False (withdrawn); absent is unknown.
    `root` stays the same for as long as there is the customer; None until anything else of the profile was said.
    """

    traits: dict[str, Any] = msgspec.field(default_factory=dict)
    claims: dict[str, Any] = msgspec.field(default_factory=dict)
    addresses: dict[str, Address] = msgspec.field(default_factory=dict)
    consent: dict[str, bool] = msgspec.field(default_factory=dict)
    root: Root | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event that made something happen, or for a timed move the event that armed it."""

    identity: UUID
    event_id: str


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One move of one instance. `id` and `instance` name facts, not customers: a join announces nothing twice.

    `at` is event time. `from_stage` is None at an instance's beginning. `reason` says it to a person, `facts` holds the
    facts that the rule looked at (money as strings). `historical`: it follows from imported events and happened before
    their import began, so it starts nothing, and does cancel.
    """

    id: UUID
    instance: UUID
    track: str
    key: str
    from_stage: str | None
    to_stage: str
    at: Moment
    rule: str
    cause: Cause
    reason: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    historical: bool = False


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is about: a cart's or an order's contents as known then, for those who write of it.

    `items` hold what a server said of them (`product_id, sku, name, variant, quantity, price, url, image_url`); of what
    a browser said only `product_id`, `sku`, `variant` and `quantity`. Money is strings in `currency`. `tracking_url` is
    where an order's parcel can be followed. `comment` is what the customer wrote with their last answer, or of the case
    that they opened, as text of theirs: nothing that may stand in a mail to anybody but the shop's own people.
    """

    items: list[dict[str, Any]] = msgspec.field(default_factory=list)
    value: str | None = None
    currency: str | None = None
    url: str | None = None
    tracking_url: str | None = None
    comment: str | None = None


class InstanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where one instance stands: what a subscriber holds of it.

    `moves` are its surviving transitions, oldest first, in the table of a join or a split; a `CustomerStanding` has
    none. A cart that ended is let go of at some time, as is the oldest of more than 200 instances. That is no change:
    who keeps such a row keeps where it stood last.
    """

    instance: UUID
    track: str
    key: str
    stage: str
    since: Moment
    subject: Subject = msgspec.field(default_factory=Subject)
    moves: list[Transition] = msgspec.field(default_factory=list)


class StageChanged(msgspec.Struct, frozen=True, kw_only=True):
    """`transition` happened; `stage` is where its instance stands now, and since when.

    That is not always where the transition led: a late event may add a move to the past, and of several moves at once
    each says where they ended. It is None for an instance that the engine has let go of (`InstanceRow`).

    `replay` marks what a changed model, or an import, says of the past: it starts nothing, and does cancel.
    """

    storefront: str
    customer_id: UUID
    sequence: int
    transition: Transition
    stage: str | None
    since: Moment | None
    subject: Subject
    replay: bool = False
    shortened: bool = False


class StageRetracted(msgspec.Struct, frozen=True, kw_only=True):
    """`transition` turned out never to have happened; `stage` is where its instance stands now, None if nowhere."""

    storefront: str
    customer_id: UUID
    sequence: int
    transition: Transition
    stage: str | None
    since: Moment | None
    replay: bool = False
    shortened: bool = False


class CustomerUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """`hold` says why nothing may be sent to this customer now; None when it may."""

    storefront: str
    customer_id: UUID
    sequence: int
    profile: Profile
    hold: str | None = None
    shortened: bool = False


class CustomerTable(msgspec.Struct, frozen=True, kw_only=True):
    """A join or a split, on the stream of every customer it touches: replace all you hold of this one by `table`.

    `number` orders joins and splits over the whole engine; `others` are the further customers that it touched. A
    customer that is now part of another shows an empty table and says of which in `part_of`. Of the moves in the table
    those in `replays` are new and start nothing, as in `StageChanged.replay`.
    """

    storefront: str
    customer_id: UUID
    sequence: int
    number: int
    others: list[UUID]
    part_of: UUID | None
    profile: Profile
    table: list[InstanceRow]
    replays: list[UUID] = msgspec.field(default_factory=list)
    shortened: bool = False


class CustomerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where one customer is now, with all changes up to `sequence` taken in: what a new subscriber begins with.

    On `customer.stages` a customer that is now part of another has no value (a tombstone); over HTTP it shows an empty
    table and says of which in `part_of`. `approximate`: a join or a split came after some of what it needed to be exact
    was kept no longer.
    """

    storefront: str
    customer_id: UUID
    sequence: int
    part_of: UUID | None
    profile: Profile
    hold: str | None
    table: list[InstanceRow]
    approximate: bool = False
    shortened: bool = False


class KnownUntil(msgspec.Struct, frozen=True, kw_only=True):
    """Before this time no wake is overdue and no change is unpublished."""

    known_until: Moment


CustomerChange = StageChanged | StageRetracted | CustomerUpdated | CustomerTable
Change = CustomerChange | KnownUntil

STRUCT_OF: Final[Mapping[ChangeType, type[Change]]] = {
    ChangeType.STAGE_CHANGED: StageChanged,
    ChangeType.STAGE_RETRACTED: StageRetracted,
    ChangeType.CUSTOMER_UPDATED: CustomerUpdated,
    ChangeType.CUSTOMER_JOINED: CustomerTable,
    ChangeType.CUSTOMER_SPLIT: CustomerTable,
    ChangeType.KNOWN_UNTIL: KnownUntil,
}

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoders = {kind: msgspec.json.Decoder(struct) for kind, struct in STRUCT_OF.items()}


class UnknownChangeType(ValueError):
    """A record of a type that this reader does not know; the contract is to skip it."""


def encode_change(change: Change | CustomerStanding) -> bytes:
    return _encoder.encode(change)


def cloudevent_attributes(
    kind: str, *, event_id: str, storefront: str, subject: str | None, time: datetime, epoch: int
) -> dict[str, str | int]:
    """What CloudEvents calls the context of an event, in a fixed order so that a repeat has the same bytes."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/stagepost/{storefront}",
        "type": str(kind),
        "time": time.isoformat(),
        "dataschema": f"urn:stagepost:{kind}:1",
        **({"subject": subject, "partitionkey": subject} if subject else {}),
        "streamepoch": epoch,
    }


def cloudevent_headers(
    kind: str, *, event_id: str, storefront: str, subject: str | None, time: datetime, epoch: int = FIRST_EPOCH
) -> list[tuple[str, bytes]]:
    """The same as the headers of a record."""
    attributes = cloudevent_attributes(
        kind, event_id=event_id, storefront=storefront, subject=subject, time=time, epoch=epoch
    )
    named = {f"ce_{name}": str(value) for name, value in attributes.items()} | {"content-type": "application/json"}
    return [(name, value.encode()) for name, value in named.items()]


def epoch_of(headers: Iterable[tuple[str, bytes]]) -> int:
    """The stream's epoch by a record's headers. Raises ValueError where it is no number."""
    return next((int(value) for name, value in headers if name == "ce_streamepoch"), FIRST_EPOCH)


def decode_change(headers: Iterable[tuple[str, bytes]], value: bytes) -> Change:
    """Raises `UnknownChangeType` for a type that is not ours to read and `msgspec.DecodeError` for a broken value."""
    said = next((v.decode("utf-8", "replace") for name, v in headers if name == "ce_type"), "")
    try:
        kind = ChangeType(said)
    except ValueError:
        raise UnknownChangeType(said or "no ce_type header") from None
    return _decoders[kind].decode(value)
