"""`lifecycle.yaml` → Model: what it extends is laid under it, every name is checked, every condition compiled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.conditions import Kind, Names
from services.errors import ShopError
from services.shapes import Slip
from services.shop import YamlFile
from stage_engine.model.clocks import Clocks
from stage_engine.model.facts import kind_of, read_fact
from stage_engine.model.limits import LONGEST_NAME, MOST_FACTS, MOST_RULES, MOST_STAGES, MOST_TRACKS, name_fault
from stage_engine.model.model import EventRule, Fact, Model, Per, TimedRule, Track
from stage_engine.model.rules import Rule, RulesOf, round_trip
from stage_engine.model.schema import ModelWritten, TrackWritten, names
from stage_engine.model.source import PRESETS, Source, Where, presets
from stage_engine.subjects import is_own

__all__ = ["PRESETS", "Reading", "load_model", "presets", "read_model"]
SUBJECT_MEMBERS: dict[str, Kind] = {"items": "list", "value": "money", "quantity": "int"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be read of a file, whatever else is wrong in it: `faults` by where in the file they stand.

    `stages` are those that are written, by track: also of tracks that are too faulty to be in the model.
    """

    source: YamlFile
    model: Model
    stages: Mapping[str, Sequence[str]]
    faults: tuple[Slip, ...]


def load_model(path: Path) -> Model:
    """Raises ShopError, one line a fault, each with file:line:column and the fix."""
    reading = read_model(path)
    if reading.faults:
        raise ShopError(
            "\n".join(str(reading.source.fault(slip.where, slip.message, slip.character)) for slip in reading.faults)
        )
    return reading.model


def read_model(path: Path) -> Reading:
    """Raises ShopError only for a file that is none of YAML."""
    source = Source(YamlFile(path))
    written = source.written()
    stages = {name: tuple(track.stages) for name, track in written.tracks.items()}
    model = _model(source, written)
    return Reading(source.file, model, stages, tuple(source.faults))


def _model(source: Source, written: ModelWritten) -> Model:
    facts = {name: fact for name, spec in written.facts.items() if (fact := read_fact(source, name, spec))}
    source.unmade = frozenset(written.facts.keys() - facts.keys())
    clocks = Clocks(source, facts)
    for key, held, most in (("facts", written.facts, MOST_FACTS), ("tracks", written.tracks, MOST_TRACKS)):
        if len(held) > most:
            source.fault([key], f"a model has at most {most} {key}, this has {len(held)}")
    tracks = [_track(source, name, spec, written, clocks) for name, spec in written.tracks.items()]
    if not tracks:
        source.fault([], "no track is declared; write `extends: seven-stage` or tracks")
    counted = {name: replace(fact, dated=name in clocks.dates) for name, fact in facts.items()}
    return Model(
        facts=counted,
        facts_on=_by_event([*counted.values(), *clocks.kept.values()]),
        tracks=tuple(track for track in tracks if track),
        clocks=clocks.kept,
        dated_traits=tuple(sorted(clocks.traits)),
    )


def _track(source: Source, name: str, spec: TrackWritten, model: ModelWritten, clocks: Clocks) -> Track | None:
    where = ["tracks", name]
    if fault := name_fault(name):
        source.fault(where, fault)
    start = _start(source, where, name, spec)
    rules_of = RulesOf(
        source=source,
        track=name,
        stages=tuple(spec.stages),
        per=spec.per,
        clocks=clocks,
        scope=_scope(model, clocks.facts, spec.per),
    )
    _limits(source, where, spec)
    rules = [
        rule
        for stage, written in spec.stages.items()
        for rule in rules_of.stage([*where, "stages", stage], stage, written)
    ]
    finals = frozenset(stage for stage, written in spec.stages.items() if written.final)
    timed = _timed_rules(rules, [stage for stage in spec.stages if stage not in finals])
    if trip := round_trip(timed):
        source.fault(where, f"time alone would lead round for ever: {' → '.join(trip)}; let an event lead back")
    if start is None:
        return None
    becoming = tuple(rule for rule in rules if isinstance(rule, EventRule) and not rule.on)
    by_event = _event_rules(rules, ())
    own = [event for event in by_event if is_own(spec.per, event)]
    return Track(
        name=name,
        per=spec.per,
        start=start,
        begins_on=frozenset(names(spec.stages[start].on)) or None,
        finals=finals,
        stages=tuple(spec.stages),
        event_rules=by_event,
        timed_rules=timed,
        becoming=becoming,
        in_turn=by_event | _event_rules(rules, own) if becoming else by_event,
        remembered=_remembered(timed, clocks),
        named_order_only=spec.order_ends == "named",
    )


