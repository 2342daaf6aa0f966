"""The topics, their shapes, and why. `stagepost migrate` creates them; services never do."""

from dataclasses import dataclass, field
from typing import Final

EVENTS: Final = "storefront.events"
DEAD_LETTERS: Final = "storefront.dead-letters"
STAGE_CHANGES: Final = "customer.stage-changes"
STAGES: Final = "customer.stages"
PROGRESS: Final = "storefront.progress"
PRIVACY: Final = "storefront.privacy"
PRODUCTS: Final = "storefront.products"
KEYS: Final = "storefront.keys"

MAX_RECORD_BYTES: Final = 1_048_576
"""`max.message.bytes` of every topic: Kafka's own default of 1 MiB, said aloud because clients are held below it."""
MAX_REQUEST_BYTES: Final = MAX_RECORD_BYTES - 16_384
"""A producer's own limit. One record over the topic's limit wedges an idempotent producer, so it is refused before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


TOPICS: Final = (
    Topic(name=EVENTS, partitions=6, config={"max.message.bytes": str(MAX_RECORD_BYTES), "retention.ms": "604800000"}),
    Topic(name=DEAD_LETTERS, partitions=1, config={"max.message.bytes": str(MAX_RECORD_BYTES)}),
    Topic(name=STAGE_CHANGES, partitions=6, config={"max.message.bytes": str(MAX_RECORD_BYTES)}),
    # Where everyone is now, for subscribers that begin: one record a customer. A segment is closed after a day at the
    # latest, since only closed ones are compacted; a tombstone stays a week, so that a slow reader still meets it.
    Topic(
        name=STAGES,
        partitions=6,
        config={
            "max.message.bytes": str(MAX_RECORD_BYTES),
            "cleanup.policy": "compact",
            "segment.ms": "86400000",
            "delete.retention.ms": "604800000",
        },
    ),
    # A few ids, written once a second: an engine reads it from its beginning, so it is kept short. What was said last
    # under an id stays for ever; only the open segment (ten minutes at most) holds more.
    Topic(
        name=PROGRESS,
        partitions=1,
        config={
            "cleanup.policy": "compact",
            "segment.ms": "600000",
            "segment.bytes": "1048576",
            "min.cleanable.dirty.ratio": "0.1",
        },
    ),
    # What a law asks for, each until it is done: compaction keeps a request until a tombstone says that it was.
    Topic(name=PRIVACY, partitions=1, config={"cleanup.policy": "compact", "segment.ms": "86400000"}),
    # A shop's catalogue, of which the last word on each product is kept. It is changed seldom: one partition is enough.
    Topic(
        name=PRODUCTS,
        partitions=1,
        config={
            "max.message.bytes": str(MAX_RECORD_BYTES),
            "cleanup.policy": "compact",
            "segment.ms": "86400000",
            "delete.retention.ms": "604800000",
        },
    ),
    # The write keys, revoked ones too: every ingest reads it from its beginning and follows it.
    Topic(name=KEYS, partitions=1, config={"cleanup.policy": "compact", "segment.ms": "86400000"}),
)
