"""One transaction: what came is stored, folded, and written with all that it caused, or nothing of it happened.

    store identities and links, lock → store events → fold each customer → state, transitions, outbox → offsets

Events that sort after all that was folded are folded onto the state. Late ones, copies that turn out to have come
first, joins and splits fold the customer's whole history again and publish what that corrects.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import ChangeType
from services.shop import Storefront
from stage_engine import store
from stage_engine.arrivals import Arrival
from stage_engine.changes import Effect, Moved, Stream, announcements, corrections
from stage_engine.fold import Folded, Move, fold
from stage_engine.history import Entry
from stage_engine.metrics import BROKEN, EVENTS, FOLDS, OTHER_BODIES, TRANSITIONS
from stage_engine.model.model import Model
from stage_engine.orders import BOOKED, Order, order_key
from stage_engine.outbox import post
from stage_engine.pointers import Crossing, Namespaces, settle
from stage_engine.state import EMPTY
from stage_engine.store import Customer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a fold needs beside events: the model in force and the storefronts that it is in force for."""

    model: Model
    storefronts: Mapping[str, Storefront]


async def take_in(
    connection: AsyncConnection,
    arrivals: Sequence[Arrival],
    rules: Rules,
    namespaces: Namespaces,
    *,
    also_lock: Collection[UUID] = (),
) -> None:
    """Stores and folds a batch of events. Raises `pointers.Grew` when it must begin again."""
    if not arrivals:
        return
    settled = await settle(connection, arrivals, namespaces, also_lock)
    kept = await store.keep_events(connection, (a.entry for a in arrivals))
    EVENTS.labels("new").inc(len(kept.new))
    EVENTS.labels("earlier_copy").inc(len(kept.earlier))
    EVENTS.labels("repeat").inc(len(arrivals) - len(kept.new) - len(kept.earlier))
    OTHER_BODIES.inc(kept.other_bodies)

    came: dict[UUID, list[Entry]] = defaultdict(list)
    for (identity, _), entry in kept.new.items():
        came[settled.customer_of[identity]].append(entry)
    again = {customer for crossing in settled.crossings for customer in (crossing.before, crossing.after)}
    again |= {settled.customer_of[identity] for identity, _ in kept.earlier}
    customers = await store.customers(connection, {*came, *again})
    again |= {id_ for id_, entries in came.items() if _must_begin_again(customers[id_], entries)}
    onward = {id_: entries for id_, entries in came.items() if id_ not in again}
    again |= await store.with_copies(
        connection, onward, [entry.key for entries in onward.values() for entry in entries]
    )

    until = await store.read_watermark(connection) or datetime.fromtimestamp(0, UTC)
    await fold_onward(connection, [customers[id_] for id_ in onward if id_ not in again], onward, rules, until)
    await fold_again(connection, [customers[id_] for id_ in sorted(again)], rules, until, crossings=settled.crossings)


def _must_begin_again(customer: Customer, came: Iterable[Entry]) -> bool:
    position = customer.state.position
    return customer.broken is not None or (position is not None and any(e.position <= position for e in came))


async def fold_onward(
    connection: AsyncConnection,
    customers: Sequence[Customer],
    came: Mapping[UUID, Sequence[Entry]],
    rules: Rules,
    until: datetime,
) -> None:
    """Folds what came, and what waits, onto the states of customers that the caller has locked."""
    waiting = {
        c.id: min((c.waits_from, *(entry.position for entry in came.get(c.id, ()))))
        for c in customers
        if c.waits_from is not None
    }
    stored = await store.histories(connection, waiting, since=waiting) if waiting else {}
    entries = {c.id: stored.get(c.id, []) if c.id in waiting else list(came.get(c.id, ())) for c in customers}
    known_orders = await store.orders(
        connection,
        {
            customer: {order_key(entry.event) for entry in found if entry.event.name in BOOKED}
            for customer, found in entries.items()
        },
    )
    outcomes = []
    for customer in customers:
        folded = _folded(customer, entries[customer.id], rules, until, known_orders.get(customer.id, {}))
        if folded is not None:
            effect = Effect(before=customer.state.profile, after=folded.state, new=folded.moves)
            outcomes.append(Outcome(customer, folded, effect, folded.moves, customer.state.moves))
        else:
            outcomes.append(_broken(customer))
    await _write(connection, outcomes)


