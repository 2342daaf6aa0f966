"""The invariants I1 to I5, each held against the evidence. Pure: evidence in, violations out.

I6, recovery in time, is for whoever waits; the round says it.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from faults_evidence import Evidence, Published
from faults_reference import Reference, reference

from services.contracts.changes import (
    CustomerChange,
    CustomerStanding,
    CustomerTable,
    StageChanged,
    StageRetracted,
    Transition,
    decode_change,
)
from services.contracts.events import decode_event
from services.shop import Storefront
from stage_engine.model.model import Model
from stage_engine.orders import Order
from stage_engine.state import EMPTY


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


def check(evidence: Evidence, model: Model, storefronts: Mapping[str, Storefront]) -> list[Violation]:
    """Every violation, those of I1 first. None is expected, so each says enough to go and look."""
    tables = evidence.tables
    ought = reference(evidence.records, model, storefronts, tables.namespaces, tables.watermark)
    found: list[Violation] = []
    for invariant, says in (
        ("I1", _all_kept(evidence, ought)),
        ("I2", _one_effect(evidence)),
        ("I3", _numbered(evidence)),
        ("I3", _published(evidence)),
        ("I3", _snapshots(evidence)),
        ("I4", _mailed_once(evidence)),
        ("I4", _mailed_as_expected(evidence)),
        ("I5", _who_is_whom(evidence, ought)),
        ("I5", _standing(evidence, ought)),
        ("I5", _subscribed(evidence)),
        ("I5", _heard(evidence)),
    ):
        found += [Violation(invariant, what) for what in says]
    return found


def _all_kept(evidence: Evidence, ought: Reference) -> Iterator[str]:
    """I1: what was acknowledged is on the topic, and every record of it is an event or a dead letter."""
    for storefront, id_ in sorted(evidence.acknowledged - _arrived(evidence)):
        yield f"event {id_} of {storefront} was acknowledged and is not on the topic"
    stored = evidence.tables.events
    for place, entry in ought.events.items():
        row = stored.get(place)
        if row is None:
            yield f"event {entry.event.id} of {entry.event.storefront} was received and is not stored"
        elif (row[2], row[3]) != (entry.event.received_at, entry.body):
            yield f"event {entry.event.id} of {entry.event.storefront}: stored is not the copy that was received first"
    for place in stored.keys() - ought.events.keys():
        yield f"event {stored[place][0]} of {stored[place][1]} is stored and was never received"
    yield from _dead(evidence, ought)


def _arrived(evidence: Evidence) -> set[tuple[str, str]]:
    """(storefront, id) of whatever on the topic can be read."""
    found = set()
    for record in evidence.records:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            event = decode_event(record.value or b"")
            found.add((event.storefront, event.id))
    return found


def _dead(evidence: Evidence, ought: Reference) -> Iterator[str]:
    dead = evidence.tables.dead
    for where, letter in ought.dead.items():
        if where not in dead:
            yield f"{where} ({letter.code}) is neither stored nor a dead letter"
        elif dead[where][0] != letter.code or not dead[where][1]:
            yield f"{where}: a dead letter as {dead[where]!r}, which ought to say {letter.code} and why"
    for where in dead.keys() - ought.dead.keys():
        yield f"{where} is a dead letter ({dead[where][0]}), and there was nothing wrong with it"


def _one_effect(evidence: Evidence) -> Iterator[str]:
    """I2: of one event, one move an instance and rule; no move with two customers; none announced while it stands."""
    for customer, moves in evidence.tables.moves.items():
        times = Counter((move.cause.event_id, move.instance, move.rule) for move in moves)
        for (event, _, rule), number in times.items():
            if number > 1:
                yield f"customer {customer}: event {event} made the move {rule} {number} times"
    owners: dict[UUID, list[UUID]] = defaultdict(list)
    for customer, moves in evidence.tables.moves.items():
        for move in moves:
            owners[move.id].append(customer)
    for id_, customers in owners.items():
        if len(customers) > 1:
            yield f"transition {id_} stands with {len(customers)} customers: {', '.join(map(str, sorted(customers)))}"
    for customer, changes in _streams(evidence).items():
        yield from _announced_once(customer, changes, evidence.tables.moves.get(customer, ()))


def _streams(evidence: Evidence) -> dict[UUID, list[CustomerChange]]:
    """Each customer's changes in the order of their first appearance."""
    found: dict[UUID, list[CustomerChange]] = defaultdict(list)
    seen: dict[UUID, int] = defaultdict(int)
    for record in evidence.published:
        if record.sequence > seen[record.customer]:
            seen[record.customer] = record.sequence
            found[record.customer].append(decode_change(record.headers, record.value))
    return found


