"""What could not be understood, kept with its reason so that nothing that was accepted is lost."""

import msgspec

from services.contracts.events import Moment

MAX_RAW_BYTES = 262_144
"""A dead letter keeps this much of what came: enough to see what it was, too little to be a way to fill the disk."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is for programs, `reason` for people; `source` is the route, or the topic with partition and offset."""

    storefront: str | None
    code: str
    reason: str
    source: str
    received_at: Moment
    raw: bytes


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    return _encoder.encode(letter)


def decode_dead_letter(value: bytes) -> DeadLetter:
    return _decoder.decode(value)
