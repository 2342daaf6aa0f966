"""What a customer may be asked in a mail, and which scores answer it. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Whole scores from `least` to `most`, the most being the kindest."""

    least: int
    most: int

    @property
    def scores(self) -> range:
        return range(self.least, self.most + 1)


SCALES: Final = {
    "nps": Scale(least=0, most=10),
    "csat": Scale(least=1, most=5),
    "ces": Scale(least=1, most=7),
    "delivery": Scale(least=0, most=1),
}
"""By `kind` of a Survey Answered: Net Promoter Score, satisfaction and effort as their authors count them; of a
delivery 1 says that all is well, 0 that something is the matter."""
