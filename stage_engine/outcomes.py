"""What a fold came to for one customer, and writing it: the state, what it derives, and what is announced of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from stage_engine import book_store, store
from stage_engine.changes import Announcement, Effect, Stream, announcements
from stage_engine.fold import Folded, Move
from stage_engine.history import Position
from stage_engine.metrics import TRANSITIONS
from stage_engine.outbox import post
from stage_engine.rules import Rules
from stage_engine.state import Instance
from stage_engine.store import Customer, Joined

BROKEN = "broken"
REFOLDING = "refolding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """It was folded. `numbered_from` numbers the moves; `away` are transitions that no longer stand under it."""

    customer: Customer
    folded: Folded
    effect: Effect
    numbered_from: int
    away: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stumbled:
    """The fold raised: a bug, or a condition's. The events are stored; a re-fold mends it."""

    customer: Customer


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """Too much to be folded here: the background refolder does it. `since` is where the history changed."""

    customer: Customer
    since: Position
    joined: Joined | None = None


Outcome = Settled | Stumbled | Postponed


async def write(connection: AsyncConnection, outcomes: Sequence[Outcome], rules: Rules) -> None:
    """Inside the transaction that holds the customers, which were folded by these rules."""
    announced = {outcome.customer.id: _announced(outcome) for outcome in outcomes}
    await store.write_customers(connection, [_row(o, len(announced[o.customer.id]), rules) for o in outcomes])
    await _write_derived(connection, [o for o in outcomes if isinstance(o, Settled)])
    await post(connection, [change for changes in announced.values() for change in changes])


async def _write_derived(connection: AsyncConnection, settled: Sequence[Settled]) -> None:
    await book_store.write_orders(
        connection, [(o.customer.id, position, order) for o in settled for position, order in o.folded.orders]
    )
    await book_store.write_checkpoints(connection, {o.customer.id: o.folded.checkpoints for o in settled})
    await store.write_instances(
        connection,
        [(o.customer.id, o.customer.storefront, instance) for o in settled for instance in _stands_anew(o)],
        [(o.customer.id, id_) for o in settled for id_ in _by_id(o.customer).keys() - _by_id(o.folded).keys()],
    )
    await store.write_transitions(
        connection,
        [(o.customer.id, o.numbered_from + n, move) for o in settled for n, move in enumerate(o.folded.moves)],
        [(o.customer.id, id_) for o in settled for id_ in o.away],
    )
    for move in (move for o in settled for move in o.effect.new):
        TRANSITIONS.labels(move.transition.track, move.transition.to_stage).inc()


def _by_id(of: Customer | Folded) -> Mapping[UUID, Instance]:
    return {instance.id: instance for instance in of.state.instances}


def _stands_anew(outcome: Settled) -> list[Instance]:
    before = _by_id(outcome.customer)
    return [
        instance
        for id_, instance in _by_id(outcome.folded).items()
        if id_ not in before or _shown(before[id_]) != _shown(instance)
    ]


def _shown(instance: Instance) -> tuple[str, str, datetime]:
    """What the table of instances says of it. A late event may put a run before it, which makes `c1#2` of `c1`."""
    return instance.shown_key, instance.stage, instance.since


def _announced(outcome: Outcome) -> list[Announcement]:
    customer = outcome.customer
    stream = Stream(
        storefront=customer.storefront,
        customer_id=customer.id,
        sequence=customer.sequence,
        root=customer.root_said,
    )
    match outcome:
        case Settled():
            return announcements(stream, outcome.effect)
        case Stumbled():
            return announcements(stream, _held(customer, BROKEN))
        case Postponed():
            return announcements(stream, _held(customer, REFOLDING))


def _held(customer: Customer, hold: str) -> Effect:
    return Effect(
        before=customer.state.profile, after=customer.state, new=(), hold=hold, hold_changed=customer.hold != hold
    )


def _row(outcome: Outcome, announced: int, rules: Rules) -> Customer:
    """The customer's row after it; one that was not folded keeps its state, and everything waits for the re-fold."""
    customer = replace(outcome.customer, sequence=outcome.customer.sequence + announced)
    tried_by = rules.number(customer.storefront)
    match outcome:
        case Settled():
            return replace(
                customer,
                state=outcome.folded.state,
                next_wake=outcome.folded.next_wake,
                waits_from=outcome.folded.waits_from,
                hold=None,
                broken=None,
                broken_by=None,
                refold_from=None,
                arrived_from=None,
                joined=None,
                revision=tried_by,
            )
        case Stumbled():
            return replace(
                customer,
                next_wake=None,
                hold=BROKEN,
                broken="the fold stumbled; the log says over what",
                broken_by=tried_by,
                refold_from=None,
                arrived_from=None,
            )
        case Postponed():
            held = replace(customer, next_wake=None, hold=REFOLDING, joined=outcome.joined or customer.joined)
            if customer.refold_from is None:
                return replace(held, refold_from=outcome.since)
            return replace(held, arrived_from=min(outcome.since, customer.arrived_from or outcome.since))


def corrected(moves: Sequence[Move], stood: Mapping[UUID, object]) -> tuple[UUID, ...]:
    """The transitions that stood under a customer and are not among its moves any more."""
    still = {move.transition.id for move in moves}
    return tuple(id_ for id_ in stood if id_ not in still)
