"""What must come of a set of arrivals, by the pure functions alone: who is whom, and one fold for each."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from services.contracts.identity import Identity
from services.contracts.storefront import Storefront
from stage_engine.arrivals import Arrival
from stage_engine.fold import Folded, fold
from stage_engine.history import Entry
from stage_engine.identity import MOST_POINTING, Link, customer_id, identity_id, pointers, root_of
from stage_engine.model.model import Model


def customers_by_identity(
    arrivals: Iterable[Arrival], storefront: str, namespace: UUID, *, most: int = MOST_POINTING
) -> dict[UUID, UUID]:
    """Where every identity that was named ends."""
    named: dict[UUID, Identity] = {}
    links: list[Link] = []
    for a in arrivals:
        for identity in (*a.named, *(end for link in a.links for end in (link.weak, link.strong))):
            named[identity_id(storefront, identity)] = identity
        links += a.links
    held = pointers(links, most=most)
    onward = {
        identity_id(storefront, weak): (identity_id(storefront, link.strong), link.at) for weak, link in held.items()
    }
    return {id_: customer_id(namespace, named[root_of(id_, onward.get)]) for id_ in named}


def histories(arrivals: Iterable[Arrival], customers: Mapping[UUID, UUID]) -> dict[UUID, list[Entry]]:
    """Each customer's entries, copies included."""
    found: dict[UUID, list[Entry]] = defaultdict(list)
    for a in arrivals:
        found[customers[a.entry.identity]].append(a.entry)
    return found


def folded(
    entries: Mapping[UUID, Collection[Entry]], model: Model, until: datetime, storefront: Storefront
) -> dict[UUID, Folded]:
    return {customer: fold(found, model, until, storefront=storefront) for customer, found in entries.items()}
