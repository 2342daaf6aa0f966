"""The one function that decides where a customer stands.

    fold(events, model, until) → state, moves, next_wake, waits_from

It is pure: the same set of events, model and `until` give the same answer, in whatever order and however often the
events came, and down to the ids of the moves. Live processing, late events, joins, replays and questions about the
past all go through it. Time is an argument: `until` is the watermark, the time up to which everything is known. A due
time is crossed only when it is not beyond `until`, whether a wake or an event would cross it: nobody is told that they
abandoned a cart while their order still waits on a topic.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from services.contracts.changes import Cause, Subject, Transition
from services.contracts.events import Event, Name, SaidBy
from services.contracts.storefront import Storefront
from stage_engine.baselines import Baseline, fitted, merged, merged_order
from stage_engine.due import Due, next_due
from stage_engine.facts import FactsAt, Latest, found_at, observe, observe_date, observe_order, shown
from stage_engine.history import Entry, Position, in_order
from stage_engine.instances import Instances, touched
from stage_engine.model.model import EventRule, Model, Per, TimedRule, Track
from stage_engine.orders import BOOKED, Order, booked, order_key, said_id
from stage_engine.profile import profile_after, shown_traits
from stage_engine.state import EMPTY, Instance, State, transition_id
from stage_engine.subjects import is_own, scope_of

FOLD_VERSION = 1
"""Raise it with every change after which the same events, model and `until` may fold to something else, down to the ids
of the moves, or after which states are stored otherwise. Engines of two versions then never work at the same time: each
revision of the shop is for one, and customers folded by another are folded again (docs/operations.md, Upgrading)."""

MAX_SAID = 200
"""Characters of an operator's name, and of their reason."""
CHECKPOINT_EVERY = 256
"""Events between two states that are kept to begin a re-fold from."""


