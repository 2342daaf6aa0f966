"""What operators watch of who goes by the active revision. The names are a contract, as in the services' own."""

from typing import Final

from prometheus_client import Gauge

REVISION: Final = Gauge("stagepost_revision", "Number of the shop's revision that this process goes by; 0: none")
UNREADABLE: Final = Gauge(
    "stagepost_revision_unreadable", "1 while no revision is in force that this process can read: it takes no work"
)
