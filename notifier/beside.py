"""What else is known of a message's customer when it is due: where they stand, what they were given, what is due."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from notifier.holdings import Instance
from notifier.limits import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """`given` is what they got under any id that has become theirs.

    `stages` is where they stand, by track, and `since` when; of several instances of one the last that moved. `others`
    are their instances of the tracks that may end the follow-up. `ahead` counts their marketing on the same channel
    that is due as well and goes first. `step_before` is when the step before is due that has not gone yet; `overtaken`:
    a later one has. `drawn_as` is the id under which they were drawn before.
    """

    stages: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    others: tuple[Instance, ...] = ()
    given: tuple[Given, ...] = ()
    ahead: int = 0
    step_before: datetime | None = None
    overtaken: bool = False
    drawn_as: UUID | None = None
