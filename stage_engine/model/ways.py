"""The ways of a track: what its rules lead to. Pure."""

from stage_engine.model.model import EventRule, TimedRule, Track

Rule = EventRule | TimedRule


def rules_of(track: Track) -> tuple[Rule, ...]:
    """Each once."""
    by_event: list[Rule] = [rule for rules in track.event_rules.values() for rule in rules]
    by_time: list[Rule] = [rule for rules in track.timed_rules.values() for rule in rules]
    return tuple({rule.id: rule for rule in by_event + by_time}.values())