def _announced_once(customer: UUID, changes: Iterable[CustomerChange], standing: Iterable[Transition]) -> Iterator[str]:
    """What a subscriber to one stream holds after it: each move once, and in the end those that stand.

    The table of a join or a split comes before the news of the same moment: it shows moves that are then announced, and
    lacks those that are then retracted.
    """
    live: set[UUID] = set()
    shown: set[UUID] = set()
    dropped: set[UUID] = set()
    for change in changes:
        if change.shortened:
            return  # a table that shows only its newest moves
        match change:
            case CustomerTable(table=table):
                shown = {move.id for row in table for move in row.moves}
                dropped |= live - shown
                live = set(shown)
            case StageChanged(transition=transition):
                if transition.id in live - shown:
                    yield f"customer {customer}: transition {transition.id} ({transition.rule}) is announced again"
                live.add(transition.id)
                shown.discard(transition.id)
            case StageRetracted(transition=transition):
                if transition.id not in live | dropped:
                    yield f"customer {customer}: transition {transition.id} is retracted and was not standing"
                live.discard(transition.id)
                dropped.discard(transition.id)
            case _:
                pass
    stands = {move.id for move in standing}
    if live != stands:
        yield (
            f"customer {customer}: a subscriber holds {len(live)} moves, {len(stands)} stand; "
            f"{len(live - stands)} too many, {len(stands - live)} missing"
        )


def _numbered(evidence: Evidence) -> Iterator[str]:
    """I3 in the database: 1, 2, 3 … up to the customer's own sequence."""
    numbers: dict[UUID, list[int]] = defaultdict(list)
    for customer, sequence in evidence.tables.outbox:
        numbers[customer].append(sequence)
    for customer, standing in evidence.tables.customers.items():
        if sorted(numbers[customer]) != list(range(1, standing.sequence + 1)):
            missing = sorted(set(range(1, standing.sequence + 1)) - set(numbers[customer]))
            beyond = sorted(n for n in numbers[customer] if n > standing.sequence)
            yield f"customer {customer} stands at {standing.sequence}; missing {missing}, beyond it {beyond}"
    for customer in numbers.keys() - evidence.tables.customers.keys():
        yield f"customer {customer} has changes and no row"
    for (customer, sequence), (published, _) in evidence.tables.outbox.items():
        if not published:
            yield f"change {sequence} of customer {customer} is not published"


def _published(evidence: Evidence) -> Iterator[str]:
    """I3 on the topic: first appearances in order and complete, a repeat byte for byte the same."""
    first: dict[tuple[UUID, int], Published] = {}
    last: dict[UUID, int] = defaultdict(int)
    partitions: dict[UUID, int] = {}
    for record in evidence.published:
        where = record.customer, record.sequence
        if partitions.setdefault(record.customer, record.partition) != record.partition:
            yield f"customer {record.customer} is on partitions {partitions[record.customer]} and {record.partition}"
        if where in first:
            before = first[where]
            if (before.key, before.headers, before.value) != (record.key, record.headers, record.value):
                yield f"change {record.sequence} of customer {record.customer} comes again with other bytes"
            continue
        first[where] = record
        if record.sequence != last[record.customer] + 1:
            yield f"customer {record.customer}: change {record.sequence} follows {last[record.customer]} on the topic"
        last[record.customer] = record.sequence
    outbox = evidence.tables.outbox
    for customer, sequence in outbox.keys() - first.keys():
        yield f"change {sequence} of customer {customer} never came to the topic"
    for where, record in first.items():
        if where not in outbox:
            yield f"change {where[1]} of customer {where[0]} is on the topic and not in the database"
        elif outbox[where][1] != record.value:
            yield f"change {where[1]} of customer {where[0]} is not on the topic as it is in the database"


