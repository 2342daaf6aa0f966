"""What the doctor says: one line a finding, and what to write where it is not as it should be. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """`unknown`: it could not be looked at, which is no verdict."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`advice` is what to do or to write, word for word where that can be."""

    about: str
    health: Health
    said: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.health:<8} {self.about}: {self.said}"
        return f"{line}\n{'':9}→ {self.advice}" if self.advice else line


def worst(findings: list[Finding]) -> Health:
    """A fault is worse than what is not known: the one is certain."""
    order = (Health.OK, Health.WARNING, Health.UNKNOWN, Health.FAULT)
    return max((finding.health for finding in findings), key=order.index, default=Health.OK)
