"""What the notifier counts. Labels are names of the shop's own files and fixed words: never customers or addresses."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter(
    "stagepost_messages_total",
    "Messages by what became of them: sent, retry, dead, unknown, withheld, deferred, shadowed.",
    ["follow_up", "outcome"],
)
DELIVERY_SECONDS: Final = Histogram(
    "stagepost_message_delivery_seconds",
    "From when a message was due to the server's acceptance of it.",
    ["follow_up"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 43_200),
)
KNOWN_UNTIL_AGE: Final = Gauge(
    "stagepost_notifier_known_until_age_seconds",
    "How old the least known_until of all partitions is; from 60 s on nothing is sent.",
)
FORGOTTEN: Final = Counter("stagepost_notifier_forgotten_total", "Messages that are kept no longer.")
EVENTS_SAID: Final = Counter(
    "stagepost_notifier_events_total",
    "What mail met with, and what was answered by links in it, as published for the engine.",
    ["name"],
)
INTAKE_LAG: Final = Gauge(
    "stagepost_notifier_intake_lag_seconds",
    "Age of the last change that was taken in, when it was.",
    ["partition"],
)
INTAKE_RECORDS: Final = Counter(
    "stagepost_notifier_intake_records_total",
    "Records read: applied, repeat, gap, taken_back, not_ours, dead_letter; of the catalogue product, product_gone.",
    ["what"],
)
REPORTS: Final = Counter(
    "stagepost_bounce_reports_total",
    "Bounces and complaints that were reported: hard, soft, complaint, and unknown for messages that are not ours.",
    ["provider", "what"],
)
SWITCHES: Final = Gauge(
    "stagepost_notifier_switches",
    "How many switches are on, as of the last step: what they pause stays pending.",
    ["scope"],
)
TRIPPED: Final = Counter(
    "stagepost_blast_guard_tripped_total",
    "How often the blast guard paused a follow-up: it asks whether that much is meant.",
    ["follow_up"],
)
