"""The instances of one customer during a fold: which an event is about, which begin, which leave. Pure."""

from collections.abc import Iterable
from datetime import timedelta

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

    def all(self) -> tuple[Instance, ...]:
        return tuple(self._by_slot.values())

    def put(self, instance: Instance) -> None:
        self._by_slot[instance.slot] = instance
        self._latest[instance.track, instance.key] = instance.slot

    def current(self, track: str, key: str) -> Instance | None:
        """The latest run under this key."""
        slot = self._latest.get((track, key))
        return self._by_slot[slot] if slot else None

    def stages(self) -> dict[str, str]:
        """Where the customer stands on each of their own tracks."""
        return {i.track: i.stage for i in self._by_slot.values() if i.key == "" and i.number == 1}

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
        finals = {track.name: track.finals for track in self._model.tracks if track.per is Per.CART}
        for instance in self.all():
            if (
                instance.stage in finals.get(instance.track, ())
                and entry.event.occurred_at >= instance.since + FINAL_STAYS
            ):
                self._leave(instance, entry.cause)
        kept = [instance for instance in self.all() if instance.key]
        if len(kept) > MOST:
            for instance in sorted(kept, key=lambda i: (i.touched_at, i.opened, i.slot))[: len(kept) - MOST]:
                self._leave(instance, entry.cause)

    def _leave(self, instance: Instance, cause: Cause) -> None:
        del self._by_slot[instance.slot]
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
