"""The instances of one customer during a fold: which an event is about, which begin, which leave. Pure."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import takewhile

from msgspec.structs import replace

from services.contracts.changes import Cause, Subject
from services.contracts.events import Name
from stage_engine.history import Entry
from stage_engine.model.model import Model, Per, Track
from stage_engine.state import Instance, Left, Slot
from stage_engine.subjects import holds_more, is_order_event, is_own, key_of, named_cart, subject_after

MOST = 200
"""Carts and orders that a state holds; over it the one touched longest ago leaves."""
FINAL_STAYS = timedelta(days=90)
"""A final cart leaves with the first event this long after its end: until then a late event finds it."""
MOST_LEFT = 1_000


class Instances:
    """Written into by one fold; begins as a copy of the state's."""

    def __init__(self, model: Model, instances: Iterable[Instance], left: dict[str, Left]) -> None:
        self._model = model
        self._by_slot: dict[Slot, Instance] = {instance.slot: instance for instance in instances}
        self._latest: dict[tuple[str, str], Slot] = {
            (track, key): (track, key, number) for track, key, number in sorted(self._by_slot)
        }
        self.left = dict(left)
        # What is looked through at every event: the few that time may move, and the ended carts, the first ended first.
        self._timed: dict[Slot, Instance] = {}
        self._ended_carts: dict[Slot, Instance] = {}
        self._grew = False
        for instance in sorted(self._by_slot.values(), key=lambda instance: instance.since):
            self._sort_in(instance)

    def all(self) -> tuple[Instance, ...]:
        return tuple(self._by_slot.values())

    def timed(self) -> Iterable[Instance]:
        """Those in whose stage a timed rule waits."""
        return self._timed.values()

    def put(self, instance: Instance) -> None:
        self._by_slot[instance.slot] = instance
        self._latest[instance.track, instance.key] = instance.slot
        self._sort_in(instance)

    def _sort_in(self, instance: Instance) -> None:
        track = self._model.track(instance.track)
        if instance.stage in track.timed_rules:
            self._timed[instance.slot] = instance
        else:
            self._timed.pop(instance.slot, None)
        if track.per is Per.CART and instance.stage in track.finals:
            self._ended_carts[instance.slot] = instance

    def current(self, track: str, key: str) -> Instance | None:
        """The latest run under this key."""
        slot = self._latest.get((track, key))
        return self._by_slot[slot] if slot else None

    def stages(self) -> dict[str, str]:
        """Where the customer stands on each of their own tracks."""
        own = (self.current(track.name, "") for track in self._model.tracks if track.per is Per.CUSTOMER)
        return {instance.track: instance.stage for instance in own if instance}

    def concerned_by(self, track: Track, entry: Entry) -> list[Instance]:
        """The open instances that an event may move, the one that it begins included."""
        own = is_own(track.per, entry.event.name)
        if not own and track.per is Per.CART and is_order_event(entry.event.name):
            return self._ended_by(track, entry)
        if not own and track.per is not Per.CUSTOMER:
            return []
        current = self.current(track.name, key_of(track.per, entry))
        if current is not None and current.stage not in track.finals:
            return [current]
        return [self._begun(track, entry)] if own and self._begins(track, current, entry) else []

    def _begins(self, track: Track, ended: Instance | None, entry: Entry) -> bool:
        """Only carts begin again, by what the ended run did not hold; of one that left that is forgotten."""
        event = entry.event
        if track.begins_on is not None and event.name not in track.begins_on:
            return False
        if ended is None and _remembered(track.name, key_of(track.per, entry)) not in self.left:
            return True
        held = Subject() if ended is None else ended.subject
        return track.per is Per.CART and (
            event.name == Name.PRODUCT_ADDED or (event.name == Name.CART_UPDATED and holds_more(held, event))
        )

    def _ended_by(self, track: Track, entry: Entry) -> list[Instance]:
        """An order ends all the customer's carts opened before it; only the one it names where carts are parallel."""
        named = named_cart(entry.event) if track.named_order_only else None
        return [
            instance
            for instance in self._by_slot.values()
            if instance.track == track.name
            and instance.stage not in track.finals
            and instance.opened < entry.position
            and (named is None or instance.key == named)
        ]

    def _begun(self, track: Track, entry: Entry) -> Instance:
        """A new instance in the start stage; a further run is named after what ended the one before."""
        key = key_of(track.per, entry)
        before = self.current(track.name, key)
        left = self.left.get(_remembered(track.name, key))
        run, number = "", 1
        if before is not None and before.ended_by is not None:
            run, number = _run_after(before.ended_by), before.number + 1
        elif left is not None:
            run, number = left.run, left.number + 1
        at = entry.event.occurred_at
        self._grew = True
        return Instance(
            track=track.name,
            key=key,
            number=number,
            run=run,
            first_identity=entry.identity,
            opened=entry.position,
            stage=track.start,
            since=at,
            entered_by=entry.cause,
            touched_at=at,
            touched_by=entry.cause,
        )

    def let_go(self, entry: Entry) -> None:
        """Final carts whose time is over, and what is too many."""
        over = entry.event.occurred_at - FINAL_STAYS
        gone = list(takewhile(lambda ended: ended.since <= over, self._ended_carts.values()))
        for instance in sorted(gone, key=lambda i: (i.since, i.opened, i.slot)):
            self._leave(instance, entry.cause)
        if self._grew:
            self._grew = False
            kept = [instance for instance in self.all() if instance.key]
            for instance in sorted(kept, key=lambda i: (i.touched_at, i.opened, i.slot))[: max(0, len(kept) - MOST)]:
                self._leave(instance, entry.cause)

    def _leave(self, instance: Instance, cause: Cause) -> None:
        del self._by_slot[instance.slot]
        self._timed.pop(instance.slot, None)
        self._ended_carts.pop(instance.slot, None)
        if self._latest[instance.track, instance.key] == instance.slot:
            del self._latest[instance.track, instance.key]
            self.left[_remembered(instance.track, instance.key)] = Left(
                _run_after(instance.ended_by or cause), instance.number
            )
            while len(self.left) > MOST_LEFT:
                del self.left[next(iter(self.left))]


def touched(instance: Instance, per: Per, entry: Entry) -> Instance:
    """After an event of its own: contents and the time from which `idle` counts."""
    subject: Subject = subject_after(instance.subject, per, entry)
    return replace(instance, touched_at=entry.event.occurred_at, touched_by=entry.cause, subject=subject)


def _run_after(cause: Cause) -> str:
    return f"{cause.identity}:{cause.event_id}"


def _remembered(track: str, key: str) -> str:
    return f"{track}\x00{key}"
