"""A customer as operators and other programs see them. Pure: from rows and states to JSON."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.contracts.changes import Transition
from services.contracts.events import Event
from services.contracts.identity import Identity, IdentityKind
from stage_engine.facts import FactsAt, shown
from stage_engine.history import Entry
from stage_engine.model.model import Model
from stage_engine.profile import shown_traits
from stage_engine.store import Customer


def customer_view(customer: Customer, identities: Iterable[Identity], model: Model, at: datetime) -> dict[str, Any]:
    """Facts as JSON numbers, money as strings, times as RFC 3339 in UTC. Facts that are not yet known are null."""
    named: dict[str, list[str]] = {
        kind.field: [] for kind in IdentityKind if kind not in (IdentityKind.EVENT, IdentityKind.CART_TOKEN)
    }
    for identity in sorted(identities):
        if identity.kind.field in named:
            named[identity.kind.field].append(identity.value)
    state = customer.state
    facts = FactsAt(model, state.facts, at)
    tracks: dict[str, list[dict[str, Any]]] = {track.name: [] for track in model.tracks}
    for instance in state.instances:
        stands = {"key": instance.shown_key, "stage": instance.stage, "since": shown(instance.since)}
        tracks.setdefault(instance.track, []).append(stands)
    return {
        "id": str(customer.id),
        "storefront": customer.storefront,
        "identities": named,
        "traits": shown_traits(state.profile),
        "facts": {name: shown(facts[name]) for name in facts},
        "tracks": tracks,
        "consent": state.profile.consent,
        "approximate": state.approximate,
        "hold": customer.hold,
        "sequence": customer.sequence,
        "next_wake": shown(customer.next_wake),
    }


def timeline_view(entries: Sequence[Entry], transitions: Iterable[Transition]) -> list[dict[str, Any]]:
    """What happened, oldest first: what was due at a time, then each event of that time with the moves it caused."""
    places = {entry.event.id: entry.position for entry in entries}
    items: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((entry.event.occurred_at, 1, entry.position, 0), event_view(entry.event)) for entry in entries
    ]
    for number, transition in enumerate(transitions):
        cause = places.get(transition.cause.event_id)
        by_event = cause is not None and cause.occurred_at == transition.at
        place = (transition.at, 1, cause, 1 + number) if by_event else (transition.at, 0, number)
        items.append((place, transition_view(transition)))
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def event_view(event: Event) -> dict[str, Any]:
    return {
        "kind": "event",
        "at": shown(event.occurred_at),
        "name": event.name,
        "event_id": event.id,
        "said_by": str(event.said_by),
        "received_at": shown(event.received_at),
        "properties": event.properties,
    }


def transition_view(transition: Transition) -> dict[str, Any]:
    return {
        "kind": "transition",
        "at": shown(transition.at),
        "id": str(transition.id),
        "track": transition.track,
        "key": transition.key,
        "from": transition.from_stage,
        "to": transition.to_stage,
        "rule": transition.rule,
        "reason": transition.reason,
        "facts": transition.facts,
        "cause": {"event_id": transition.cause.event_id},
        "historical": transition.historical,
    }


def stages_view(model: Model, counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Instances by track and stage, every stage of the model included."""
    return {track.name: {stage: counts.get((track.name, stage), 0) for stage in track.stages} for track in model.tracks}
