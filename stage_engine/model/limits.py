"""How much a model may hold: so much that no shop comes near, so little that no slip of the hand stops an engine."""

import re
from datetime import timedelta
from typing import Final

MOST_FACTS: Final = 200
"""Each costs room in every customer's row."""
MOST_TRACKS: Final = 20
MOST_STAGES: Final = 50
"""Of one track."""
MOST_RULES: Final = 500
"""Of one track: each may be looked at on every event."""
MOST_NAMES: Final = 100
"""Events or stages in one list."""
LONGEST_NAME: Final = 60
LONGEST_EVENT: Final = 200
"""As an event's name on the wire (docs/events.md)."""
LONGEST_SPAN: Final = timedelta(days=3_660)
"""Ten years. Times stay far from the end of the calendar."""
SHORTEST_WINDOW: Final = timedelta(seconds=1)
MOST_POINTS: Final = 1_000_000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name_fault(name: str) -> str | None:
    """Of a fact or a track: conditions name them, so they are written as conditions can."""
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, this has {len(name)}"
    if not _NAME.fullmatch(name):
        near = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "orders"
        near = near if _NAME.fullmatch(near) else f"x_{near}"
        return f"`{name}` can't be named in conditions; use letters, digits and _, as in `{near}`"
    return None
