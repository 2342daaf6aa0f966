"""What each ingest process says of itself on `storefront.progress`: the key is its lasting id.

A record without a value (a tombstone) says that this ingest has left and owes nothing. The topic has one partition: who
was there before another's report stands before it, so a reader at the end has missed nobody.
"""

from typing import Final, NewType

import msgspec

from services.contracts.events import Moment

IngestId = NewType("IngestId", str)
"""Of one ingest process, through all its restarts."""

REPORTED_EVERY: Final = 1.0
"""Seconds between two reports. The watermark trails by about this much."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """All that this ingest received before `settled`, by its own clock, is on the topic or refused for good."""

    settled: Moment


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Settled)


def encode_settled(report: Settled) -> bytes:
    return _encoder.encode(report)


def decode_settled(value: bytes) -> Settled:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def key_of(ingest: IngestId) -> bytes:
    return ingest.encode()


def ingest_of(key: bytes) -> IngestId:
    return IngestId(key.decode("utf-8", "replace"))
