"""What a join or a split means for the customers that take part, also where one of them can't be folded at once.

Who is left to the background refolder, or whose fold stumbles, publishes it later: `pending` is kept in their row.
Until then what was announced of the part that crossed stands under both, so that neither announces or retracts it for
the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import ChangeType, Transition
from stage_engine import store
from stage_engine.changes import Moved
from stage_engine.pointers import Crossing
from stage_engine.store import Customer, Joined


def taking_part(customer: Customer, crossings: Iterable[Crossing], number: int, *, has_events: bool) -> Moved | None:
    """How a customer takes part in a join or a split, and in those that it has yet to publish.

    None when it doesn't, or when nobody has heard of it yet.
    """
    others, split = _others(customer, crossings)
    before = customer.joined
    if not others or (customer.sequence == 0 and not has_events):
        if before is None:
            return None
        return Moved(type=_type(split=before.split), number=before.number, others=before.others, part_of=None)
    part_of = whole_joined(customer, crossings)
    if before is not None:
        others, split = others | set(before.others), split or before.split
    return Moved(type=_type(split=split and part_of is None), number=number, others=sorted(others), part_of=part_of)


def pending(customer: Customer, crossings: Iterable[Crossing], number: int) -> Joined | None:
    """What a customer who is not folded now is to publish once it is, with what waits for that already."""
    others, split = _others(customer, crossings)
    before = customer.joined
    if not others:
        return before
    if before is not None:
        others, split = others | set(before.others), split or before.split
    return Joined(number=number, others=sorted(others), split=split)


def _others(customer: Customer, crossings: Iterable[Crossing]) -> tuple[set[UUID], bool]:
    """Whom it exchanged a part with, and whether that is a split for it: it lost one, or is one that was lost."""
    lost = {c.after for c in crossings if c.before == customer.id}
    return lost | {c.before for c in crossings if c.after == customer.id}, bool(lost) or customer.sequence == 0


def _type(*, split: bool) -> ChangeType:
    return ChangeType.CUSTOMER_SPLIT if split else ChangeType.CUSTOMER_JOINED


def whole_joined(customer: Customer, crossings: Iterable[Crossing]) -> UUID | None:
    """The customer that this one is now part of, when its root crossed."""
    return next((c.after for c in crossings if c.identity == customer.root and c.before == customer.id), None)


async def hand_over(
    connection: AsyncConnection,
    customers: Mapping[UUID, Customer],
    crossings: Iterable[Crossing],
    unfolded: Collection[UUID],
) -> None:
    """What was announced of parts that leave or come to customers who are not folded now is known to the new holder.

    A crossing to or from somebody not among `customers` is left out: it was seen to when that one was postponed.
    """
    parts: dict[tuple[UUID, UUID], list[UUID]] = defaultdict(list)
    for crossing in crossings:
        ends = {crossing.before, crossing.after}
        if ends <= customers.keys() and ends & set(unfolded):
            parts[crossing.before, crossing.after].append(crossing.identity)
    for (before, after), identities in sorted(parts.items()):
        if customers[before].root in identities:
            await store.hand_over(connection, before, after)
        else:
            await store.share(connection, before, after, identities)


async def standing_elsewhere(
    connection: AsyncConnection, customers: Iterable[Customer], crossings: Iterable[Crossing]
) -> list[Transition]:
    """What stands under those that a customer exchanged parts with and who are not folded now."""
    folded = {customer.id: customer.joined for customer in customers}
    others = {id_ for joined in folded.values() if joined for id_ in joined.others}
    others |= {id_ for crossing in crossings for id_ in (crossing.before, crossing.after)}
    found = await store.standing_transitions(connection, dict.fromkeys(others - folded.keys(), 0))
    return [stood.transition for standing in found.values() for stood in standing.values()]
