"""Folding customers that the caller has locked: onward from their state, or again from a checkpoint that holds."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from stage_engine import baseline_store, book_store, event_store, store
from stage_engine.baselines import Baseline
from stage_engine.changes import Effect, corrections
from stage_engine.crossings import hand_over, pending, standing_elsewhere, taking_part
from stage_engine.fold import Folded, fold
from stage_engine.history import Entry, Position
from stage_engine.metrics import BROKEN, FOLDS
from stage_engine.orders import BOOKED, Order, order_key
from stage_engine.outcomes import Outcome, Settled, Stumbled, corrected
from stage_engine.pointers import Crossing
from stage_engine.rules import Rules
from stage_engine.state import EMPTY, State
from stage_engine.store import Customer

log = structlog.get_logger()

TAKEN_APART = State(approximate=True)
"""Where a fold begins whose customer lost a part, or was one, of a past that is not kept."""


async def fold_onward(
    connection: AsyncConnection,
    customers: Sequence[Customer],
    came: Mapping[UUID, Sequence[Entry]],
    rules: Rules,
    until: datetime,
) -> list[Outcome]:
    """What came, and what waits, folded onto the states."""
    waiting = {c.id: c.state.position for c in customers if c.waits_from is not None}
    stored = await event_store.histories(connection, waiting) if waiting else {}
    entries = {c.id: stored.get(c.id, []) if c.id in waiting else came.get(c.id, ()) for c in customers}
    orders = await orders_named(connection, entries, {c.id: c.state.position for c in customers})
    FOLDS.labels("onward").inc(len(customers))
    outcomes = []
    async for customer in _in_turn(customers):
        state, known = customer.state, orders.get(customer.id, {})
        outcomes.append(_onward(customer, folded_by(customer, state, entries[customer.id], rules, until, known)))
    return outcomes


async def _in_turn(customers: Sequence[Customer]) -> AsyncIterator[Customer]:
    """Lets the loop turn now and then: a long batch must not keep Kafka waiting for a sign of life."""
    for number, customer in enumerate(customers):
        if number % 20 == 0:
            await asyncio.sleep(0)
        yield customer


def _onward(customer: Customer, folded: Folded | None) -> Outcome:
    if folded is None:
        return Stumbled(customer=customer)
    effect = Effect(before=customer.state.profile, after=folded.state, new=folded.moves)
    return Settled(customer=customer, folded=folded, effect=effect, numbered_from=customer.state.moves)


async def fold_again(
    connection: AsyncConnection,
    customers: Sequence[Customer],
    starts: Mapping[UUID, State],
    rules: Rules,
    until: datetime,
    *,
    crossings: Sequence[Crossing] = (),
    number: int = 0,
) -> list[Outcome]:
    """Histories folded again from the states in `starts`, and what that corrects of what was announced.

    `crossings` are the joins and splits that made it necessary, `number` theirs. Who has no start begins with what is
    left of their past.
    """
    starts = await beginnings(connection, [c.id for c in customers], starts)
    after = {c.id: starts.get(c.id, EMPTY).position for c in customers}
    entries = await event_store.histories(connection, after)
    pasts = await baseline_store.baselines_after(connection, after)
    orders = await orders_named(connection, entries, after, pasts)
    results: dict[UUID, Folded | None] = {}
    async for customer in _in_turn(customers):
        start, known_orders = starts.get(customer.id, EMPTY), orders.get(customer.id, {})
        results[customer.id] = folded_by(
            customer, start, entries.get(customer.id, ()), rules, until, known_orders, pasts.get(customer.id, ())
        )
    FOLDS.labels("again").inc(len(customers))
    stumbled = [id_ for id_, folded in results.items() if folded is None]
    await hand_over(connection, {c.id: c for c in customers}, crossings, stumbled)
    crossed = {id_ for crossing in crossings for id_ in (crossing.before, crossing.after)}
    crossed |= {c.id for c in customers if c.joined}
    standing = await store.standing_transitions(  # all of them, for the table of a join or a split
        connection, {c.id: 0 if c.id in crossed else starts.get(c.id, EMPTY).moves for c in customers}
    )
    since = {
        c.id: {
            id_: stood.transition
            for id_, stood in standing.get(c.id, {}).items()
            if stood.number >= starts.get(c.id, EMPTY).moves
        }
        for c in customers
    }
    await book_store.forget_after(connection, after)
    known = [transition for stood in since.values() for transition in stood.values()]
    still = [move.transition for folded in results.values() if folded is not None for move in folded.moves]
    still += await standing_elsewhere(connection, [c for c in customers if c.id not in stumbled], crossings)
    outcomes: list[Outcome] = []
    for customer in customers:
        folded = results[customer.id]
        if folded is None:
            outcomes.append(Stumbled(customer=replace(customer, joined=pending(customer, crossings, number))))
            continue
        moved = taking_part(customer, crossings, number, has_events=folded.state.events > 0)
        if moved is None and folded.state.events == customer.state.events == customer.sequence == 0:
            continue  # a name without a history: nobody has heard of it
        new, gone = corrections(folded.moves, since[customer.id], known=known, still=still)
        start = starts.get(customer.id, EMPTY)
        outcomes.append(
            Settled(
                customer=customer,
                folded=folded,
                effect=Effect(
                    before=customer.state.profile,
                    after=folded.state,
                    new=new,
                    gone=gone,
                    moved=moved,
                    earlier=[s.transition for s in standing.get(customer.id, {}).values() if s.number < start.moves],
                    moves=folded.moves,
                    hold_changed=customer.hold is not None,
                    past=rules.past(customer),
                ),
                numbered_from=start.moves,
                away=corrected(folded.moves, since[customer.id]),
            )
        )
    return outcomes


async def beginnings(
    connection: AsyncConnection, customers: Collection[UUID], starts: Mapping[UUID, State]
) -> Mapping[UUID, State]:
    """The starts, and for whom a past was taken apart that is not kept a beginning that says so."""
    apart = await baseline_store.taken_apart(connection, [id_ for id_ in customers if id_ not in starts])
    return {**starts, **dict.fromkeys(apart, TAKEN_APART)}


async def orders_named(
    connection: AsyncConnection,
    entries: Mapping[UUID, Collection[Entry]],
    as_of: Mapping[UUID, Position | None],
    pasts: Mapping[UUID, Collection[Baseline]] | None = None,
) -> dict[UUID, dict[str, Order]]:
    """The rows of the order book that the entries name, as of the positions that they are folded from."""
    wanted = {
        customer: {order_key(entry.event) for entry in found if entry.event.name in BOOKED}
        for customer, found in entries.items()
    }
    for customer, baselines in (pasts or {}).items():
        wanted.setdefault(customer, set()).update(order.key for past in baselines for _, order in past.orders)
    return await book_store.orders(connection, wanted, as_of)


def folded_by(
    customer: Customer,
    start: State,
    entries: Iterable[Entry],
    rules: Rules,
    until: datetime,
    orders: Mapping[str, Order],
    baselines: Collection[Baseline] = (),
) -> Folded | None:
    """None when the fold stumbles: a bug or a condition's; the events are stored and the customer goes on hold."""
    try:
        return fold(
            entries,
            rules.model,
            until,
            storefront=rules.storefronts[customer.storefront],
            start=start,
            orders=orders,
            baselines=baselines,
        )
    except Exception:
        log.exception("the fold stumbled; the customer is on hold", customer_id=str(customer.id))
        BROKEN.inc()
        return None