def _snapshots(evidence: Evidence) -> Iterator[str]:
    """I3 on `customer.stages`: the last of everyone is of their last change, and shows where they stand."""
    tables = evidence.tables
    stands: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    for (customer, instance), row in tables.instances.items():
        stands[customer][instance] = row[0]
    for customer, standing in tables.customers.items():
        sequence, value = evidence.standings.get(customer, (0, None))
        if sequence != standing.sequence:
            yield f"customer {customer}: customer.stages is of change {sequence}, the last is {standing.sequence}"
        elif (value is None) != (standing.sequence == 0 or customer in tables.part_of):
            yield f"customer {customer}: {'no standing' if value is None else 'no tombstone'} on customer.stages"
        elif value is not None:
            said = msgspec.json.decode(value, type=CustomerStanding)
            if not said.shortened and {row.instance: row.stage for row in said.table} != stands[customer]:
                yield f"customer {customer}: customer.stages shows {[(r.key, r.stage) for r in said.table]}"


def _mailed_once(evidence: Evidence) -> Iterator[str]:
    """I4: a delivery a message, and a message an occasion and a cause, unless a row says that it is unknown."""
    delivered = Counter(mail.message_id.partition("@")[0] for mail in evidence.mails)
    rows = {str(row.id): row for row in evidence.tables.messages}
    occasions: Counter[tuple[str, UUID]] = Counter()
    causes: Counter[tuple[str, UUID]] = Counter()
    for id_, number in delivered.items():
        row = rows.get(id_)
        if row is None:
            yield f"mail {id_} was delivered and there is no message of that id"
            continue
        if number > 1 and not row.unknowns:
            yield f"{row.follow_up} to {row.address} was delivered {number} times (message {id_}, {row.status})"
        if row.status not in ("sent", "unknown", "retry", "sending"):
            yield f"{row.follow_up} to {row.address} was delivered, and message {id_} says {row.status}"
        occasions[row.follow_up, row.occasion] += 1
        causes[row.follow_up, row.cause] += 1
    for id_, row in rows.items():
        if row.status == "sent" and id_ not in delivered:
            yield f"{row.follow_up} to {row.address} was never delivered, and message {id_} says sent"
    for kind, counted in (("occasion", occasions), ("cause", causes)):
        for (follow_up, which), number in counted.items():
            if number > 1:
                yield f"{follow_up} was mailed {number} times for {kind} {which}"


def _mailed_as_expected(evidence: Evidence) -> Iterator[str]:
    counted = Counter((mail.to.lower(), mail.subject.partition(" ")[0]) for mail in evidence.mails)
    unknown = Counter(row.address for row in evidence.tables.messages if row.status == "unknown")
    for e in evidence.expected:
        number = counted[e.address, e.subject]
        if number > e.most or number + unknown[e.address] < e.least:
            bounds = str(e.least) if e.least == e.most else f"{e.least} to {e.most}"
            yield f"{e.address} got {number} mails “{e.subject} …” instead of {bounds}: {e.why}"


def _who_is_whom(evidence: Evidence, ought: Reference) -> Iterator[str]:
    held = evidence.tables.customer_of
    for identity, customer in ought.customer_of.items():
        if held.get(identity) != customer:
            yield f"identity {identity} is with customer {held.get(identity)} and ought to be with {customer}"


