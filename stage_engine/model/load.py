"""`lifecycle.yaml` → Model: what it extends is laid under it, every name is checked, every condition compiled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from services.conditions import Condition, ConditionError, Names, compile_condition
from services.contracts.events import Name
from services.durations import parse_duration
from services.errors import ShopError
from services.shapes import Slip, Steps
from services.shop import YamlFile
from stage_engine.model.model import EventRule, Fact, FactKind, Model, Per, TimedRule, Track
from stage_engine.model.schema import FactWritten, ModelWritten, RuleWritten, StageWritten, TrackWritten, names

PRESETS = Path(__file__).parent / "presets"
ORDER_KEY = "order_id"
AMOUNTS = ("revenue", "total")
SUBJECT_MEMBERS = {"items": "list", "value": "money", "quantity": "int"}


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
    return _Loader(path).reading()


def presets() -> list[str]:
    return sorted(found.stem for found in PRESETS.glob("*.yaml"))


class _Loader:
    """Lays a file over its preset, and remembers for every part which of the two it came from."""

    def __init__(self, path: Path) -> None:
        self._own = YamlFile(path)
        self._base: YamlFile | None = None
        self._faults: list[Slip] = []
        self._torn: frozenset[Steps] = frozenset()
        self._unmade: frozenset[str] = frozenset()

    def reading(self) -> Reading:
        written = self._written()
        stages = {name: tuple(track.stages) for name, track in written.tracks.items()}
        return Reading(self._own, self._model(written), stages, tuple(self._faults))

    def _model(self, written: ModelWritten) -> Model:
        facts = {name: fact for name, spec in written.facts.items() if (fact := self._fact(name, spec))}
        self._unmade = frozenset(written.facts.keys() - facts.keys())
        tracks = tuple(
            track for name, spec in written.tracks.items() if (track := self._track(name, spec, written, facts))
        )
        if not written.tracks:
            self._fault([], "no track is declared; write `extends: seven-stage` or tracks")
        return Model(facts=facts, facts_on=_by_event(facts.values()), tracks=tracks)

    def _written(self) -> ModelWritten:
        own = self._own.mapping()
        if "extends" in own:
            name = str(own["extends"])
            if name not in presets():
                close = get_close_matches(name, presets(), n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(presets())}"
                self._fault(["extends"], f"there is no preset `{name}`; {hint}")
                self._torn = frozenset({("tracks",)})  # what would be laid under it is not known
                return ModelWritten()
            self._base = YamlFile(PRESETS / f"{name}.yaml")
            _lay_under(own, self._base.data)
        fitted = self._own.fitting([], ModelWritten)
        self._faults += fitted.slips
        self._torn = fitted.torn
        return fitted.value or ModelWritten()

    def _fact(self, name: str, spec: FactWritten) -> Fact | None:
        where = ["facts", name]
        kinds = [kind for kind in FactKind if getattr(spec, kind) is not None]
        if len(kinds) != 1:
            self._fault(where, f"`{name}` needs exactly one of {', '.join(FactKind)}")
            return None
        kind = kinds[0]
        needs_of = kind not in (FactKind.COUNT, FactKind.LATEST)
        if needs_of and spec.of is None:
            self._fault(where, f"`{name}` needs `of:`, the property it looks at")
            return None
        on = frozenset(names(getattr(spec, kind)))
        if Name.ORDER_REPORTED in on:
            self._fault([*where, kind], "`Order Reported` is a browser's word of an order: it counts in no fact")
        if spec.within is not None and kind is not FactKind.COUNT:
            self._fault([*where, "within"], "`within` goes with `count`")
        return Fact(
            name=name,
            kind=kind,
            on=on,
            of=spec.of,
            where=self._condition([*where, "where"], spec.where, Names(open=frozenset({"event"}))),
            within=self._duration([*where, "within"], spec.within),
            per_order=self._per_order(where, spec, kind, on),
            less_refunds=spec.less is not None,
        )

    def _per_order(self, where: Sequence[str | int], spec: FactWritten, kind: FactKind, on: frozenset[str]) -> bool:
        """Whether it reads the order book: of how an order got there nothing is left to look at but its amounts."""
        orders = on == {Name.ORDER_COMPLETED}
        if spec.once_per is None:
            if spec.less is not None:
                self._fault([*where, "less"], "`less` goes with `once_per: order_id`: refunds belong to an order")
            return kind is FactKind.DISTINCT and orders and spec.of == ORDER_KEY and spec.where is None
        if spec.once_per != ORDER_KEY or kind is not FactKind.SUM or not orders or spec.of not in AMOUNTS:
            self._fault(
                [*where, "once_per"],
                f"`once_per: order_id` goes with `sum: Order Completed` and `of: {' or '.join(AMOUNTS)}`;"
                " nothing else is counted once yet",
            )
        if spec.where is not None:
            self._fault([*where, "where"], "an order's copies are one here, so `where` has no single event to look at")
        if spec.less is not None and names(spec.less) != (Name.ORDER_REFUNDED,):
            self._fault([*where, "less"], "only `less: Order Refunded` can be; a cancelled order brings nothing anyway")
        return True

    def _track(self, name: str, spec: TrackWritten, model: ModelWritten, facts: dict[str, Fact]) -> Track | None:
        where = ["tracks", name]
        start = self._start(where, name, spec)
        scope = _scope(model, facts, spec.per)
        event_rules: dict[str, list[EventRule]] = {}
        timed_rules: dict[str, list[TimedRule]] = {}
        finals = frozenset(stage for stage, written in spec.stages.items() if written.final)
        for stage, written in spec.stages.items():
            for rule in self._rules([*where, "stages"], name, stage, written, spec, facts, scope):
                if isinstance(rule, EventRule):
                    for event in rule.on:
                        event_rules.setdefault(event, []).append(rule)
                else:
                    for source in rule.sources or spec.stages:
                        if source != rule.target and source not in finals:
                            timed_rules.setdefault(source, []).append(rule)
        if round_trip := _round_trip(timed_rules):
            self._fault(
                where, f"time alone would lead round for ever: {' → '.join(round_trip)}; let an event lead back"
            )
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

    def _start(self, where: Sequence[str | int], name: str, spec: TrackWritten) -> str | None:
        starts = [stage for stage, written in spec.stages.items() if written.start]
        if len(starts) != 1:
            self._fault(where, f"`{name}` needs exactly one stage with `start: true`, not {len(starts)}")
            return None
        start = starts[0]
        if spec.stages[start].final:
            self._fault([*where, "stages", start, "final"], f"`{start}` can't be both the start and final")
        if spec.per is not Per.CUSTOMER and not names(spec.stages[start].on):
            self._fault([*where, "stages", start], f"`{start}` begins a {spec.per}: say `on:` which events")
        return start

    def _rules(
        self,
        where: Sequence[str | int],
        track: str,
        stage: str,
        written: StageWritten,
        spec: TrackWritten,
        facts: dict[str, Fact],
        scope: Names,
    ) -> Iterable[EventRule | TimedRule]:
        if written.on is not None:
            if not written.start:
                self._fault([*where, stage, "on"], "`on` here is for the start stage; write `enter: [{on: …}]`")
            yield EventRule(id=f"{track}.{stage}.on", target=stage, on=frozenset(names(written.on)))
        for index, rule in enumerate(written.enter):
            place = [*where, stage, "enter", index]
            sources = frozenset(names(rule.from_)) or None
            for source in sorted(sources or ()):
                if source not in spec.stages:
                    close = get_close_matches(source, spec.stages, n=1)
                    hint = f"; did you mean `{close[0]}`?" if close else f"; there are: {', '.join(spec.stages)}"
                    self._fault([*place, "from"], f"`{track}` has no stage `{source}`{hint}")
            made = self._rule(place, f"{track}.{stage}[{index}]", stage, rule, sources, facts, scope)
            if made is not None:
                yield made

    def _rule(
        self,
        place: Sequence[str | int],
        rule_id: str,
        stage: str,
        rule: RuleWritten,
        sources: frozenset[str] | None,
        facts: dict[str, Fact],
        scope: Names,
    ) -> EventRule | TimedRule | None:
        when = self._condition([*place, "when"], rule.when, scope)
        if (rule.on is None) == (rule.after is None):
            self._fault(place, "a rule is entered either `on:` an event or `after:` a time; say one of the two")
            return None
        if rule.on is not None:
            if rule.since is not None or rule.idle:
                self._fault(place, "`since` and `idle` go with `after:`")
            return EventRule(
                id=rule_id, target=stage, on=frozenset(names(rule.on)), sources=sources, when=when, again=rule.again
            )
        if rule.again:
            self._fault([*place, "again"], "`again` goes with `on:`; time can't bring an instance to where it is")
        after = self._duration([*place, "after"], rule.after)
        if after is None:
            return None
        if after <= timedelta():
            self._fault(
                [*place, "after"], "`after` must be longer than nothing: a rule that is due at once never rests"
            )
            return None
        since = self._since(place, rule, facts)
        return TimedRule(id=rule_id, target=stage, after=after, sources=sources, since=since, idle=rule.idle, when=when)

    def _since(self, place: Sequence[str | int], rule: RuleWritten, facts: dict[str, Fact]) -> str | None:
        if rule.since is None:
            return None
        name = rule.since.removeprefix("facts.")
        times = [fact.name for fact in facts.values() if fact.kind is FactKind.LATEST]
        if (name not in times and name not in self._unmade) or rule.idle:
            self._fault(
                [*place, "since"], f"`since` takes one fact of kind `latest` ({', '.join(times)}), without `idle`"
            )
        return name

    def _condition(self, place: Sequence[str | int], text: str | None, scope: Names) -> Condition | None:
        if text is None:
            return None
        try:
            return compile_condition(text, scope)
        except ConditionError as error:
            self._fault(place, f"in `{text}`, at character {error.column}: {error}")
            return None

    def _duration(self, place: Sequence[str | int], text: str | None) -> timedelta | None:
        if text is None:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            self._fault(place, str(error))
            return None

    def _fault(self, where: Sequence[str | int], message: str) -> None:
        """Nothing is said of a whole from which a faulty part was left out: that may be why."""
        if not any(torn[: len(where)] == tuple(where) for torn in self._torn):
            self._faults.append(Slip(tuple(where), message))


def _lay_under(over: dict[str, Any], base: dict[str, Any], *, deep: bool = True) -> None:
    """Mappings are merged key by key, in the base's order; whatever else stands in `over` replaces the base's.

    A fact is one sentence: a shop's own replaces it whole.
    """
    own_only = [key for key in over if key not in base]
    for key, value in base.items():
        if key not in over:
            over[key] = value
        elif deep and isinstance(value, dict) and isinstance(over[key], dict):
            _lay_under(over[key], value, deep=key != "facts")
        over[key] = over.pop(key)  # the order counts: of a track's matching rules the last listed wins
    for key in own_only:
        over[key] = over.pop(key)


def _round_trip(timed_rules: Mapping[str, Sequence[TimedRule]]) -> list[str]:
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


def _by_event(facts: Iterable[Fact]) -> dict[str, tuple[Fact, ...]]:
    found: dict[str, tuple[Fact, ...]] = {}
    for fact in facts:
        for name in fact.on:
            found[name] = (*found.get(name, ()), fact)
    return found


def _scope(model: ModelWritten, facts: dict[str, Fact], per: Per) -> Names:
    """What a rule's condition may name."""
    types: dict[FactKind, Any] = {FactKind.COUNT: "int", FactKind.DISTINCT: "int", FactKind.LATEST: "timestamp"}
    kinds = {f.name: types.get(f.kind, "money" if f.kind is FactKind.SUM else "any") for f in facts.values()}
    closed: dict[str, dict[str, Any]] = {
        "facts": {**dict.fromkeys(model.facts, "any"), **kinds},  # a faulty one was told of where it stands
        "stages": {name: "string" for name, track in model.tracks.items() if track.per is Per.CUSTOMER},
    }
    if per is not Per.CUSTOMER:
        closed[per] = dict(SUBJECT_MEMBERS)
    return Names(open=frozenset({"event", "traits"}), closed=closed)
