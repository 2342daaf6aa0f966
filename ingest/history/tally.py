"""What became of a file's rows, counted, and said in one sentence a kind."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ingest.history.shaping import Fault, LeftOut, Made, Shaped

SHOWN: Final = 10
"""Rows at fault that are told one by one; of the others the count is enough."""


@dataclass(slots=True)
class Tally:
    rows: int = 0
    events: int = 0
    in_events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    faults: int = 0

    def count(self, shaped: Shaped) -> None:
        match shaped:
            case Made():
                self.events += 1
                self.in_events += shaped.rows
            case LeftOut():
                self.left_out[shaped.because] += 1
            case Fault():
                self.faults += 1

    def lines(self) -> list[str]:
        said = [f"{self.rows:,} rows, {self.events:,} events" + self._of_several]
        said += [f"  left out: {count:,} ({because})" for because, count in self.left_out.most_common()]
        return said + ([f"  at fault, not imported: {self.faults:,}"] if self.faults else [])

    @property
    def _of_several(self) -> str:
        return f" made of {self.in_events:,} rows" if self.in_events != self.events else ""
