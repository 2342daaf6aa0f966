"""What stands in place of a past that is not kept: a baseline, and how several pasts become one. Pure.

A baseline belongs to an identity, as events do, and the fold meets it at its position as it meets an event at its own.
With nothing folded before it the fold is exact. Where pasts are put together that were folded apart, the result is
marked `approximate`: what each said in between can't be told any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from services.contracts.changes import Profile, Transition
from services.contracts.events import Name, SaidBy
from stage_engine.history import THE_END, Position
from stage_engine.instances import ENDED_BY_ORDERS, MOST_LEFT, MOST_TIED, left_behind
from stage_engine.merged_facts import merged_facts
from stage_engine.model.model import Model, Per
from stage_engine.orders import Order
from stage_engine.state import Instance, Left, Slot, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is left of the events at or before `position`; `id` is the identity that it belongs to.

    `orders` are the rows of the order book as of then, each with the position of the event that made it so; `moves` are
    the transitions up to then, in their order.
    """

    id: UUID
    position: Position
    state: State
    orders: tuple[tuple[Position, Order], ...] = ()
    moves: tuple[Transition, ...] = ()


class Stored(NamedTuple):
    """An event as the cut looks at it; `last_copy` is where the last of all copies with its id sorts."""

    position: Position
    received_at: datetime
    last_copy: Position


def cut_at(
    rows: Sequence[Stored],
    *,
    received_before: datetime,
    waits_from: Position | None = None,
    past: Position | None = None,
    more: bool = False,
) -> Position | None:
    """The end of the longest beginning of a history that may be folded away; None when there is none.

    `rows` are in their order, from the first; `more` may follow. All of the beginning were received before a time and
    are folded (`waits_from`), and no copy of one lies behind its end: which of two came first is not forgotten. `past`
    is where what is not kept already ends: a join may have put events before it, and all of them go at once.
    """
    end = _longest(rows, received_before, waits_from, more=more)
    if end is None or past is None or end >= past:
        return end
    return None if any(end < row.position <= past for row in rows) else past


def _longest(
    rows: Sequence[Stored], received_before: datetime, waits_from: Position | None, *, more: bool
) -> Position | None:
    end: Position | None = None
    last: Position | None = None
    furthest: Position | None = None
    for row in rows:
        if last is not None and last < row.position and furthest == last:
            end = last
        if row.received_at >= received_before or (waits_from is not None and row.position >= waits_from):
            return end
        last, furthest = row.position, max(furthest or row.last_copy, row.last_copy)
    return last if not more and furthest == last else end


def fitted(state: State, model: Model) -> State:
    """The state as a model can go on from it, which may be another than the one that it was folded by.

    Instances of tracks that there are no more go; one in a stage that there is no more stands where its track begins.
    """
    tracks = {track.name: track for track in model.tracks}
    known = tuple(
        instance
        if instance.stage in tracks[instance.track].stages
        else replace(instance, stage=tracks[instance.track].start, ended_by=None)
        for instance in state.instances
        if instance.track in tracks
    )
    return state if known == state.instances else replace(state, instances=known, approximate=True)


def merged(earlier: State, later: State, model: Model) -> State:
    """Two pasts as one, `later` the one whose position is later. Facts by order are as `earlier` has them.

    Those follow from the order book (`facts.observe_order`), row by row, so that an order that both know counts once.
    """
    instances, left = _instances(earlier, later, model)
    return State(
        position=later.position,
        facts=merged_facts(earlier.facts, later.facts, model, later_began_first=_began(later) < _began(earlier)),
        profile=_profile(earlier.profile, later.profile),
        instances=instances,
        left=left,
        moves=earlier.moves + later.moves,
        events=earlier.events + later.events,
        imported_until=max((at for at in (earlier.imported_until, later.imported_until) if at), default=None),
        approximate=True,
    )


def merged_order(earlier: Order, later: Order) -> Order:
    """The later one's amounts, where it has any; each refund was told to one of them."""
    last = later if later.completed_at is not None else earlier
    completed = [order.completed_at for order in (earlier, later) if order.completed_at is not None]
    currencies = {order.currency for order in (earlier, later) if order.currency is not None}
    return replace(
        last,
        completed_at=min(completed, default=None),
        currency=last.currency or next(iter(currencies), None),
        refunded=earlier.refunded + later.refunded if len(currencies) <= 1 else last.refunded,
        refunded_whole=earlier.refunded_whole or later.refunded_whole,
        cancelled=earlier.cancelled or later.cancelled,
    )


def _began(state: State) -> Position:
    """When the oldest of what it holds began: the customer's own tracks stay from their first event on."""
    return min((instance.opened for instance in state.instances), default=THE_END)


