"""Which ingests there are and up to when all of them have settled; where the topic must be read to for that to count.

Pure values. Two clocks, never mixed: `settled` is by the ingests' own, as `received_at` is. How long one was silent is
by a clock of this engine that never jumps, and only while this engine could listen: a process that was stopped, or
could not ask Kafka, has heard nobody and may conclude nothing from that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from services.contracts.progress import IngestId

LONGEST_GAP: Final = timedelta(seconds=10)
"""Between two times of listening, of which there are several a second: after a longer one this engine was away."""

Partition = TypeVar("Partition")


@dataclass(frozen=True, slots=True)
class Report:
    """A record of `storefront.progress`. None: this ingest has left and owes nothing."""

    ingest: IngestId
    settled: datetime | None


@dataclass(frozen=True, slots=True)
class Ingest:
    settled: datetime
    silent_for: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingests:
    """All that have reported and not left. `patience` is how long one may be silent before it is passed over."""

    patience: timedelta
    known: Mapping[IngestId, Ingest] = field(default_factory=dict)
    listened_at: timedelta | None = None

    def heard(self, reports: Sequence[Report], at: timedelta) -> "Ingests":
        """After the topic was read to its end at this time; `reports` are what came since the time before."""
        gap = at - self.listened_at if self.listened_at is not None else timedelta()
        silence = gap if gap <= LONGEST_GAP else timedelta()
        known = {name: replace(ingest, silent_for=ingest.silent_for + silence) for name, ingest in self.known.items()}
        for report in reports:
            if report.settled is None:
                known.pop(report.ingest, None)
            else:
                known[report.ingest] = Ingest(report.settled)
        return replace(self, known=known, listened_at=at)

    @property
    def silent(self) -> frozenset[IngestId]:
        """Those that are passed over, until they speak again."""
        return frozenset(name for name, ingest in self.known.items() if ingest.silent_for >= self.patience)

    @property
    def settled(self) -> datetime | None:
        """Everything received before this is on the topic. None when nobody is left to say so."""
        return min((ingest.settled for name, ingest in self.known.items() if name not in self.silent), default=None)


@dataclass(frozen=True, slots=True)
class Target(Generic[Partition]):
    """When the stored offsets have reached `ends`, which were asked for after `at` was known, the watermark is `at`."""

    at: datetime
    ends: Mapping[Partition, int]

    def reached(self, stored: Mapping[Partition, int]) -> bool:
        """`stored` are those of all partitions, whichever engines read them."""
        return all(stored.get(partition, 0) >= end for partition, end in self.ends.items())
