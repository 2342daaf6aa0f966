"""From a body to what goes to Kafka and what is answered. Pure: the sink only carries it out."""

from dataclasses import dataclass
from typing import Any, assert_never

from ingest.dialects.reading import Body, Call, Refusal, Taken
from ingest.limits import Limits, fault_in
from services.contracts.dead_letters import MAX_RAW_BYTES, DeadLetter, encode_dead_letter
from services.contracts.events import Event, encode_event, record_key
from services.contracts.keys import SHOWN, WRITE_KEY_PREFIX
from services.contracts.privacy import PrivacyRequest, encode_request, key_of_request
from services.contracts.products import Product, ProductGone, encode_product, key_of_product
from services.contracts.topics import DEAD_LETTERS, EVENTS, MAX_REQUEST_BYTES, PRIVACY, PRODUCTS
from services.errors import BadRequest, TooLarge
from services.kafka import Record

MAX_EVENT_RECORD = MAX_REQUEST_BYTES - 2048
"""Key and value of one record: below what the sender refuses, so that one event can't fail its whole batch."""


@dataclass(frozen=True, slots=True)
class Rejected:
    index: int
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`letters` are the rejected items, kept with their reason: nothing that was taken from a client is lost.

    `others` are for other topics than the events'.
    """

    received: int
    events: tuple[Record, ...]
    others: tuple[Record, ...] = ()
    rejected: tuple[Rejected, ...]
    letters: tuple[Record, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        return self.events + self.others + self.letters

    @property
    def answer(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "accepted": self.received - len(self.rejected),
            "rejected": [
                {"index": r.index, "code": r.refusal.code, "message": r.refusal.message} for r in self.rejected
            ],
        }


def decide(body: Body, call: Call, limits: Limits, *, route: str) -> Decision:
    """Raises TooLarge for too many events, BadRequest for what a batch says of all of them at once."""
    _check_batch(body, limits)
    room = limits.spread_bytes + 2 * limits.body_bytes  # what events repeat, and the body with our own words beside it
    taken: list[Record] = []
    rejected: list[Rejected] = []
    letters: list[Record] = []
    for index, item in enumerate(body.items):
        raw = bytes(item)
        outcome = _fitting(_read(raw, body, call, limits), room)
        if isinstance(outcome, Refusal):
            rejected.append(Rejected(index, outcome))
            letters.append(_letter(outcome, _without_key(raw, body.key), call, f"{route} {body.document}".strip()))
        else:
            taken += outcome
            room -= sum(map(record_bytes, outcome))
    return Decision(
        received=len(body.items),
        events=tuple(record for record in taken if record.topic == EVENTS),
        others=tuple(record for record in taken if record.topic != EVENTS),
        rejected=tuple(rejected),
        letters=tuple(letters),
    )


def _check_batch(body: Body, limits: Limits) -> None:
    if len(body.items) > limits.batch_events:
        raise TooLarge(
            f"the call has {len(body.items)} events; at most {limits.batch_events} are taken", code="too_many_events"
        )
    if len(body.shared) * len(body.items) > limits.spread_bytes:
        raise TooLarge("the batch's context is too large to stand in each of its events")
    fault = fault_in(body.shared, limits) if body.shared else None
    if fault is not None:
        raise BadRequest(f"in the batch's context: {fault.message}", code=fault.code)


def _read(raw: bytes, body: Body, call: Call, limits: Limits) -> list[Record] | Refusal:
    size = limits.body_bytes if body.document else limits.event_bytes
    outcome = fault_in(raw, limits, size=size, beside=len(body.shared)) or body.read(raw, call)
    if isinstance(outcome, Refusal):
        return outcome
    records = [_record(taken) for taken in (outcome if isinstance(outcome, tuple) else (outcome,))]
    large = next((size for record in records if (size := record_bytes(record)) > MAX_EVENT_RECORD), None)
    if large is not None:
        return Refusal("too_large", f"the event has {large} bytes when stored; at most {MAX_EVENT_RECORD} fit")
    return records


def _fitting(outcome: list[Record] | Refusal, room: int) -> list[Record] | Refusal:
    """Of an item that becomes many events, each repeats what it says beside them."""
    if isinstance(outcome, list) and sum(map(record_bytes, outcome)) > room:
        return Refusal("too_large", "what the call becomes is too large; send fewer events, or fewer products of one")
    return outcome


def _record(taken: Taken) -> Record:
    match taken:
        case Event():
            return Record(topic=EVENTS, key=record_key(taken), value=encode_event(taken))
        case PrivacyRequest():
            return Record(topic=PRIVACY, key=key_of_request(taken), value=encode_request(taken))
        case Product():
            return Record(topic=PRODUCTS, key=key_of_product(taken), value=encode_product(taken))
        case ProductGone():
            return Record(topic=PRODUCTS, key=key_of_product(taken), value=None)
        case _:
            assert_never(taken)


def record_bytes(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")


def _without_key(raw: bytes, key: str | None) -> bytes:
    """Some clients repeat it in each event; it is kept nowhere but with whom it was given to."""
    if key is None or not key.startswith(WRITE_KEY_PREFIX):
        return raw
    return raw.replace(key.encode("utf-8", "surrogatepass"), f"{key[:SHOWN]}…".encode())


def _letter(refusal: Refusal, raw: bytes, call: Call, route: str) -> Record:
    letter = DeadLetter(
        storefront=call.storefront,
        code=refusal.code,
        reason=refusal.message,
        source=route,
        received_at=call.received_at,
        raw=raw[:MAX_RAW_BYTES],
    )
    return Record(topic=DEAD_LETTERS, key=None, value=encode_dead_letter(letter))
