"""What the mailbox refuses, and how: every way in which a mail server lets its clients down, on demand."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

ANYONE: Final = "*"


class Stage(StrEnum):
    """Where in the conversation. At `connect` and `mail` no recipient is known yet."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    AFTER_DOT = "after-dot"


class Action(StrEnum):
    """`drop` cuts the connection without an answer, `hang` never answers; after the dot both have kept the message.

    A refusal with code 421 also ends the connection, as the code says.
    """

    REFUSE = "refuse"
    DROP = "drop"
    HANG = "hang"


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Matches a recipient's address (at `mail`, the sender's) or, with `*`, all.

    It holds for the next `times` matches, or until it is deleted.
    """

    address: str = ANYONE
    stage: Stage = Stage.RCPT
    action: Action = Action.REFUSE
    code: Annotated[int, msgspec.Meta(ge=400, le=599)] = 550
    message: Annotated[str, msgspec.Meta(pattern=r"^[ -~]+$", max_length=400)] = "refused on demand"
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None

    @property
    def answer(self) -> str:
        return f"{self.code} {self.message}"


class Refusals:
    """The newest that matches counts."""

    def __init__(self) -> None:
        self._all: list[Refusal] = []

    @property
    def all(self) -> tuple[Refusal, ...]:
        return tuple(self._all)

    def add(self, refusal: Refusal) -> None:
        """Replaces one for the same address at the same stage."""
        self._all = [r for r in self._all if (r.address, r.stage) != (refusal.address, refusal.stage)]
        self._all.append(refusal)

    def clear(self) -> None:
        self._all.clear()

    def take(self, stage: Stage, addresses: list[str]) -> Refusal | None:
        """The one that applies now; its `times` are one fewer after this."""
        folded = {address.lower() for address in addresses}
        for refusal in reversed(self._all):
            if refusal.stage is stage and (refusal.address == ANYONE or refusal.address.lower() in folded):
                self._count(refusal)
                return refusal
        return None

    def _count(self, refusal: Refusal) -> None:
        if refusal.times is None:
            return
        place = self._all.index(refusal)
        if refusal.times == 1:
            del self._all[place]
        else:
            self._all[place] = msgspec.structs.replace(refusal, times=refusal.times - 1)
