"""What stands under a stage's `enter:`, as the fold uses it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from services.conditions import Names
from stage_engine.model.clocks import Clocks
from stage_engine.model.model import EventRule, Per, TimedRule
from stage_engine.model.schema import RuleWritten, StageWritten, names
from stage_engine.model.source import Source, Where, meant

Rule = EventRule | TimedRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesOf:
    """Reads the rules of one track; `scope` is what their conditions may name, `clocks` what their times count from."""

    source: Source
    track: str
    per: Per
    stages: Sequence[str]
    clocks: Clocks
    scope: Names

    def stage(self, where: Where, stage: str, written: StageWritten) -> Iterable[Rule]:
        if written.on is not None:
            if not written.start:
                self.source.fault([*where, "on"], "`on` here is for the start stage; write `enter: [{on: …}]`")
            yield EventRule(id=f"{self.track}.{stage}.on", target=stage, on=self._events([*where, "on"], written.on))
        for index, rule in enumerate(written.enter):
            made = self._rule([*where, "enter", index], f"{self.track}.{stage}[{index}]", stage, rule)
            if made is not None:
                yield made

    def _rule(self, place: Where, rule_id: str, stage: str, rule: RuleWritten) -> Rule | None:
        said = [key for key in ("on", "after", "ahead") if getattr(rule, key) is not None]
        if len(said) > 1 or (not said and rule.when is None):
            ways = "`on:` an event, `after:` or `ahead:` of a time, or `when:` a condition becomes true"
            self.source.fault(place, f"a rule is entered {ways}; say one of them")
            return None
        sources = self._sources(place, rule)
        cooldown = self.source.duration([*place, "cooldown"], rule.cooldown, least=timedelta(seconds=1))
        if rule.on is not None or not said:
            return self._by_event(place, rule_id, stage, rule, sources, cooldown)
        when = self.source.condition([*place, "when"], rule.when, self.scope)
        if rule.again:
            self.source.fault([*place, "again"], "time can't bring an instance to where it is; `again` goes with `on:`")
        clock = self.clocks.clock(place, rule, self.per)
        if clock is None:
            return None
        return TimedRule(
            id=rule_id,
            target=stage,
            after=clock.after,
            sources=sources,
            since=clock.since,
            date=clock.date,
            of_instance=clock.of_instance,
            idle=rule.idle,
            when=when,
            cooldown=cooldown,
        )

    def _by_event(
        self,
        place: Where,
        rule_id: str,
        stage: str,
        rule: RuleWritten,
        sources: frozenset[str] | None,
        cooldown: timedelta | None,
    ) -> EventRule | None:
        if rule.since is not None or rule.idle or rule.of is not None:
            self.source.fault(
                place, "an event comes when it comes; `since` and `idle` go with `after:`, `of` with `ahead:`"
            )
        scope = self.scope if rule.on is not None else replace(self.scope, open=frozenset(self.scope.open) - {"event"})
        when = self.source.condition([*place, "when"], rule.when, scope)
        if rule.on is None and when is None:
            return None
        return EventRule(
            id=rule_id,
            target=stage,
            on=self._events([*place, "on"], rule.on),
            sources=sources,
            when=when,
            again=rule.again,
            cooldown=cooldown,
        )

    def _events(self, where: Where, written: str | list[str] | None) -> frozenset[str]:
        if written is not None:
            self.source.events(where, names(written))
        return frozenset(names(written))

    def _sources(self, place: Where, rule: RuleWritten) -> frozenset[str] | None:
        sources = frozenset(names(rule.from_)) or None
        for source in sorted(sources or ()):
            if source not in self.stages:
                hint = meant(source, self.stages)
                self.source.fault([*place, "from"], f"`{self.track}` has no stage `{source}`; {hint}")
        return sources


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
