"""What `why` found, as JSON. Pure. Keys are only ever added: other programs read this."""

from collections.abc import Mapping
from typing import Any

from services.contracts.changes import Cause
from services.contracts.events import Event
from stage_engine.facts import shown
from stage_engine.model.model import EventRule, Model, Per, TimedRule
from stage_engine.store import Customer
from stage_engine.why import ByEvent, ByTime, Instead, Next, Part, Stands, Way, Why
from stage_engine.why_words import next_text, part_text, plain, rule_place, rule_text, timed_text

Events = Mapping[Cause, Event]


def why_view(customer: Customer, found: Why, events: Events, model: Model) -> dict[str, Any]:
    """`events` are those of `found.causes` that are still kept."""
    return {
        "customer_id": str(customer.id),
        "storefront": customer.storefront,
        "at": shown(found.at),
        "known_until": shown(found.known_until),
        "approximate": customer.state.approximate,
        "hold": customer.hold,
        "waits_from": shown(customer.waits_from.occurred_at) if customer.waits_from else None,
        "next": None if found.next is None else _next(found.next, found, model),
        "next_wake": shown(customer.next_wake),
        "instances": [_stands(stands, found, events, model) for stands in found.stands],
    }


def _next(found: Next, why: Why, model: Model) -> dict[str, Any]:
    move = found.move
    return {
        "text": next_text(found, why, model),
        "at": shown(move.at),
        "track": move.track,
        "key": move.key,
        "from": move.from_stage,
        "to": move.to_stage,
        "rule": move.rule,
        "unless": [_instead(instead) for instead in found.unless],
    }


def _stands(stands: Stands, why: Why, events: Events, model: Model) -> dict[str, Any]:
    instance = stands.instance
    per = model.track(instance.track).per
    return {
        "track": instance.track,
        "key": instance.shown_key,
        "stage": instance.stage,
        "since": shown(instance.since),
        "final": stands.final,
        "came": _came(stands, events),
        "ways": [_way(way, why, events, per) for way in stands.ways],
    }


def _came(stands: Stands, events: Events) -> dict[str, Any] | None:
    came = stands.came
    if came is None:
        return None
    return {
        "from": came.from_stage,
        "at": shown(came.at),
        "reason": came.reason,
        "facts": came.facts,
        "historical": came.historical,
        "rule": _rule(came.rule, came.to_stage, stands.rule),
        "cause": _event(came.cause, events),
        "transition": str(came.id),
    }


def _rule(rule_id: str, stage: str, rule: EventRule | TimedRule | None) -> dict[str, Any]:
    return {
        "id": rule_id,
        "place": rule_place(rule_id, stage),
        "text": None if rule is None else rule_text(rule),
        "when": None if rule is None or rule.when is None else rule.when.text,
    }


def _event(cause: Cause, events: Events) -> dict[str, Any]:
    event = events.get(cause)
    if event is None:
        return {"event_id": cause.event_id, "name": None, "at": None, "said_by": None}
    return {
        "event_id": event.id,
        "name": event.name,
        "at": shown(event.occurred_at),
        "said_by": str(event.said_by),
    }


def _way(way: Way, why: Why, events: Events, per: Per) -> dict[str, Any]:
    match way:
        case ByEvent(rule=rule, parts=parts, cools_until=cools_until, had_its_turn=had_its_turn):
            return {
                "by": "event",
                "to": rule.target,
                "rule": _rule(rule.id, rule.target, rule),
                "on": sorted(rule.on),
                "from": sorted(rule.sources) if rule.sources else None,
                "cools_until": shown(cools_until),
                "had_its_turn": had_its_turn,
                "conditions": [_part(part) for part in parts],
            }
        case ByTime(rule=rule):
            return {
                "by": "time",
                "to": rule.target,
                "rule": _rule(rule.id, rule.target, rule),
                "text": timed_text(way, why, per),
                "clock": str(way.clock),
                "due": shown(way.due),
                "counts_from": shown(way.armed_at),
                "armed_by": None if way.armed_by is None else _event(way.armed_by, events),
                "from": sorted(rule.sources) if rule.sources else None,
                "conditions": [_part(part) for part in way.parts],
                "holds_then": way.holds_then,
                "unless": [_instead(instead) for instead in way.unless],
            }


def _part(part: Part) -> dict[str, Any]:
    return {
        "text": part.text,
        "says": part_text(part),
        "holds": part.holds,
        "values": {path: plain(value) for path, value in part.values.items()},
        "changes_with": list(part.changes_with),
    }


def _instead(instead: Instead) -> dict[str, Any]:
    return {
        "events": list(instead.events) or None,
        "leads_to": instead.to,
        "when": instead.when,
    }
