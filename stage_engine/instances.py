"""The instances of one customer during a fold: which an event is about, which begin, which leave. Pure.

A cart is found by its id, else by a checkout or an order that was said of it (`tied`), else by its token, the device,
the customer. Ties only find: no key ever comes of them.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import takewhile

from msgspec.structs import replace

from services.contracts.changes import Cause, Subject
from services.contracts.events import Event, Name
from stage_engine.history import Entry
from stage_engine.model.model import Model, Per, Track
from stage_engine.orders import said_id
from stage_engine.state import Instance, Left, Slot
from stage_engine.subjects import (
    checkouts_named,
    holds_more,
    is_order_event,
    is_own,
    key_of,
    named_cart,
    subject_after,
)

MOST = 200
"""Carts and orders that a state holds; over it the one touched longest ago leaves."""
FINAL_STAYS = timedelta(days=90)
"""A final cart leaves with the first event this long after its end: until then a late event finds it."""
MOST_LEFT = 1_000
MOST_TIED = 8
"""Checkouts and orders that lead to one cart; a person begins few, and a state is stored with every batch."""
NOWHERE: Slot = ("", "", 0)
ENDED_BY_ORDERS = (Per.CART, Per.CHECKOUT)
FILLS = (Name.PRODUCT_ADDED, Name.CART_UPDATED)
"""What begins a cart again."""


class Instances:
    """Written into by one fold; begins as a copy of the state's."""

    def __init__(self, model: Model, instances: Iterable[Instance], left: dict[str, Left]) -> None:
        self._model = model
        self._by_slot: dict[Slot, Instance] = {instance.slot: instance for instance in instances}
        self._latest: dict[tuple[str, str], Slot] = {
            (track, key): (track, key, number) for track, key, number in sorted(self._by_slot)
        }
        self._tied = {(i.track, id_): i.slot for i in self._by_slot.values() for id_ in i.tied}
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
        for id_ in instance.tied:
            self._tie(instance, id_)

    def _tie(self, instance: Instance, id_: str) -> None:
        """The cart that it was said of last has it; another has it no more."""
        before = self._by_slot.get(self._tied.get((instance.track, id_), instance.slot))
        if before is not None and before.slot != instance.slot and id_ in before.tied:
            self._by_slot[before.slot] = replace(before, tied=tuple(other for other in before.tied if other != id_))
            self._sort_in(self._by_slot[before.slot])
        self._tied[instance.track, id_] = instance.slot

    def _tied_to(self, track: Track, event: Event) -> Instance | None:
        """The run of a cart that the event's checkout or order was said of; none if it says which cart it is about."""
        if track.per is not Per.CART or said_id(event.properties.get("cart_id")):
            return None
        for id_ in checkouts_named(event):
            instance = self._by_slot.get(self._tied.get((track.name, id_), NOWHERE))
            if instance is not None and id_ in instance.tied:
                return instance
        return None

    def _sort_in(self, instance: Instance) -> None:
        track = self._model.track(instance.track)
        if instance.stage in track.timed_rules:
            self._timed[instance.slot] = instance
        else:
            self._timed.pop(instance.slot, None)
        if track.per in ENDED_BY_ORDERS:
            self._ended_carts.pop(instance.slot, None)
            if instance.stage in track.finals:
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
        if not own and track.per in ENDED_BY_ORDERS and is_order_event(entry.event.name):
            return self._ended_by(track, entry)
        if not own and track.per is not Per.CUSTOMER:
            return []
        tied = self._tied_to(track, entry.event)
        key = tied.key if tied else key_of(track.per, entry)
        current = self.current(track.name, key)
        if tied is not None and tied is not current and entry.event.name not in FILLS:
            return []  # of a run that is over
        if current is not None and current.stage not in track.finals:
            return [current]
        return [self._begun(track, key, entry)] if own and self._begins(track, key, current, entry) else []

    def _begins(self, track: Track, key: str, ended: Instance | None, entry: Entry) -> bool:
        """Only carts begin again, by what the ended run did not hold, and checkouts that no id tells apart.

        What a run held that has left is forgotten.
        """
        event = entry.event
        if track.begins_on is not None and event.name not in track.begins_on:
            return False
        if ended is None and _remembered(track.name, key) not in self.left:
            return True
        if track.per is Per.CHECKOUT:
            return event.name == Name.CHECKOUT_STARTED and not checkouts_named(event)
        held = Subject() if ended is None else ended.subject
        return track.per is Per.CART and (
            event.name == Name.PRODUCT_ADDED or (event.name == Name.CART_UPDATED and holds_more(held, event))
        )

    def _ended_by(self, track: Track, entry: Entry) -> list[Instance]:
        """An order ends all the customer's carts and checkouts opened before it, or where they are parallel its own."""
        open_ = [
            instance
            for instance in self._by_slot.values()
            if instance.track == track.name and instance.stage not in track.finals and instance.opened < entry.position
        ]
        if not track.named_order_only:
            return open_
        if track.per is Per.CHECKOUT:
            named = {*checkouts_named(entry.event), named_cart(entry.event)}
            return [instance for instance in open_ if instance.key in named] or open_
        tied, cart = self._tied_to(track, entry.event), named_cart(entry.event)
        return [i for i in open_ if (i is tied if tied else cart is None or i.key == cart)]

    def named(self, track: Track, key: str | None) -> Instance | None:
        """The latest run under a key as it is shown; without a key the open one touched last."""
        if track.per is Per.CUSTOMER:
            return self.current(track.name, "")
        if key is None:
            open_ = [i for i in self._by_slot.values() if i.track == track.name and i.stage not in track.finals]
            return max(open_, key=lambda i: (i.touched_at, i.opened, i.slot), default=None)
        run = self.current(track.name, key) or self.current(track.name, key.rpartition("#")[0])
        return run if run is not None and key in (run.key, run.shown_key) else None

    def begun(self, track: Track, entry: Entry) -> Instance:
        """The customer's own, which an operator's word begins when nothing has."""
        return self._begun(track, "", entry)

    def _begun(self, track: Track, key: str, entry: Entry) -> Instance:
        """A new instance in the start stage; a further run is named after what ended the one before."""
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
            key, left = left_behind(instance, cause)
            self.left[key] = left
            while len(self.left) > MOST_LEFT:
                del self.left[next(iter(self.left))]


def touched(instance: Instance, track: Track, entry: Entry) -> Instance:
    """After an event of its own: contents, the time from which `idle` counts, and what leads to a cart."""
    subject: Subject = subject_after(instance.subject, track, entry)
    said = checkouts_named(entry.event) if track.per is Per.CART else ()
    tied = (*(id_ for id_ in instance.tied if id_ not in said), *said)[-MOST_TIED:] if said else instance.tied
    return replace(instance, touched_at=entry.event.occurred_at, touched_by=entry.cause, subject=subject, tied=tied)


def left_behind(instance: Instance, cause: Cause) -> tuple[str, Left]:
    """What is remembered of an instance that leaves, and under which key."""
    return _remembered(instance.track, instance.key), Left(_run_after(instance.ended_by or cause), instance.number)


def _run_after(cause: Cause) -> str:
    return f"{cause.identity}:{cause.event_id}"


def _remembered(track: str, key: str) -> str:
    return f"{track}\x00{key}"
