"""What ingest counts. The children of a label are made once: looking them up costs three times the counting."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from ingest.spool import Spool
from services.telemetry import LATENCY_BUCKETS

_requests = Counter("stagepost_ingest_requests", "Calls answered, by route and status.", ["route", "status"])
_accepted = Counter(
    "stagepost_ingest_events_accepted", "Events that were answered 200: on Kafka, or in the spool.", ["storefront"]
)
_rejected = Counter("stagepost_ingest_events_rejected", "Events refused one by one.", ["storefront", "code"])
_cards_removed = Counter(
    "stagepost_ingest_cards_removed", "Card numbers and security codes taken out of what was sent.", ["storefront"]
)
ack_seconds = Histogram(
    "stagepost_ingest_ack_seconds", "From handing a call's records to Kafka to its acknowledgement.",
    buckets=LATENCY_BUCKETS,
)  # fmt: skip

spooled = Counter("stagepost_ingest_spooled", "Records laid in the spool, rejected events among them.")
drained = Counter("stagepost_ingest_drained", "Records that went from a spool to Kafka, those of orphans too.")
breaker_open = Gauge("stagepost_ingest_breaker_open", "1 while calls go to the spool, 0 while they go to Kafka.")
_spool_records = Gauge("stagepost_ingest_spool_records", "Records that lie in this process's spool.")
_spool_bytes = Gauge("stagepost_ingest_spool_bytes", "What they count towards STAGEPOST_SPOOL__MAX_BYTES.")
_spool_limit = Gauge("stagepost_ingest_spool_limit_bytes", "STAGEPOST_SPOOL__MAX_BYTES.")
_spool_age = Gauge(
    "stagepost_ingest_spool_oldest_age_seconds", "Since the receipt of the oldest in the spool; 0 when it is empty."
)

_held_back = Counter(
    "stagepost_ingest_held_back",
    "Calls told to come again: 429 by the rate of their storefront or client, 503 for want of room (in_flight).",
    ["storefront", "limit"],
)
_in_flight = Gauge(
    "stagepost_ingest_in_flight_bytes", "Of bodies that come in and records that wait for their acknowledgement."
)
_in_flight_limit = Gauge("stagepost_ingest_in_flight_limit_bytes", "STAGEPOST_IN_FLIGHT__MAX_BYTES.")


def watch_room(taken: Callable[[], int], max_bytes: int) -> None:
    _in_flight.set_function(taken)
    _in_flight_limit.set(max_bytes)


def watch(spool: Spool, max_bytes: int, clock: Callable[[], datetime]) -> None:
    """The spool's gauges look at it when they are asked."""
    _spool_records.set_function(lambda: spool.contents.records)
    _spool_bytes.set_function(lambda: spool.contents.bytes)
    _spool_limit.set(max_bytes)
    _spool_age.set_function(lambda: 0 if (oldest := spool.oldest) is None else (clock() - oldest).total_seconds())


@cache
def requests(route: str, status: int) -> Counter:
    return _requests.labels(route, str(status))


@cache
def accepted(storefront: str) -> Counter:
    return _accepted.labels(storefront)


@cache
def cards_removed(storefront: str) -> Counter:
    return _cards_removed.labels(storefront)


@cache
def rejected(storefront: str, code: str) -> Counter:
    return _rejected.labels(storefront, code)


@cache
def held_back(storefront: str, limit: str) -> Counter:
    return _held_back.labels(storefront, limit)


def no_room(storefront: str | None) -> None:
    """Whose call it was may not have been known yet."""
    held_back(storefront or "not known yet", "in_flight").inc()
