"""One transaction: what came is stored, folded, and written with all that it caused, or nothing of it happened.

    store identities and links, lock → store events → fold each customer → state, transitions, outbox → offsets

Events that sort after all that was folded are folded onto the state. Late ones, copies that turn out to have come
first, joins and splits fold again from the last checkpoint before what they change. What would take too long is left to
the background refolder, so that one bot slows nobody; its customer is on hold until then.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from stage_engine import baseline_store, book_store, event_store, store
from stage_engine.arrivals import Arrival
from stage_engine.crossings import hand_over, pending, whole_joined
from stage_engine.folding import fold_again, fold_onward
from stage_engine.forward import check_none_is_behind
from stage_engine.history import THE_BEGINNING, THE_END, Entry, Position
from stage_engine.metrics import EVENTS, KEPT_OUT, OTHER_BODIES
from stage_engine.outcomes import Outcome, Postponed, write
from stage_engine.pointers import Crossing, Namespaces, settle
from stage_engine.rules import Rules
from stage_engine.state import EMPTY
from stage_engine.store import Customer

LARGE = 2_000
"""Events that are folded again inside a batch's transaction at the most; more is for the background refolder."""


async def take_in(
    connection: AsyncConnection,
    arrivals: Sequence[Arrival],
    rules: Rules,
    namespaces: Namespaces,
    *,
    also_lock: Collection[UUID] = (),
) -> None:
    """Stores and folds a batch of events. Raises `pointers.Grew` or `forward.Behind` when it must begin again."""
    if not arrivals:
        return
    settled = await settle(connection, arrivals, namespaces, also_lock)
    timely = await _timely(connection, [a.entry for a in arrivals], settled.customer_of)
    kept = await event_store.keep_events(connection, timely)
    EVENTS.labels("new").inc(len(kept.new))
    EVENTS.labels("earlier_copy").inc(len(kept.earlier))
    EVENTS.labels("repeat").inc(len(timely) - len(kept.new) - len(kept.earlier))
    KEPT_OUT.inc(len(arrivals) - len(timely))
    OTHER_BODIES.inc(kept.other_bodies)

    came: dict[UUID, list[Entry]] = defaultdict(list)
    for (identity, _), entry in kept.new.items():
        came[settled.customer_of[identity]].append(entry)
    replaced = {settled.customer_of[place[0]]: at for place, at in sorted(kept.since.items(), key=lambda p: p[1])[::-1]}
    customers = await store.customers(connection, {*came, *replaced, *settled.crossed})
    check_none_is_behind(customers.values(), rules)
    changed = await _changed(connection, customers, came, replaced, settled.crossings)
    onward = [customers[id_] for id_ in came if id_ not in changed]
    until = await store.read_watermark(connection) or datetime.fromtimestamp(0, UTC)
    outcomes = await fold_onward(connection, onward, came, rules, until)
    outcomes += await _again(connection, customers, changed, rules, until, settled.crossings)
    await write(connection, outcomes, rules)


async def _timely(
    connection: AsyncConnection, entries: Sequence[Entry], customer_of: Mapping[UUID, UUID]
) -> list[Entry]:
    """Without those that sort where their customer's history is not kept any more. What they link counts."""
    kept_from = await baseline_store.kept_from(connection, set(customer_of.values()))
    if not kept_from:
        return list(entries)
    return [e for e in entries if e.position > kept_from.get(customer_of[e.identity], THE_BEGINNING)]


async def _changed(
    connection: AsyncConnection,
    customers: Mapping[UUID, Customer],
    came: Mapping[UUID, Sequence[Entry]],
    replaced: Mapping[UUID, datetime],
    crossings: Sequence[Crossing],
) -> dict[UUID, Position]:
    """The customers whose history is not just longer, and since where it is another."""
    changed: dict[UUID, Position] = {}

    def since(customer: UUID, position: Position) -> None:
        changed[customer] = min(position, changed.get(customer, position))

    crossed = [crossing.identity for crossing in crossings]
    begins = await event_store.beginnings(connection, crossed)
    with_a_past = await baseline_store.with_a_past(connection, crossed)
    for crossing in crossings:
        at = begins.get(crossing.identity)
        begun = THE_END if at is None else Position.due(at)
        for customer in (crossing.before, crossing.after):
            since(customer, THE_BEGINNING if crossing.identity in with_a_past else begun)
    for customer, at in replaced.items():
        since(customer, Position.due(at))
    for customer, entries in came.items():
        first, state = min(entry.position for entry in entries), customers[customer].state
        if state.position is not None and first <= state.position:
            since(customer, first)
        elif customers[customer].broken is not None:
            since(customer, state.position or THE_BEGINNING)
        elif customers[customer].refold_from is not None:
            since(customer, first)
    for customer, at in (await event_store.copies(connection, came)).items():
        since(customer, Position.due(at))
    return changed


async def _again(
    connection: AsyncConnection,
    customers: Mapping[UUID, Customer],
    changed: Mapping[UUID, Position],
    rules: Rules,
    until: datetime,
    crossings: Sequence[Crossing],
) -> list[Outcome]:
    """Folds again what is small enough, and leaves the rest to the background. Who lost all is never left."""
    if not changed:
        return []
    changed = {id_: THE_BEGINNING if rules.is_behind(customers[id_]) else at for id_, at in changed.items()}
    starts = await book_store.checkpoints_before(connection, changed)
    counts = await event_store.counts(connection, {id_: starts.get(id_, EMPTY).position for id_ in changed})
    empty = {crossing.before for crossing in crossings if whole_joined(customers[crossing.before], crossings)}
    large = {
        id_ for id_ in changed.keys() - empty if counts.get(id_, 0) > LARGE or customers[id_].refold_from is not None
    }
    number = await store.next_table_number(connection) if crossings else 0
    postponed: list[Outcome] = [
        Postponed(customer=customers[id_], since=changed[id_], joined=pending(customers[id_], crossings, number))
        for id_ in sorted(large)
    ]
    await hand_over(connection, customers, crossings, large)
    small = [customers[id_] for id_ in sorted(changed.keys() - large)]
    return postponed + await fold_again(connection, small, starts, rules, until, crossings=crossings, number=number)
