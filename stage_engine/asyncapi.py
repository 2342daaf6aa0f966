"""docs/asyncapi.yaml: the topics of the stage engine for who subscribes to them, made from the contracts themselves."""

import io
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from services.contracts.changes import STANDING_TYPE, STRUCT_OF, ChangeType, CustomerStanding, cloudevent_attributes
from services.contracts.topics import STAGE_CHANGES, STAGES, TOPICS

SAYS: Final = {
    ChangeType.STAGE_CHANGED: "An instance of a track (a lifecycle, a cart, an order) moved.",
    ChangeType.STAGE_RETRACTED: "A move turned out never to have happened.",
    ChangeType.CUSTOMER_UPDATED: "Traits, addresses, consent, hold.",
    ChangeType.CUSTOMER_JOINED: "This customer became part of another, or another of it. Replace all you hold of it.",
    ChangeType.CUSTOMER_SPLIT: "This customer lost a part, or is one again. Replace all you hold of it.",
    ChangeType.KNOWN_UNTIL: "Before this time no change is still to come. On every partition, once a second.",
}
DESCRIPTION: Final = """\
Where a shop's customers are in its lifecycle, as it changes.

Records are CloudEvents 1.0 in Kafka's binary mode: the header `ce_type` decides what the value is. A customer's
`sequence` has no gaps; a repeat is byte for byte the same, so drop what is not above the last that you have seen.
When `ce_streamepoch` rises, forget the sequences and begin anew from `customer.stages`. More: docs/stage-engine.md.
"""
HEADERS: Final = {
    "specversion": "Of CloudEvents.",
    "id": "Of the change: the same in a repeat.",
    "source": "`/stagepost/` and the storefront.",
    "type": "What the value is.",
    "time": "When the change was made, by the engine's clock.",
    "dataschema": "Names the shape of the value; a breaking change has another.",
    "subject": "The customer's id.",
    "partitionkey": "The customer's id; the record's key as well.",
    "streamepoch": "Rises when the database was restored to an earlier time; a number.",
}
_SCHEMA: Final = "#/components/schemas/"
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)


def document() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [*dict.fromkeys(STRUCT_OF.values()), CustomerStanding], ref_template=_SCHEMA + "{name}"
    )
    changes = {_name(kind): _message(kind, STRUCT_OF[kind].__name__, SAYS[kind]) for kind in ChangeType}
    standing = _message(STANDING_TYPE, CustomerStanding.__name__, "Where the customer is now.")
    gone = {**standing, "payload": {"type": "null"}, "summary": "A tombstone: the customer became part of another."}
    stages = {"customerStanding": standing, "customerGone": gone}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Stagepost stage engine", "version": version("stagepost"), "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {
            "stageChanges": _channel(STAGE_CHANGES, "What changes, in each customer's order.", changes),
            "stages": _channel(STAGES, "Where everyone is now, compacted: one record a customer.", stages),
        },
        "operations": {
            "publishStageChanges": _sends("stageChanges", changes),
            "publishStages": _sends("stages", stages),
        },
        "components": {"messages": changes | stages, "schemas": dict(sorted(schemas.items()))},
    }


def as_yaml() -> str:
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    text.write("# Made by `stagepost asyncapi`; a test holds it against the contracts.\n")
    yaml.dump(_in_blocks(document()), text)
    return text.getvalue()


def _name(kind: ChangeType) -> str:
    first, *rest = str(kind).split(".")
    return first + "".join(word.capitalize() for word in rest)


def _message(kind: str, struct: str, summary: str) -> dict[str, Any]:
    about_a_customer = kind != ChangeType.KNOWN_UNTIL
    return {
        "name": str(kind),
        "summary": summary,
        "contentType": "application/json",
        "headers": _headers(kind, about_a_customer=about_a_customer),
        "payload": {"$ref": _SCHEMA + struct},
        "bindings": {
            "kafka": {
                **({"key": {"type": "string", "format": "uuid"}} if about_a_customer else {}),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _headers(kind: str, *, about_a_customer: bool) -> dict[str, Any]:
    said = cloudevent_attributes(
        kind, event_id="", storefront="", subject="-" if about_a_customer else None, time=_ANY_TIME, epoch=1
    )
    properties: dict[str, Any] = {f"ce_{name}": {"type": "string", "description": HEADERS[name]} for name in said}
    properties["ce_type"]["const"] = str(kind)
    properties["ce_specversion"]["const"] = said["specversion"]
    properties["ce_dataschema"]["const"] = said["dataschema"]
    properties["ce_time"]["format"] = "date-time"
    properties["ce_streamepoch"]["pattern"] = "^[1-9][0-9]*$"
    properties["content-type"] = {"type": "string", "const": "application/json"}
    return {"type": "object", "required": list(properties), "properties": properties}


def _channel(topic: str, summary: str, messages: dict[str, Any]) -> dict[str, Any]:
    made = next(t for t in TOPICS if t.name == topic)
    configuration: dict[str, Any] = {"max.message.bytes": int(made.config["max.message.bytes"])}
    if "cleanup.policy" in made.config:
        configuration["cleanup.policy"] = [made.config["cleanup.policy"]]
    return {
        "address": topic,
        "summary": summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": made.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _sends(channel: str, messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _in_blocks(value: Any) -> Any:  # noqa: ANN401  any JSON
    """Texts of several lines as they are read."""
    match value:
        case dict():
            return {key: _in_blocks(inner) for key, inner in value.items()}
        case list():
            return [_in_blocks(inner) for inner in value]
        case str() if "\n" in value:
            return LiteralScalarString(value)
    return value