async def fold_again(
    connection: AsyncConnection,
    customers: Sequence[Customer],
    rules: Rules,
    until: datetime,
    *,
    crossings: Sequence[Crossing] = (),
) -> None:
    """Folds whole histories of customers that the caller has locked, and publishes what that corrects."""
    if not customers:
        return
    ids = [customer.id for customer in customers]
    histories = await store.histories(connection, ids)
    standing = await store.standing_transitions(connection, ids)
    folded = {c.id: _folded(replace(c, state=EMPTY), histories.get(c.id, []), rules, until, {}) for c in customers}
    known = {id_ for transitions in standing.values() for id_ in transitions}
    still = {move.transition.id for f in folded.values() if f is not None for move in f.moves}
    number = await store.next_table_number(connection) if crossings else 0
    await store.forget_derived(connection, ids)
    outcomes = []
    for customer in customers:
        result = folded[customer.id]
        if result is None:
            outcomes.append(_broken(customer))
            continue
        stood = standing.get(customer.id, {})
        new, gone = corrections(result.moves, stood, known=known, still=still)
        moved = _moved(customer, crossings, number, has_events=bool(histories.get(customer.id)))
        if moved is None and not stood and not histories.get(customer.id):
            continue  # a name without a history: nobody has heard of it
        effect = Effect(
            before=customer.state.profile,
            after=result.state,
            new=new,
            gone=gone,
            moved=moved,
            all_moves=result.moves,
            hold_changed=customer.broken is not None,
        )
        away = [id_ for id_ in stood if id_ not in {move.transition.id for move in result.moves}]
        outcomes.append(Outcome(customer, result, effect, result.moves, 0, tuple(away)))
    await _write(connection, outcomes, derived_anew=True)


def _moved(customer: Customer, crossings: Iterable[Crossing], number: int, *, has_events: bool) -> Moved | None:
    """How a customer takes part in a join or a split: None when it doesn't, or when nobody has heard of it yet."""
    others = {c.after for c in crossings if c.before == customer.id} | {
        c.before for c in crossings if c.after == customer.id
    }
    if not others or (customer.sequence == 0 and not has_events):
        return None
    part_of = next((c.after for c in crossings if c.identity == customer.root and c.before == customer.id), None)
    lost_some = any(c.before == customer.id for c in crossings)
    split = part_of is None and (lost_some or customer.sequence == 0)
    return Moved(
        type=ChangeType.CUSTOMER_SPLIT if split else ChangeType.CUSTOMER_JOINED,
        number=number,
        others=sorted(others),
        part_of=part_of,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be written of one customer. `numbered_from` numbers the moves; `away` are retracted transitions."""

    customer: Customer
    folded: Folded | None
    effect: Effect
    moves: Sequence[Move]
    numbered_from: int = 0
    away: Sequence[UUID] = ()


def _folded(
    customer: Customer, entries: Iterable[Entry], rules: Rules, until: datetime, orders: Mapping[str, Order]
) -> Folded | None:
    """None when the fold stumbles: a bug or a condition's; the events are stored and the customer goes on hold."""
    try:
        return fold(
            entries,
            rules.model,
            until,
            storefront=rules.storefronts[customer.storefront],
            start=customer.state,
            orders=orders,
        )
    except Exception:
        log.exception("the fold stumbled; the customer is on hold", customer_id=str(customer.id))
        BROKEN.inc()
        return None


def _broken(customer: Customer) -> Outcome:
    effect = Effect(
        before=customer.state.profile, after=customer.state, new=(), hold="broken", hold_changed=customer.hold is None
    )
    return Outcome(customer, None, effect, ())


async def _write(connection: AsyncConnection, outcomes: Sequence[Outcome], *, derived_anew: bool = False) -> None:
    """Writes states and what they caused. `derived_anew`: the order book and the instances were deleted before."""
    made = {
        o.customer.id: announcements(
            Stream(storefront=o.customer.storefront, customer_id=o.customer.id, sequence=o.customer.sequence), o.effect
        )
        for o in outcomes
    }
    done = [o for o in outcomes if o.folded is not None]
    await store.write_customers(connection, [_row(o, len(made[o.customer.id])) for o in outcomes])
    await store.write_orders(connection, {o.customer.id: o.folded.orders for o in done if o.folded})
    changed, gone = [], []
    for o in done:
        before = {} if derived_anew else {i.id: i for i in o.customer.state.instances}
        after = {i.id: i for i in o.effect.after.instances}
        changed += [
            (o.customer.id, o.customer.storefront, instance)
            for id_, instance in after.items()
            if id_ not in before or (before[id_].stage, before[id_].since) != (instance.stage, instance.since)
        ]
        gone += [(o.customer.id, id_) for id_ in before if id_ not in after]
    await store.write_instances(connection, changed, gone)
    await store.write_transitions(
        connection,
        [(o.customer.id, o.numbered_from + n, move) for o in done for n, move in enumerate(o.moves)],
        [(o.customer.id, id_) for o in done for id_ in o.away],
    )
    await post(connection, [announcement for announced in made.values() for announcement in announced])
    FOLDS.labels("again" if derived_anew else "onward").inc(len(done))
    for o in done:
        for move in o.effect.new:
            TRANSITIONS.labels(move.transition.track, move.transition.to_stage).inc()


def _row(outcome: Outcome, announced: int) -> Customer:
    """The customer's row after the fold; a broken one keeps its state, and everything waits for a re-fold."""
    customer, folded = outcome.customer, outcome.folded
    if folded is None:
        return replace(
            customer,
            sequence=customer.sequence + announced,
            next_wake=None,
            hold="broken",
            broken="the fold stumbled; the log says over what",
        )
    return replace(
        customer,
        sequence=customer.sequence + announced,
        state=folded.state,
        next_wake=folded.next_wake,
        waits_from=folded.waits_from,
        hold=None if customer.broken else customer.hold,
        broken=None,
    )
