"""What a condition may name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from services.conditions.kinds import Kind
from services.errors import ConditionError

_SHOWN = 8
"""Names that a hint lists before it says `…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """`Names(open={"event"}, closed={"facts": {"orders": "int"}})`.

    Of an open variable any member may be named, of a closed one those listed, each with its kind. `any` is not checked.
    """

    open: Collection[str] = frozenset()
    closed: Mapping[str, Mapping[str, Kind]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.open or name in self.closed

    def check_variable(self, name: str, column: int, also: Collection[str] = ()) -> None:
        """Raises ConditionError for a variable that is not known; `also` are those that macros brought in."""
        if name in self or name in also:
            return
        known = sorted({*self.open, *self.closed, *also})
        owners = [f"{owner}.{name}" for owner, members in self.closed.items() if name in members]
        guess = [*owners, *get_close_matches(name, known, n=1), *(f"{owner}.{name}" for owner in sorted(self.open))]
        raise ConditionError(f"`{name}` is not known here; {_hint(guess, known)}", column)

    def member_kind(self, variable: str, member: str, column: int) -> Kind:
        """Raises ConditionError for a member that a closed variable does not have."""
        if variable in self.open:
            return "any"
        members = self.closed[variable]
        if member in members:
            return members[member]
        elsewhere = [f"{owner}.{member}" for owner, others in self.closed.items() if member in others]
        close = [f"{variable}.{found}" for found in get_close_matches(member, members, n=1)] or elsewhere
        raise ConditionError(f"`{variable}` has no `{member}`; {_hint(close, sorted(members))}", column)


def _hint(close: list[str], known: list[str]) -> str:
    if close:
        return f"did you mean {close[0]}?"
    if not known:
        return "there is nothing to name"
    return f"known are: {', '.join(known[:_SHOWN])}{', …' if len(known) > _SHOWN else ''}"