def _standing(evidence: Evidence, ought: Reference) -> Iterator[str]:
    """I5: each customer's row, moves, instances and orders equal the pure fold of their events."""
    tables = evidence.tables
    instances: dict[UUID, dict[UUID, tuple[str, object]]] = defaultdict(dict)
    for (customer, instance), row in tables.instances.items():
        instances[customer][instance] = row
    for customer in sorted(ought.folded.keys() | tables.customers.keys()):
        row, folded = tables.customers.get(customer), ought.of(customer)
        if row is None:
            yield f"customer {customer} has no row"
            continue
        state = folded.state if folded else EMPTY
        if row.state != state:
            yield f"customer {customer}: {_differences(row.state, state)}"
        if row.next_wake != (folded.next_wake if folded else None):
            yield f"customer {customer} wakes at {row.next_wake} instead of {folded.next_wake if folded else None}"
        if row.hold or row.broken or row.waits_at or row.refold_at:
            yield f"customer {customer} is not settled: hold {row.hold}, waits from {row.waits_at}, {row.broken or ''}"
        wanted = [move.transition for move in folded.moves] if folded else []
        if tables.moves.get(customer, []) != wanted:
            yield f"customer {customer}: {_moves_differ(tables.moves.get(customer, []), wanted)}"
        stands = {instance.id: (instance.stage, instance.since) for instance in state.instances}
        if instances[customer] != stands:
            yield f"customer {customer}: the table of instances is not that of the state"
        book = {(order.key, position): order for position, order in folded.orders} if folded else {}
        if tables.orders.get(customer, {}) != book:
            yield f"customer {customer}: {_books_differ(tables.orders.get(customer, {}), book)}"


def _differences(held: object, ought: object) -> str:
    """Which fields of a state differ, and how."""
    names = held.__struct_fields__  # type: ignore[attr-defined]  a msgspec struct
    said = [f"{n} is {getattr(held, n)!r}, ought to be {getattr(ought, n)!r}" for n in names
            if getattr(held, n) != getattr(ought, n)]  # fmt: skip
    return f"state: {'; '.join(said)}"[:1500]


def _moves_differ(held: list[Transition], ought: list[Transition]) -> str:
    def told(moves: list[Transition], others: list[Transition]) -> list[str]:
        known = {move.id for move in others}
        return [f"{m.track} {m.key} → {m.to_stage} by {m.cause.event_id}" for m in moves if m.id not in known]

    extra, missing = told(held, ought), told(ought, held)
    if extra or missing:
        return f"moves that ought not to stand: {extra}; that are missing: {missing}"[:1500]
    return "the moves that stand are the right ones, in another order or with other reasons"


def _books_differ(held: Mapping[object, Order], ought: Mapping[object, Order]) -> str:
    wrong = [key for key in {**held, **ought} if held.get(key) != ought.get(key)]
    return f"the order book differs at {wrong[:3]}: it has {[held.get(k) for k in wrong[:3]]}"[:1500]


def _subscribed(evidence: Evidence) -> Iterator[str]:
    """I5, as any subscriber sees it: what the stream says last of each instance is where it stands."""
    stands: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    for (customer, instance), row in evidence.tables.instances.items():
        stands[customer][instance] = row[0]
    for customer, changes in _streams(evidence).items():
        holds: dict[UUID, str | None] = {}
        for change in changes:
            match change:
                case CustomerTable(table=table):
                    holds = {row.instance: row.stage for row in table}
                case StageChanged() | StageRetracted():
                    holds[change.transition.instance] = change.stage
                case _:
                    pass
        held = {instance: stage for instance, stage in holds.items() if stage is not None}
        if held != stands[customer]:
            wrong = [i for i in held.keys() | stands[customer].keys() if held.get(i) != stands[customer].get(i)]
            yield (
                f"customer {customer}: a subscriber holds {[held.get(i) for i in wrong]} of instances "
                f"that stand at {[stands[customer].get(i) for i in wrong]}"
            )


def _heard(evidence: Evidence) -> Iterator[str]:
    """I5, as the notifier sees it: it has heard all, and holds every instance where it stands."""
    tables = evidence.tables
    for customer, standing in tables.customers.items():
        heard = tables.heard_by_notifier.get(customer, 0)
        if heard != standing.sequence:
            yield f"customer {customer}: the notifier has heard change {heard} of {standing.sequence}"
    held = tables.held_by_notifier
    stands = {instance: (customer, row[0]) for (customer, instance), row in tables.instances.items()}
    for instance in held.keys() | stands.keys():
        if held.get(instance) != stands.get(instance):
            yield f"instance {instance}: the notifier holds {held.get(instance)}, it stands at {stands.get(instance)}"
