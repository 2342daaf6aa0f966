"""What operators watch of the engine. Names and labels are a contract: dashboards and alerts are written on them."""

from prometheus_client import Counter, Gauge, Histogram

from services.telemetry import LATENCY_BUCKETS

EVENTS = Counter("stagepost_engine_events_total", "Events read, by what they were: new, repeat, earlier_copy", ["was"])
OTHER_BODIES = Counter("stagepost_engine_other_bodies_total", "Copies that said something else under a known event id")
KEPT_OUT = Counter(
    "stagepost_engine_kept_out_total", "Events that sort where their customer's history is not kept any more"
)
FOLDED_AWAY = Counter("stagepost_engine_folded_away_total", "Events deleted because they were received long ago")
DEAD_LETTERS = Counter("stagepost_engine_dead_letters_total", "Records that could not be understood", ["code"])
TRANSITIONS = Counter("stagepost_engine_transitions_total", "Moves of instances", ["track", "stage"])
FOLDS = Counter("stagepost_engine_folds_total", "Customers folded: onward, again, or in the background", ["way"])
FORWARD = Counter("stagepost_engine_forward_total", "Customers brought to another revision of the shop")
BROKEN = Counter("stagepost_engine_broken_total", "Folds that stumbled; each holds a customer until it is mended")
BATCH_SECONDS = Histogram("stagepost_engine_batch_seconds", "One transaction of the consumer", buckets=LATENCY_BUCKETS)
WATERMARK = Gauge("stagepost_engine_watermark_timestamp_seconds", "Everything received before it has been folded")
INGEST_SETTLED = Gauge(
    "stagepost_engine_ingest_settled_timestamp_seconds",
    "Everything that this ingest received before it is on the topic, by what it reports",
    ["ingest"],
)
SILENT_INGESTS = Gauge("stagepost_engine_silent_ingests", "Ingests that are passed over because they went silent")
WAKES = Counter("stagepost_engine_wakes_total", "Customers woken because a time had come")
PUBLISHED = Counter("stagepost_engine_published_total", "Records acknowledged on the stage-change topic", ["type"])
FENCED = Counter("stagepost_engine_fenced_total", "Transactions given up because another process owns the partition")
