"""Why a customer's instances stand where they do, what could move them next, and what each of that still lacks. Pure.

Nothing is worked out a second time: where the next move leads is asked of the fold itself, with no further event.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.conditions import explain
from services.contracts.changes import Cause, Transition
from services.contracts.events import Name
from services.contracts.storefront import Storefront
from stage_engine.due import armed, due_at
from stage_engine.facts import FactsAt
from stage_engine.fold import fold
from stage_engine.model.model import EventRule, Model, Per, TimedRule, Track
from stage_engine.orders import BOOKED
from stage_engine.profile import shown_traits
from stage_engine.state import Instance, State
from stage_engine.subjects import is_own, scope_of

LOOKED_AHEAD = 32
"""Due times tried for one that moves anything: further than that nobody plans."""
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)

Rule = EventRule | TimedRule


class Clock(StrEnum):
    """How a timed rule stands."""

    RUNNING = "running"
    WAITING = "waiting"
    """Due, and crossed once everything up to then is known."""
    SPENT = "spent"
    """It came due, and waits until it is armed again."""
    UNARMED = "unarmed"
    """What it counts from has not happened yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One conjunct of a condition. `values` are what it reads now; None in `holds`: that is for the event to say.

    `changes_with` are those of the rule's own events that change what it reads before the rule looks at it.
    """

    text: str
    holds: bool | None
    values: Mapping[str, Any]
    changes_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """What would come between: `events` lead `to` another stage, or arm the rule anew where `to` is None.

    No `events`: any event of the instance's own; with a `when`, that only has to become true. Else `when` is the
    condition on the event, if there is one.
    """

    events: tuple[str, ...]
    to: str | None = None
    when: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByEvent:
    """A rule that an event could make true. Until `cools_until` it moves nobody.

    `had_its_turn`: a rule by condition alone whose condition was true already; it counts again once it was false.
    """

    rule: EventRule
    parts: tuple[Part, ...]
    cools_until: datetime | None = None
    had_its_turn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTime:
    """A rule that time makes true.

    `armed_at` and `armed_by` are what it counts from; `parts` hold now, `holds_then` says whether all of them will when
    it is due and nothing happens until then. `unless` is what would come between, or, once spent, arm it again.
    """

    rule: TimedRule
    clock: Clock
    due: datetime | None
    armed_at: datetime | None
    armed_by: Cause | None
    parts: tuple[Part, ...]
    holds_then: bool
    unless: tuple[Instead, ...]


Way = ByEvent | ByTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """One instance: `came` is its last move (None when it is not known), `rule` the model's rule that made it."""

    instance: Instance
    final: bool
    came: Transition | None
    rule: Rule | None
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The first move that time will make when nothing else happens."""

    move: Transition
    unless: tuple[Instead, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """As of `at`; due times up to `known_until` have been crossed."""

    at: datetime
    known_until: datetime
    stands: tuple[Stands, ...]
    next: Next | None

    @property
    def causes(self) -> frozenset[Cause]:
        """The events that it speaks of."""
        came = {stands.came.cause for stands in self.stands if stands.came is not None}
        arming = {way.armed_by for stands in self.stands for way in stands.ways if isinstance(way, ByTime)}
        return frozenset(came | {cause for cause in arming if cause is not None})


def why(
    state: State,
    model: Model,
    transitions: Iterable[Transition],
    at: datetime,
    *,
    known_until: datetime,
    storefront: Storefront,
) -> Why:
    """`transitions` are the customer's standing ones, in their order."""
    came = {transition.instance: transition for transition in transitions}
    looking = _Looking(model, state, at, known_until)
    stands = tuple(looking.at_instance(instance, came.get(instance.id)) for instance in state.instances)
    return Why(at=at, known_until=known_until, stands=stands, next=_next(state, model, stands, storefront))


def _next(state: State, model: Model, stands: Iterable[Stands], storefront: Storefront) -> Next | None:
    """Folds no event into the state, up to one due time after the other, until something moves."""
    ahead = fold((), model, BEFORE_ALL, storefront=storefront, start=state)
    for _ in range(LOOKED_AHEAD):
        if ahead.next_wake is None:
            return None
        ahead = fold((), model, ahead.next_wake, storefront=storefront, start=ahead.state)
        if ahead.moves:
            move = ahead.moves[0].transition
            ways = (w for s in stands if s.instance.id == move.instance for w in s.ways if isinstance(w, ByTime))
            return Next(move=move, unless=next((way.unless for way in ways if way.rule.id == move.rule), ()))
    return None


