"""What ingest counts. The children of a label are made once: looking them up costs three times the counting."""

from functools import cache

from prometheus_client import Counter, Histogram

from services.telemetry import LATENCY_BUCKETS

_requests = Counter("stagepost_ingest_requests", "Calls answered, by route and status.", ["route", "status"])
_accepted = Counter("stagepost_ingest_events_accepted", "Events that the broker acknowledged.", ["storefront"])
_rejected = Counter("stagepost_ingest_events_rejected", "Events refused one by one.", ["storefront", "code"])
ack_seconds = Histogram(
    "stagepost_ingest_ack_seconds", "From handing a call's records to Kafka to its acknowledgement.",
    buckets=LATENCY_BUCKETS,
)  # fmt: skip


@cache
def requests(route: str, status: int) -> Counter:
    return _requests.labels(route, str(status))


@cache
def accepted(storefront: str) -> Counter:
    return _accepted.labels(storefront)


@cache
def rejected(storefront: str, code: str) -> Counter:
    return _rejected.labels(storefront, code)
