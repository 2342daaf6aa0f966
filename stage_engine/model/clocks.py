"""What a timed rule counts from: a fact, an event, a date, or (where it says nothing) the stage's entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from stage_engine.model.limits import LONGEST_NAME
from stage_engine.model.model import ON, TRAITS, Fact, FactKind, Per
from stage_engine.model.schema import RuleWritten, names
from stage_engine.model.source import Source, Where, meant
from stage_engine.subjects import is_own

FACTS = "facts."
_DATES = (FactKind.FIRST, FactKind.LAST)
_LIKE_A_FACT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
"""Events are written in words; `last_ordr_at` is a slip of the hand."""


@dataclass(frozen=True, slots=True)
class Clock:
    """As `TimedRule` has it."""

    after: timedelta
    since: str | None = None
    date: bool = False
    of_instance: bool = False


class Clocks:
    """Collects what has to be kept beside the declared facts: events by `since`, dates by fact, traits."""

    def __init__(self, source: Source, facts: Mapping[str, Fact]) -> None:
        self.source = source
        self.facts = facts
        self.kept: dict[str, Fact] = {}
        self.events: dict[str, frozenset[str]] = {}
        self.dates: set[str] = set()
        self.traits: set[str] = set()

    def clock(self, place: Where, rule: RuleWritten, per: Per) -> Clock | None:
        """What a rule of a track `per` that goes by. None with a fault."""
        if rule.ahead is not None:
            return self._ahead(place, rule, per)
        if rule.of is not None:
            self.source.fault([*place, "of"], "what is counted from is said by `since`; `of` goes with `ahead:`")
        after = self.source.duration([*place, "after"], rule.after)
        if after is None:
            return None
        since = self._since([*place, "since"], rule.since, per)
        if since is None or (rule.idle and rule.since is not None):
            if since is not None:
                self.source.fault([*place, "since"], "`since` and `idle` don't go together; take one of them out")
            return None
        name, date, of_instance = since
        if after <= timedelta() and not date:
            said = "`after` must be longer than nothing: a rule that is due at once never rests; write 1m or more"
            self.source.fault([*place, "after"], said)
            return None
        return Clock(after, name, date, of_instance)

    def _ahead(self, place: Where, rule: RuleWritten, per: Per) -> Clock | None:
        if rule.since is not None or rule.idle:
            self.source.fault(place, "`since` and `idle` go with `after:`; `ahead:` goes with `of:`, a date")
            return None
        ahead = self.source.duration([*place, "ahead"], rule.ahead)
        if rule.of is None:
            self.source.fault(place, "it is not said ahead of what; write `of:` a date, as in `of: traits.renewal_on`")
            return None
        since = self._since([*place, "of"], rule.of, per)
        if ahead is None or since is None:
            return None
        name, date, _ = since
        if not date:
            self.source.fault(
                [*place, "of"], f"only a date can be ahead; name a trait, or a fact of kind {' or '.join(_DATES)}"
            )
            return None
        return Clock(-ahead, name, date=True)

    def _since(self, where: Where, written: str | list[str] | None, per: Per) -> tuple[str | None, bool, bool] | None:
        """What it is called in `TimedRule.since`, whether it is a date, and whether of the instance's own."""
        said = names(written)
        if written is None:
            return None, False, False
        if len(said) == 1 and said[0].startswith(TRAITS):
            return self._trait(where, said[0])
        if len(said) == 1 and (said[0].startswith(FACTS) or said[0] in self.facts or _LIKE_A_FACT.fullmatch(said[0])):
            return self._fact(where, said[0].removeprefix(FACTS))
        self.source.events(where, said)
        on, name = frozenset(said), f"{ON}{' or '.join(sorted(set(said)))}"
        of_instance = per is not Per.CUSTOMER and all(is_own(per, event) for event in on)
        self.events[name] = on
        if not of_instance:
            self.kept[name] = Fact(name=name, kind=FactKind.LATEST, on=on)
        return name, False, of_instance

    def _trait(self, where: Where, said: str) -> tuple[str, bool, bool] | None:
        if not all(said.split(".")) or len(said) > LONGEST_NAME:
            self.source.fault(where, "a trait is named as in `traits.renewal_on`")
            return None
        self.traits.add(said)
        return said, True, False

    def _fact(self, where: Where, name: str) -> tuple[str, bool, bool] | None:
        fact = self.facts.get(name)
        if fact is not None and fact.by is None and fact.kind in (FactKind.LATEST, *_DATES):
            if fact.kind in _DATES:
                self.dates.add(name)
            return name, fact.kind in _DATES, False
        if name not in self.source.unmade:
            times = [f.name for f in self.facts.values() if f.by is None and f.kind in (FactKind.LATEST, *_DATES)]
            what = "an event, a trait that is a date (`traits.renewal_on`), or a fact of kind latest, first or last"
            hint = meant(name, times) if times else "declare one, as in `{latest: Order Completed}`"
            self.source.fault(where, f"nothing counts from `{name}` here, but from {what}; {hint}")
        return None
