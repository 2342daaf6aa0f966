"""A customer's state: what the fold has made of their events so far, as it is stored."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

import msgspec

from services.contracts.changes import Cause, Profile, Subject
from stage_engine.facts import FactState, Latest
from stage_engine.history import Position

INSTANCE_SPACE = UUID("0b0e4f5e-7a58-4cf0-8a6e-5c9d0e9a3f21")
TRANSITION_SPACE = UUID("f3c9a3b6-2b7f-4d0d-9d8c-8f4a6f6f0c55")


class Instance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a track: this cart, that order.

    `number` counts the runs of one key from 1; `run` names the run after the event that ended the one before. `touched`
    is its last own event, from which `idle` counts. `spent` maps a timed rule to the time that last armed it, once that
    has come due: the rule waits until another time arms it again. `tied` are the checkouts and orders that were said
    to be about this cart, the last said last. `held` are the rules by condition alone whose condition was true when it
    was looked at last, `fired` is when a rule with a cool-down moved it last, `last` when those of its own events
    happened that timed rules count from.
    """

    track: str
    key: str
    number: int
    run: str
    first_identity: UUID
    opened: Position
    stage: str
    since: datetime
    entered_by: Cause
    touched_at: datetime
    touched_by: Cause
    spent: dict[str, datetime] = {}
    subject: Subject = Subject()
    ended_by: Cause | None = None
    tied: tuple[str, ...] = ()
    held: list[str] = []
    fired: dict[str, datetime] = {}
    last: dict[str, Latest] = {}

    @property
    def id(self) -> UUID:
        """A fact's name: the same whoever the customer turns out to be."""
        return _instance_id(self.track, self.key, self.run, self.first_identity)

    @property
    def shown_key(self) -> str:
        return self.key if self.number == 1 else f"{self.key}#{self.number}"

    @property
    def slot(self) -> "Slot":
        return (self.track, self.key, self.number)


Slot = tuple[str, str, int]


@lru_cache(maxsize=4_096)
def _instance_id(track: str, key: str, run: str, first_identity: UUID) -> UUID:
    """Asked for several times a move and a row, mostly of one customer's few: worked out once."""
    return uuid5(INSTANCE_SPACE, "\x00".join((track, key, run, str(first_identity))))


class Left(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a cart that left the state, so that its next run is not taken for the same."""

    run: str
    number: int


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands.

    `position` is the last folded event's, or that of the last due time crossed after it: what sorts before it comes too
    late to be folded onto this state. Instances stand in the order in which they began; `moves` and `events`
    count what was folded. `imported_until` is when the latest import began that brought any of it. `approximate` says
    that pasts which are not kept were put together or taken apart.
    """

    position: Position | None = None
    facts: FactState = FactState()
    profile: Profile = Profile()
    instances: tuple[Instance, ...] = ()
    left: dict[str, Left] = {}
    moves: int = 0
    events: int = 0
    imported_until: datetime | None = None
    approximate: bool = False


EMPTY = State()

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(State)


def encode_state(state: State) -> bytes:
    return _encoder.encode(state)


def decode_state(stored: bytes) -> State:
    return _decoder.decode(stored)


def transition_id(instance: UUID, rule: str, cause: Cause, target: str) -> UUID:
    """A fact's name: re-folding after a late event or a join comes to the same id for the same move."""
    return uuid5(TRANSITION_SPACE, "\x00".join((str(instance), rule, str(cause.identity), cause.event_id, target)))