@dataclass(frozen=True, slots=True)
class Move:
    """A transition, and what its instance was about at that time."""

    transition: Transition
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a fold came to.

    `moves` are those of the entries given, in order. `orders` are the versions of the order book's rows, each with the
    position of the event that made it. `checkpoints` are the states after every 256th event. `next_wake` is the
    earliest due time not yet crossed. `waits_from` is the position of the first entry that must wait, since it lies
    behind a due time beyond `until`; it and all that sort after it are to be given again.
    """

    state: State
    moves: tuple[Move, ...]
    orders: tuple[tuple[Position, Order], ...]
    checkpoints: tuple[State, ...]
    next_wake: datetime | None
    waits_from: Position | None


def fold(
    entries: Iterable[Entry],
    model: Model,
    until: datetime,
    *,
    storefront: Storefront,
    start: State = EMPTY,
    orders: Mapping[str, Order] | None = None,
    baselines: Iterable[Baseline] = (),
) -> Folded:
    """Folds the entries, all of which sort after `start.position`, into `start`; others need a fold from before them.

    `orders` are the rows of the order book as of `start` that the entries name (more do no harm). `baselines` stand in
    place of events that are not kept; they too sort after `start.position`, and the watermark has passed them.
    """
    ahead = deque(sorted(baselines, key=lambda baseline: (baseline.position, baseline.id)))
    folding = _Folding(
        model, storefront, max((until, *(baseline.position.occurred_at for baseline in ahead))), start, orders or {}
    )
    waits_from = None
    for entry in in_order(entries):
        while ahead and ahead[0].position < entry.position:
            folding.take_past(ahead.popleft())
        if not folding.cross_due_times(entry.event.occurred_at):
            waits_from = entry.position
            break
        folding.take(entry)
    else:
        for baseline in ahead:
            folding.take_past(baseline)
        folding.cross_due_times(until)
    return folding.result(waits_from)


class _Folding:
    """One fold under way: its own copies, written into; nothing that was passed in is changed."""

    def __init__(
        self, model: Model, storefront: Storefront, until: datetime, start: State, orders: Mapping[str, Order]
    ) -> None:
        self._model = model
        self._storefront = storefront
        self._until = until
        self._stand(start)
        self._orders = dict(orders)
        self._versions: list[tuple[Position, Order]] = []
        self._checkpoints: list[State] = []
        self._moves: list[Move] = []
        self._start = start

    def _stand(self, at: State) -> None:
        self._position = at.position
        self._facts = at.facts.copied()
        self._profile = at.profile
        self._instances = Instances(self._model, at.instances, at.left)
        self._events = at.events
        self._imported_until = at.imported_until
        self._approximate = at.approximate

    def result(self, waits_from: Position | None) -> Folded:
        due = self._next_due()
        return Folded(
            state=self._state(),
            moves=tuple(self._moves),
            orders=tuple(self._versions),
            checkpoints=tuple(self._checkpoints),
            next_wake=due.at if due else None,
            waits_from=waits_from,
        )

    def _state(self) -> State:
        return State(
            position=self._position,
            facts=self._facts.copied(),
            profile=self._profile,
            instances=self._instances.all(),
            left=dict(self._instances.left),
            moves=self._start.moves + len(self._moves),
            events=self._events,
            imported_until=self._imported_until,
            approximate=self._approximate,
        )

    def cross_due_times(self, limit: datetime) -> bool:
        """Makes every timed move that is due at or before `limit`; False at the first that lies beyond `until`."""
        while (due := self._next_due()) is not None and due.at <= limit:
            if due.at > self._until:
                return False
            self._come_due(due)
        return True

    def _next_due(self) -> Due | None:
        return next_due(self._model, self._instances.timed(), self._facts)

    def _come_due(self, due: Due) -> None:
        """Of the rules due at this time the last listed whose condition holds wins; all of them are spent."""
        spent = {**due.instance.spent, **{arm.rule.id: arm.armed_at for arm in due.arms}}
        instance = replace(due.instance, spent=spent)
        self._instances.put(instance)
        self._position = max(self._position or Position.due(due.at), Position.due(due.at))
        for arm in reversed(due.arms):
            if self._holds(arm.rule, instance, None, due.at):
                self._move(instance, arm.rule, due.at, arm.cause, arm.rule.spoken)
                return

    def take(self, entry: Entry) -> None:
        """Facts first, then the tracks in the order in which they are listed, each seeing the earlier ones' stages."""
        self._position = entry.position
        self._imported_until = _later(self._imported_until, entry.event.imported_at)
        self._profile = profile_after(self._profile, entry.event)
        if self._model.dated_traits and entry.event.traits:
            self._date_traits(entry)
        entry = self._counted(entry)
        if entry.event.name == Name.STAGE_SET:
            self._set_stage(entry)
        else:
            for track in self._model.tracks:
                for instance in self._instances.concerned_by(track, entry):
                    self._follow(track, instance, entry)
        self._instances.let_go(entry)
        self._events += 1
        if self._events % CHECKPOINT_EVERY == 0:
            self._checkpoints.append(self._state())

    def take_past(self, baseline: Baseline) -> None:
        """What is left of a past that is not kept. With nothing before it this is exact, else two pasts become one."""
        alone, past = self._events == 0, fitted(baseline.state, self._model)
        if alone:
            self._stand(replace(past, approximate=self._approximate or past.approximate))
        else:
            self.cross_due_times(baseline.position.occurred_at)
            self._stand(merged(self._state(), past, self._model))
        for position, order in baseline.orders:
            self._book_past(position if alone else baseline.position, order, counted=alone)
        subjects = {instance.id: instance.subject for instance in baseline.state.instances}
        self._moves += [Move(move, subjects.get(move.instance, Subject())) for move in baseline.moves]

    def _book_past(self, position: Position, order: Order, *, counted: bool) -> None:
        before = self._orders.get(order.key)
        after = order if before is None else merged_order(before, order)
        self._orders[order.key] = after
        self._versions.append((position, after))
        for fact in self._model.facts.values():
            if fact.per_order and not counted:
                observe_order(
                    self._facts, fact, before, after, position.occurred_at, currency=self._storefront.currency
                )

    def _date_traits(self, entry: Entry) -> None:
        traits = shown_traits(self._profile)
        for name in self._model.dated_traits:
            said = found_at(traits, tuple(name.split(".")[1:]))
            observe_date(self._facts, name, said, entry.event, entry.cause, self._storefront.timezone)

    def _counted(self, entry: Entry) -> Entry:
        """Takes the event into the facts, and returns it as the rules are to see it.

        What a browser says of an order is a report of it, and of a subscription a request for one. A later copy of an
        order that is known is an update of it.
        """
        event = self._as_trusted(entry.event)
        if event.name in BOOKED:
            event = self._book(event, entry.position)
        for fact in self._model.facts_on.get(event.name, ()):
            if not fact.per_order:
                observe(self._facts, fact, event, entry.cause, storefront=self._storefront)
        return replace(entry, event=event)

    def _as_trusted(self, event: Event) -> Event:
        if event.said_by is SaidBy.BROWSER and event.name == Name.EMAIL_SUBSCRIBED:
            return replace(event, name=Name.SUBSCRIPTION_REQUESTED)
        believed = event.said_by is SaidBy.SERVER or self._storefront.trust == "browser"
        return event if believed or event.name != Name.ORDER_COMPLETED else replace(event, name=Name.ORDER_REPORTED)

    def _book(self, event: Event, position: Position) -> Event:
        key, currency = order_key(event), self._storefront.currency
        before = self._orders.get(key)
        after = booked(before, event, currency=currency)
        self._orders[key] = after
        self._versions.append((position, after))
        for fact in self._model.facts.values():
            if fact.per_order:
                observe_order(self._facts, fact, before, after, event.occurred_at, currency=currency)
        again = event.name == Name.ORDER_COMPLETED and before is not None and before.completed_at is not None
        return replace(event, name=Name.ORDER_UPDATED) if again else event

    def _follow(self, track: Track, instance: Instance, entry: Entry) -> None:
        """One event on one instance: its contents, its beginning if this is it, and at most one move."""
        event, own = entry.event, is_own(track.per, entry.event.name)
        began = instance.opened == entry.position
        if own:
            instance = touched(instance, track, entry)
            if event.name in track.remembered:
                said = dict.fromkeys(track.remembered[event.name], Latest(event.occurred_at, entry.cause))
                instance = replace(instance, last={**instance.last, **said})
        self._instances.put(instance)
        if began:
            self._record(instance, None, f"{track.name}.{track.start}.start", entry.cause, f"first {event.name}", {})
        became: frozenset[str] = frozenset()
        if own and track.becoming:
            instance, became = self._look(track, instance, event.occurred_at)
        for rule in reversed(track.in_turn.get(event.name, track.becoming if own else ())):
            if rule.sources is not None and instance.stage not in rule.sources:
                continue
            if rule.cooldown is not None and _cools(rule, instance, event.occurred_at):
                continue
            if self._holds(rule, instance, event, event.occurred_at) if rule.on else rule.id in became:
                if rule.again or rule.target != instance.stage:
                    self._move(instance, rule, event.occurred_at, entry.cause, event.name)
                return

    def _set_stage(self, entry: Entry) -> None:
        """An operator's word moves an instance whatever the rules say; one that names nothing we know moves nothing."""
        said = entry.event.properties
        track = next((track for track in self._model.tracks if track.name == said.get("track")), None)
        if track is None or said.get("stage") not in track.stages or entry.event.said_by is not SaidBy.SERVER:
            return
        instance = self._instances.named(track, said_id(said.get("key")))
        if instance is None and track.per is Per.CUSTOMER:
            instance = self._instances.begun(track, entry)
            self._instances.put(instance)
            start = f"{track.name}.{track.start}.start"
            self._record(instance, None, start, entry.cause, f"first {entry.event.name}", {})
        if instance is not None and instance.stage != said["stage"]:
            word = EventRule(id=f"{track.name}.{said['stage']}.set", target=said["stage"], on=frozenset())
            self._move(instance, word, entry.event.occurred_at, entry.cause, _word_of(said))

    def _look(self, track: Track, instance: Instance, at: datetime) -> tuple[Instance, frozenset[str]]:
        """Which of the rules by condition alone have become true. One truth counts once: until it was false again.

        What is true where the rule does not lead from, or while it cools down, waits to count.
        """
        held, became = set(instance.held), set()
        for rule in track.becoming:
            if not self._holds(rule, instance, None, at):
                held.discard(rule.id)
            elif rule.id not in held and _may_move(rule, instance, at):
                held.add(rule.id)
                became.add(rule.id)
        if sorted(held) != instance.held:
            instance = replace(instance, held=sorted(held))
            self._instances.put(instance)
        return instance, frozenset(became)

    def _holds(self, rule: EventRule | TimedRule, instance: Instance, event: Event | None, at: datetime) -> bool:
        if rule.when is None:
            return True
        per = str(self._model.track(instance.track).per)
        what: dict[str, Callable[[], Mapping[str, Any]]] = {
            "event": lambda: {} if event is None else event.properties,
            "facts": lambda: FactsAt(self._model, self._facts, at),
            "traits": lambda: shown_traits(self._profile),
            "stages": self._instances.stages,
            per: lambda: scope_of(instance.subject),
        }
        read = {path[0] for path in rule.when.reads}  # a cart of a hundred lines is not summed up for who asks of facts
        return rule.when.holds({name: what[name]() for name in read & what.keys()})

    def _move(self, instance: Instance, rule: EventRule | TimedRule, at: datetime, cause: Cause, why: str) -> None:
        track = self._model.track(instance.track)
        moved = replace(
            instance,
            stage=rule.target,
            since=at,
            entered_by=cause,
            ended_by=cause if rule.target in track.finals else None,
            fired=instance.fired if rule.cooldown is None else {**instance.fired, rule.id: at},
        )
        self._instances.put(moved)
        facts: dict[str, Any] = {}
        if rule.when is not None:
            values = FactsAt(self._model, self._facts, at)
            facts = {path[1]: shown(values[path[1]]) for path in sorted(rule.when.reads) if path[0] == "facts"}
            why = (
                f"{why}, and {rule.when.text}"
                if isinstance(rule, TimedRule) or rule.on
                else f"{rule.when.text} became true with {why}"
            )
        self._record(moved, instance.stage, rule.id, cause, why, facts)

    def _record(
        self, instance: Instance, before: str | None, rule: str, cause: Cause, why: str, facts: dict[str, Any]
    ) -> None:
        self._moves.append(
            Move(
                Transition(
                    id=transition_id(instance.id, rule, cause, instance.stage),
                    instance=instance.id,
                    track=instance.track,
                    key=instance.shown_key,
                    from_stage=before,
                    to_stage=instance.stage,
                    at=instance.since,
                    rule=rule,
                    cause=cause,
                    reason=why,
                    facts=facts,
                    historical=self._imported_until is not None and instance.since <= self._imported_until,
                ),
                instance.subject,
            )
        )


def _word_of(said: Mapping[str, Any]) -> str:
    """Who set a stage, and why, as far as that was said."""
    by, reason = (str(said.get(name) or "").strip()[:MAX_SAID] for name in ("by", "reason"))
    return f"set by {by or 'an operator'}{f': {reason}' if reason else ''}"


def _may_move(rule: EventRule, instance: Instance, at: datetime) -> bool:
    """Whether it leads from here, and does not cool down."""
    return (rule.sources is None or instance.stage in rule.sources) and not _cools(rule, instance, at)


def _cools(rule: EventRule, instance: Instance, at: datetime) -> bool:
    fired = instance.fired.get(rule.id)
    return fired is not None and rule.cooldown is not None and at < fired + rule.cooldown


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
