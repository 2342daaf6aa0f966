"""The ways of a track: which rule can bring whom from where, as `fold.py` would have it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from services.contracts.events import Name
from stage_engine.model.model import EventRule, Per, TimedRule, Track
from stage_engine.subjects import is_order_event, is_own

Rule = EventRule | TimedRule


def number_of(track: Track, rule: Rule) -> int:
    """Which of its stage's `enter` it is; -1 for the start's `on`."""
    told = rule.id.removeprefix(f"{track.name}.{rule.target}")
    return int(told[1:-1]) if told.startswith("[") else -1


def clock_of(rule: TimedRule) -> tuple[bool, str | None, bool]:
    """What a timed rule counts from."""
    return rule.idle, rule.since, rule.of_instance


@dataclass(frozen=True)
class Ways:
    track: Track

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Each once, in the order in which they are listed."""
        return self.track.rules()

    @cached_property
    def open(self) -> tuple[str, ...]:
        """The stages that can be left."""
        return tuple(stage for stage in self.track.stages if stage not in self.track.finals)

    def sees(self, event: str) -> bool:
        """Whether such an event ever comes to an instance of this track."""
        per = self.track.per
        return is_own(per, event) or per is Per.CUSTOMER or is_order_event(event)

    def meets(self, event: str, stage: str) -> bool:
        """Whether it can come to one that stands here: a further copy of an order comes as `Order Updated`."""
        begins = self.track.begins_on == frozenset({Name.ORDER_COMPLETED})
        once = self.track.per is Per.ORDER and begins and event == Name.ORDER_COMPLETED
        return self.sees(event) and (not once or stage == self.track.start)

    def starts(self, rule: Rule) -> tuple[str, ...]:
        """The stages from which the rule could move somebody."""
        again = isinstance(rule, EventRule) and rule.again
        return tuple(
            stage
            for stage in self.open
            if (rule.sources is None or stage in rule.sources) and (again or stage != rule.target)
        )

    def winner(self, rule: Rule, stage: str, event: str | None) -> Rule | None:
        """The rule that takes precedence over this one whenever it applies in this stage; None if it can win."""
        if isinstance(rule, TimedRule):
            return self._earlier(rule, stage)
        listed = self.track.event_rules[event or ""]
        for other in reversed(listed[listed.index(rule) + 1 :]):
            applies = other.cooldown is None and (other.sources is None or stage in other.sources)
            if applies and (other.when is None or (rule.when is not None and other.when.text == rule.when.text)):
                return other
        return None

    def _earlier(self, rule: TimedRule, stage: str) -> TimedRule | None:
        """Another that runs by the same clock, and is always due before, or listed later and due at the same time."""
        waiting = self.track.timed_rules.get(stage, ())
        for at, other in enumerate(waiting):
            alike = other is not rule and other.cooldown is None and clock_of(other) == clock_of(rule)
            if not alike or not self._armed_anew(other, stage):
                continue
            if other.when is None and other.after < rule.after:
                return other
            same = other.when is None or (rule.when is not None and other.when.text == rule.when.text)
            if same and other.after == rule.after and at > waiting.index(rule):
                return other
        return None

    def _armed_anew(self, rule: TimedRule, stage: str) -> bool:
        """Whether every entry into this stage arms the rule, also when it was due once before."""
        if not rule.idle:
            return rule.since is None
        into = [other for other in self.rules if other.target == stage]
        return all(isinstance(way, EventRule) and all(is_own(self.track.per, name) for name in way.on) for way in into)

    def out_of(self, stage: str) -> Iterator[Rule]:
        """The rules that can move somebody who stands here."""
        for rule in self.rules:
            if stage in self.starts(rule) and any(self.wins(rule, stage)):
                yield rule

    def wins(self, rule: Rule, stage: str) -> Iterator[bool]:
        """For each event that the rule goes by (or for its time) whether it can win here."""
        if isinstance(rule, TimedRule):
            yield self.winner(rule, stage, None) is None
        elif rule.becoming:
            yield True
        else:
            yield from (self.meets(name, stage) and self.winner(rule, stage, name) is None for name in sorted(rule.on))

    @cached_property
    def reached(self) -> frozenset[str]:
        found, look = {self.track.start}, [self.track.start]
        while look:
            here = look.pop()
            for rule in self.out_of(here) if here in self.open else ():
                if rule.target not in found:
                    found.add(rule.target)
                    look.append(rule.target)
        return frozenset(found)