@dataclass(frozen=True, slots=True)
class _Looking:
    """At one customer's state, at one time."""

    model: Model
    state: State
    at: datetime
    known_until: datetime

    def at_instance(self, instance: Instance, came: Transition | None) -> Stands:
        track = self.model.track(instance.track)
        final = instance.stage in track.finals
        return Stands(
            instance=instance,
            final=final,
            came=came,
            rule=None if came is None else next((rule for rule in track.rules() if rule.id == came.rule), None),
            ways=() if final else tuple(self._ways(instance, track)),
        )

    def _ways(self, instance: Instance, track: Track) -> Iterator[Way]:
        for rule in track.rules():
            if isinstance(rule, TimedRule):
                if rule in track.timed_rules.get(instance.stage, ()):
                    yield self._by_time(rule, instance, track)
            elif _may_move(rule, instance, track):
                yield ByEvent(
                    rule=rule,
                    parts=self._parts(rule, instance, track, self.at),
                    cools_until=self._cools_until(rule, instance),
                    had_its_turn=rule.id in instance.held,
                )

    def _cools_until(self, rule: EventRule, instance: Instance) -> datetime | None:
        fired = None if rule.cooldown is None else instance.fired.get(rule.id)
        until = None if fired is None or rule.cooldown is None else fired + rule.cooldown
        return until if until is not None and until > self.at else None

    def _by_time(self, rule: TimedRule, instance: Instance, track: Track) -> ByTime:
        arm = next((arm for arm in armed(self.model, instance, self.state.facts) if arm.rule is rule), None)
        due = None if arm is None else due_at(arm, instance)
        clock = Clock.RUNNING
        if due is None:
            clock = Clock.SPENT if rule.id in instance.spent else Clock.UNARMED
        elif due <= self.at:
            clock = Clock.WAITING
        then = self._parts(rule, instance, track, self.at if due is None else max(due, self.at))
        return ByTime(
            rule=rule,
            clock=clock,
            due=due,
            armed_at=instance.spent.get(rule.id) if arm is None else arm.armed_at,
            armed_by=None if arm is None else arm.cause,
            parts=self._parts(rule, instance, track, self.at),
            holds_then=all(part.holds for part in then),
            unless=tuple(self._arms(rule, instance, track) if arm is None else self._between(rule, instance, track)),
        )

    def _arms(self, rule: TimedRule, instance: Instance, track: Track) -> Iterator[Instead]:
        """What sets anew the time that the rule counts from."""
        if rule.idle:
            yield Instead(events=())
        elif rule.since is not None:
            events, where = self.model.armed_by(rule)
            another = f"another {rule.counts_from}" if rule.date else None
            yield Instead(events=tuple(sorted(events)), when=where.text if where else another)
        else:
            for other in track.rules():
                if isinstance(other, EventRule) and other.again and other.target == instance.stage:
                    yield Instead(events=tuple(sorted(other.on)), when=other.when.text if other.when else None)

    def _between(self, rule: TimedRule, instance: Instance, track: Track) -> Iterator[Instead]:
        """What arms it anew, and what leads to where it waits no more."""
        arming = tuple(self._arms(rule, instance, track))
        yield from arming
        known = {event for instead in arming if instead.when is None for event in instead.events}
        waits_on = not (rule.since is None and not rule.idle)  # else every stage that is entered arms it anew
        for other in track.rules():
            if not isinstance(other, EventRule) or other.target == instance.stage:
                continue
            if not _may_move(other, instance, track):
                continue
            if waits_on and rule in track.timed_rules.get(other.target, ()):
                continue  # it leads to another stage, where the rule comes due all the same
            if other.becoming and other.when is not None and other.id not in instance.held:
                yield Instead(events=(), to=other.target, when=other.when.text)
            events = sorted(e for e in other.on - known if not (rule.idle and is_own(track.per, e)))
            if events:
                yield Instead(events=tuple(events), to=other.target, when=other.when.text if other.when else None)

    def _parts(self, rule: Rule, instance: Instance, track: Track, at: datetime) -> tuple[Part, ...]:
        if rule.when is None:
            return ()
        scope = self._scope(instance, track, at)
        on = rule.on if isinstance(rule, EventRule) else frozenset()
        return tuple(
            Part(
                text=conjunct.text,
                holds=None if on and any(path[0] == "event" for path in conjunct.reads) else conjunct.holds,
                values={".".join(p): _value(scope, p) for p in sorted(conjunct.reads) if p[0] != "event"},
                changes_with=tuple(
                    sorted(e for e in on if any(self._changes(track, e, path) for path in conjunct.reads))
                ),
            )
            for conjunct in explain(rule.when, scope)
        )

    def _scope(self, instance: Instance, track: Track, at: datetime) -> dict[str, Any]:
        """What a condition reads, but for the event: there is none yet."""
        own = {track.name for track in self.model.tracks if track.per is Per.CUSTOMER}
        return {
            "event": {},
            "facts": FactsAt(self.model, self.state.facts, at),
            "traits": shown_traits(self.state.profile),
            "stages": {one.track: one.stage for one in self.state.instances if one.track in own},
            str(track.per): scope_of(instance.subject),
        }

    def _changes(self, track: Track, event: str, path: tuple[str, ...]) -> bool:
        """Whether such an event changes what is read before a rule looks at it: facts first, then rules."""
        if path[0] == "facts":
            fact = self.model.facts[path[1]]
            return event in fact.hears or (fact.per_order and event in BOOKED)
        return path[0] == track.per and is_own(track.per, event)


def _may_move(rule: EventRule, instance: Instance, track: Track) -> bool:
    """An order is completed once; its later copies come as updates of it, so what began it never comes again."""
    completed = frozenset({Name.ORDER_COMPLETED})
    if track.per is Per.ORDER and rule.on == completed and track.begins_on == completed:
        return False
    return (rule.target != instance.stage or rule.again) and _leads_from(rule, instance.stage)


def _leads_from(rule: Rule, stage: str) -> bool:
    return rule.sources is None or stage in rule.sources


def _value(scope: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401  whatever stands there
    """None where nothing stands."""
    found: Any = scope
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
