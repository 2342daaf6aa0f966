"""`lifecycle.yaml` → Model: what it extends is laid under it, every name is checked, every condition compiled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.conditions import Kind, Names
from services.errors import ShopError
from services.shapes import Slip
from services.shop import YamlFile
from stage_engine.model.facts import kind_of, read_fact
from stage_engine.model.model import EventRule, Fact, Model, Per, TimedRule, Track
from stage_engine.model.rules import RulesOf, round_trip
from stage_engine.model.schema import ModelWritten, TrackWritten, names
from stage_engine.model.source import PRESETS, Source, Where, presets

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
        raise ShopError("\n".join(str(reading.source.fault(slip.where, slip.message)) for slip in reading.faults))
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
    tracks = [_track(source, name, spec, written, facts) for name, spec in written.tracks.items()]
    if not tracks:
        source.fault([], "no track is declared; write `extends: seven-stage` or tracks")
    return Model(facts=facts, facts_on=_by_event(facts.values()), tracks=tuple(track for track in tracks if track))


def _track(
    source: Source, name: str, spec: TrackWritten, model: ModelWritten, facts: Mapping[str, Fact]
) -> Track | None:
    where = ["tracks", name]
    start = _start(source, where, name, spec)
    rules_of = RulesOf(
        source=source, track=name, stages=tuple(spec.stages), facts=facts, scope=_scope(model, facts, spec.per)
    )
    event_rules: dict[str, list[EventRule]] = {}
    timed_rules: dict[str, list[TimedRule]] = {}
    finals = frozenset(stage for stage, written in spec.stages.items() if written.final)
    for stage, written in spec.stages.items():
        for rule in rules_of.stage([*where, "stages", stage], stage, written):
            if isinstance(rule, EventRule):
                for event in rule.on:
                    event_rules.setdefault(event, []).append(rule)
            else:
                for left in rule.sources or spec.stages:
                    if left != rule.target and left not in finals:
                        timed_rules.setdefault(left, []).append(rule)
    if trip := round_trip(timed_rules):
        source.fault(where, f"time alone would lead round for ever: {' → '.join(trip)}; let an event lead back")
    if start is None:
        return None
    return Track(
        name=name,
        per=spec.per,
        start=start,
        begins_on=frozenset(names(spec.stages[start].on)) or None,
        finals=finals,
        stages=tuple(spec.stages),
        event_rules={event: tuple(rules) for event, rules in event_rules.items()},
        timed_rules={stage: tuple(rules) for stage, rules in timed_rules.items()},
        named_order_only=spec.order_ends == "named",
    )


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
