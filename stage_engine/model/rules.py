"""What stands under a stage's `enter:`, as the fold uses it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.conditions import Names
from stage_engine.model.model import EventRule, Fact, FactKind, TimedRule
from stage_engine.model.schema import RuleWritten, StageWritten, names
from stage_engine.model.source import Source, Where, meant


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesOf:
    """Reads the rules of one track; `scope` is what their conditions may name."""

    source: Source
    track: str
    stages: Sequence[str]
    facts: Mapping[str, Fact]
    scope: Names

    def stage(self, where: Where, stage: str, written: StageWritten) -> Iterable[EventRule | TimedRule]:
        if written.on is not None:
            if not written.start:
                self.source.fault([*where, "on"], "`on` here is for the start stage; write `enter: [{on: …}]`")
            yield EventRule(id=f"{self.track}.{stage}.on", target=stage, on=frozenset(names(written.on)))
        for index, rule in enumerate(written.enter):
            made = self._rule([*where, "enter", index], f"{self.track}.{stage}[{index}]", stage, rule)
            if made is not None:
                yield made

    def _rule(self, place: Where, rule_id: str, stage: str, rule: RuleWritten) -> EventRule | TimedRule | None:
        sources = self._sources(place, rule)
        when = self.source.condition([*place, "when"], rule.when, self.scope)
        if (rule.on is None) == (rule.after is None):
            self.source.fault(place, "a rule is entered either `on:` an event or `after:` a time; say one of the two")
            return None
        if rule.on is not None:
            if rule.since is not None or rule.idle:
                self.source.fault(place, "an event comes when it comes; `since` and `idle` go with `after:`")
            return EventRule(
                id=rule_id, target=stage, on=frozenset(names(rule.on)), sources=sources, when=when, again=rule.again
            )
        if rule.again:
            self.source.fault([*place, "again"], "time can't bring an instance to where it is; `again` goes with `on:`")
        after = self._after(place, rule)
        if after is None:
            return None
        since = self._since(place, rule)
        return TimedRule(id=rule_id, target=stage, after=after, sources=sources, since=since, idle=rule.idle, when=when)

    def _sources(self, place: Where, rule: RuleWritten) -> frozenset[str] | None:
        sources = frozenset(names(rule.from_)) or None
        for source in sorted(sources or ()):
            if source not in self.stages:
                hint = meant(source, self.stages)
                self.source.fault([*place, "from"], f"`{self.track}` has no stage `{source}`; {hint}")
        return sources

    def _after(self, place: Where, rule: RuleWritten) -> timedelta | None:
        after = self.source.duration([*place, "after"], rule.after)
        if after is not None and after <= timedelta():
            self.source.fault(
                [*place, "after"],
                "`after` must be longer than nothing: a rule that is due at once never rests; write 1m or more",
            )
            return None
        return after

    def _since(self, place: Where, rule: RuleWritten) -> str | None:
        if rule.since is None:
            return None
        name = rule.since.removeprefix("facts.")
        times = [fact.name for fact in self.facts.values() if fact.kind is FactKind.LATEST]
        if (name not in times and name not in self.source.unmade) or rule.idle:
            self.source.fault(
                [*place, "since"],
                f"nothing counts from `{rule.since}` here;"
                f" `since` takes one fact of kind `latest` ({', '.join(times)}), without `idle`",
            )
        return name


def round_trip(timed_rules: Mapping[str, Sequence[TimedRule]]) -> list[str]:
    """Stages that lead round by rules which every entry arms anew; those of `idle` and `since` need an event."""
    onward = {
        source: {rule.target for rule in rules if not rule.idle and rule.since is None}
        for source, rules in timed_rules.items()
    }

    def search(path: list[str]) -> list[str]:
        for target in sorted(onward.get(path[-1], ())):
            if target == path[0]:
                return [*path, target]
            if target not in path and (found := search([*path, target])):
                return found
        return []

    return next((found for source in onward if (found := search([source]))), [])
