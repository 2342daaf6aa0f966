"""What ought to be: every record of the topic, sorted, joined and folded by the pure core alone. No I/O."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiokafka import TopicPartition

from services.contracts.dead_letters import DeadLetter
from services.contracts.identity import Identity
from services.kafka import Stretch
from services.shop import Storefront
from stage_engine.arrivals import Arrival, Arrivals, Place, arrivals_of
from stage_engine.fold import Folded, fold
from stage_engine.history import Entry
from stage_engine.identity import Link, customer_id, identity_id, pointers, root_of
from stage_engine.model.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A record as the topic holds it. `timestamp` is in milliseconds, as Kafka has it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`events` has one entry an (identity, event key): of copies the one received first."""

    events: Mapping[tuple[UUID, UUID], Entry]
    dead: Mapping[Place, DeadLetter]
    customer_of: Mapping[UUID, UUID]
    folded: Mapping[UUID, Folded]

    def of(self, customer: UUID) -> Folded | None:
        """None for one whose identities all belong to another now, or who has no event."""
        return self.folded.get(customer)


def reference(
    records: Iterable[Logged],
    model: Model,
    storefronts: Mapping[str, Storefront],
    namespaces: Mapping[str, UUID],
    until: datetime,
) -> Reference:
    arrivals = sorted_out(records, storefronts)
    customer_of = customers_of(arrivals.events, namespaces)
    events: dict[tuple[UUID, UUID], Entry] = {}
    for arrival in arrivals.events:
        entry = arrival.entry
        place = entry.identity, entry.key
        if place not in events or entry.precedence < events[place].precedence:
            events[place] = entry
    histories: dict[UUID, list[Entry]] = defaultdict(list)
    for entry in events.values():
        histories[customer_of[entry.identity]].append(entry)
    return Reference(
        events=events,
        dead=dict(arrivals.dead),
        customer_of=customer_of,
        folded={
            customer: fold(entries, model, until, storefront=storefronts[entries[0].event.storefront])
            for customer, entries in histories.items()
        },
    )


def sorted_out(records: Iterable[Logged], storefronts: Mapping[str, Storefront]) -> Arrivals:
    return arrivals_of(
        (Stretch(TopicPartition(r.topic, r.partition), r.offset, r.offset + 1, (r,)) for r in records), storefronts
    )


def customers_of(arrivals: Sequence[Arrival], namespaces: Mapping[str, UUID]) -> dict[UUID, UUID]:
    """Where the pointers of every identity that was ever named end: all links at once, in no order."""
    named: dict[UUID, tuple[str, Identity]] = {}
    links: dict[str, list[Link]] = defaultdict(list)
    for arrival in arrivals:
        storefront = arrival.entry.event.storefront
        ends = [end for link in arrival.links for end in (link.weak, link.strong)]
        named.update(
            (identity_id(storefront, identity), (storefront, identity)) for identity in (*arrival.named, *ends)
        )
        links[storefront] += arrival.links
    follow = _following(links)
    found = {}
    for id_ in named:
        storefront, root = named[root_of(id_, follow)]
        found[id_] = customer_id(namespaces[storefront], root)
    return found


def _following(links: Mapping[str, Iterable[Link]]) -> Callable[[UUID], tuple[UUID, datetime] | None]:
    onward = {
        identity_id(storefront, weak): (identity_id(storefront, link.strong), link.at)
        for storefront, said in links.items()
        for weak, link in pointers(said).items()
    }
    return onward.get