def _limits(source: Source, where: Where, spec: TrackWritten) -> None:
    stages, rules = len(spec.stages), sum(len(stage.enter) for stage in spec.stages.values())
    for said, what, most in ((stages, "stages", MOST_STAGES), (rules, "rules", MOST_RULES)):
        if said > most:
            source.fault(where, f"a track has at most {most} {what}, this has {said}")
    for stage in spec.stages:
        if not 0 < len(stage) <= LONGEST_NAME:
            source.fault([*where, "stages", stage], f"a stage's name has 1 to {LONGEST_NAME} characters")


def _event_rules(rules: Sequence[Rule], own: Sequence[str]) -> dict[str, tuple[EventRule, ...]]:
    """By event, as listed; those by condition alone stand among them for the events in `own`."""
    found: dict[str, tuple[EventRule, ...]] = {}
    for rule in rules:
        if isinstance(rule, EventRule):
            for event in rule.on or own:
                found[event] = (*found.get(event, ()), rule)
    return {event: listed for event, listed in found.items() if not own or event in own}


def _timed_rules(rules: Sequence[Rule], stages: Sequence[str]) -> dict[str, tuple[TimedRule, ...]]:
    """By the stage in which they wait, as listed."""
    found: dict[str, tuple[TimedRule, ...]] = {}
    for rule in rules:
        if isinstance(rule, TimedRule):
            for stage in stages:
                if stage != rule.target and (rule.sources is None or stage in rule.sources):
                    found[stage] = (*found.get(stage, ()), rule)
    return found


def _remembered(timed: Mapping[str, Sequence[TimedRule]], clocks: Clocks) -> dict[str, tuple[str, ...]]:
    """Which of an instance's own events rules count from, by event."""
    since = {rule.since for rules in timed.values() for rule in rules if rule.of_instance and rule.since is not None}
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(since):
        for event in sorted(clocks.events[name]):
            found[event] = (*found.get(event, ()), name)
    return found


def _start(source: Source, where: Where, name: str, spec: TrackWritten) -> str | None:
    starts = [stage for stage, written in spec.stages.items() if written.start]
    if len(starts) != 1:
        source.fault(
            where,
            f"`{name}` needs exactly one stage with `start: true`, not {len(starts)}; write it where everybody begins",
        )
        return None
    start = starts[0]
    if spec.stages[start].final:
        source.fault(
            [*where, "stages", start, "final"], f"`{start}` can't be both the start and final; take one of them out"
        )
    if spec.per is not Per.CUSTOMER and not names(spec.stages[start].on):
        source.fault([*where, "stages", start], f"nothing begins a {spec.per} of `{name}`; say `on:` which events")
    return start


def _by_event(facts: Iterable[Fact]) -> dict[str, tuple[Fact, ...]]:
    found: dict[str, tuple[Fact, ...]] = {}
    for fact in facts:
        for name in sorted(fact.hears):
            found[name] = (*found.get(name, ()), fact)
    return found


def _scope(model: ModelWritten, facts: Mapping[str, Fact], per: Per) -> Names:
    """What a rule's condition may name."""
    kinds = {fact.name: kind_of(fact) for fact in facts.values()}
    closed: dict[str, dict[str, Kind]] = {
        "facts": {**dict.fromkeys(model.facts, "any"), **kinds},  # a faulty one was told of where it stands
        "stages": {name: "string" for name, track in model.tracks.items() if track.per is Per.CUSTOMER},
    }
    if per is not Per.CUSTOMER:
        closed[per] = dict(SUBJECT_MEMBERS)
    return Names(open=frozenset({"event", "traits"}), closed=closed)