def _profile(earlier: Profile, later: Profile) -> Profile:
    """The later word holds; a server's address goes before a browser's, and a withdrawn consent before a granted."""
    addresses = dict(earlier.addresses)
    for channel, address in later.addresses.items():
        known = addresses.get(channel)
        if known is not None and (known.value, known.said_by) == (address.value, address.said_by):
            continue
        if known is None or address.said_by is SaidBy.SERVER or known.said_by is SaidBy.BROWSER:
            addresses[channel] = address
    consent = {
        channel: earlier.consent.get(channel, True) and later.consent.get(channel, True)
        for channel in (*earlier.consent, *(c for c in later.consent if c not in earlier.consent))
    }
    return Profile(
        traits={**earlier.traits, **later.traits},
        claims={**earlier.claims, **later.claims},
        addresses=addresses,
        consent=consent,
    )


def _instances(earlier: State, later: State, model: Model) -> tuple[tuple[Instance, ...], dict[str, Left]]:
    """United by what they are runs of, in the order in which they began; no cart stays open that an order has ended."""
    left = {**earlier.left}
    for key, other in later.left.items():
        left[key] = max(left.get(key, other), other, key=lambda one: one.number)
    by_slot: dict[Slot, Instance] = {}
    for state, beside in ((earlier, later), (later, earlier)):
        ordered_at = _ordered_at(beside, model)
        for instance in state.instances:
            if _ended(instance, ordered_at, _orders_of(beside, model), model):
                key, remembered = left_behind(instance, instance.touched_by)
                left[key] = remembered
                continue
            known = by_slot.get(instance.slot)
            by_slot[instance.slot] = instance if known is None else _one_of(known, instance)
    tracks = {track.name: number for number, track in enumerate(model.tracks)}
    by_slot = _tied_once(by_slot)
    united = sorted(by_slot.values(), key=lambda i: (i.opened, tracks.get(i.track, len(tracks)), i.slot))
    return tuple(united), dict(list(left.items())[-MOST_LEFT:])


def _ordered_at(state: State, model: Model) -> datetime | None:
    """When an order was last begun or counted, as far as the state still knows."""
    per = {track.name: track.per for track in model.tracks}
    begun = [i.opened.occurred_at for i in state.instances if per.get(i.track) is Per.ORDER]
    told = [
        latest.at
        for name, latest in state.facts.latest.items()
        if (fact := model.facts.get(name)) is not None and Name.ORDER_COMPLETED in fact.on
    ]
    return max((*begun, *told), default=None)


def _orders_of(state: State, model: Model) -> frozenset[str]:
    per = {track.name: track.per for track in model.tracks}
    return frozenset(i.key for i in state.instances if per.get(i.track) is Per.ORDER)


def _ended(instance: Instance, ordered_at: datetime | None, orders: frozenset[str], model: Model) -> bool:
    """An order ends all the customer's carts opened before it: what it would have moved is let go of, told to none.

    Where carts are parallel that is the one that it was said to be about.
    """
    track = next((track for track in model.tracks if track.name == instance.track), None)
    return (
        ordered_at is not None
        and track is not None
        and track.per in ENDED_BY_ORDERS
        and instance.stage not in track.finals
        and instance.opened.occurred_at < ordered_at
        and (not track.named_order_only or not orders.isdisjoint((instance.key, *instance.tied)))
    )


def _one_of(one: Instance, other: Instance) -> Instance:
    """Named after the one that began first, where the later move led; the later touch says what it holds."""
    first = min((one, other), key=lambda i: (i.opened, i.first_identity))
    moved = max((one, other), key=lambda i: (i.since, i.entered_by.event_id, i.first_identity))
    touched = max((one, other), key=lambda i: (i.touched_at, i.touched_by.event_id, i.first_identity))
    return replace(
        moved,
        run=first.run,
        first_identity=first.first_identity,
        opened=first.opened,
        touched_at=touched.touched_at,
        touched_by=touched.touched_by,
        subject=touched.subject,
        tied=tuple(dict.fromkeys((*one.tied, *other.tied))),
        fired=_latest(one.fired, other.fired),
        last=touched.last,
    )


def _latest(one: Mapping[str, datetime], other: Mapping[str, datetime]) -> dict[str, datetime]:
    return {**one, **{rule: max(at, one.get(rule, at)) for rule, at in other.items()}}


def _tied_once(by_slot: Mapping[Slot, Instance]) -> dict[Slot, Instance]:
    """Of two carts that a checkout or an order was said of the one touched last has it."""
    carts = sorted((i for i in by_slot.values() if i.tied), key=lambda i: (i.touched_at, i.touched_by.event_id, i.slot))
    last = {(cart.track, id_): cart.slot for cart in carts for id_ in cart.tied}
    return {
        slot: replace(i, tied=tuple(id_ for id_ in i.tied if last[i.track, id_] == slot)[-MOST_TIED:]) if i.tied else i
        for slot, i in by_slot.items()
    }
