"""The hot routes in the OpenAPI document: FastAPI can't see into plain ASGI endpoints, so here they are said."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ingest.dialects.native import NativeEvent
from ingest.dialects.products import NativeProduct
from ingest.dialects.segment import SegmentItem
from ingest.openapi_webhooks import WEBHOOK_TAKEN, webhook_operation
from ingest.routes import HotRoute, PixelRoute
from ingest.webhooks import WebhookRoute

_AT: Final = "2026-11-22T09:30:00.000Z"
_MUG: Final = {"product_id": "p-17", "name": "Mug", "price": 12.5, "quantity": 2}
_CONTEXT: Final = {"page": {"url": "https://shop.example/product/p-17"}}

_NATIVE_EVENT: Final = {
    "id": "9f0c1e9a-added-1",
    "name": "Product Added",
    "user_id": "u1",
    "occurred_at": _AT,
    "properties": {"cart_id": "c1", **_MUG},
}
_NATIVE_ORDER: Final = {
    "id": "9f0c1e9a-order-1",
    "name": "Order Completed",
    "user_id": "u1",
    "email": "ada@shop.example",
    "occurred_at": _AT,
    "properties": {"order_id": "o-1001", "total": 25, "currency": "EUR", "products": [_MUG]},
}
_TRACK: Final = {
    "type": "track",
    "event": "Product Added",
    "userId": "u1",
    "messageId": "node-1",
    "timestamp": _AT,
    "properties": {"cart_id": "c1", **_MUG},
    "context": _CONTEXT,
}
_IDENTIFY: Final = {
    "type": "identify",
    "userId": "u1",
    "anonymousId": "a1",
    "messageId": "node-2",
    "traits": {"email": "ada@shop.example", "firstName": "Ada"},
}
_PRODUCT: Final = {
    "product_id": "p-17",
    "name": "Mug",
    "url": "https://shop.example/product/p-17",
    "image_url": "https://shop.example/img/p-17.jpg",
    "price": "12.50",
    "currency": "EUR",
    "available": True,
}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "native": {"one": _NATIVE_EVENT, "several": [_NATIVE_EVENT, _NATIVE_ORDER]},
    "track": {"track": _TRACK},
    "identify": {"identify": _IDENTIFY},
    "page": {"page": {"anonymousId": "a1", "messageId": "js-1", "name": "Home", "properties": {"path": "/"}}},
    "screen": {"screen": {"anonymousId": "a1", "messageId": "app-1", "name": "Cart"}},
    "group": {"group": {"userId": "u1", "messageId": "node-3", "groupId": "club", "traits": {"tier": "gold"}}},
    "alias": {"alias": {"userId": "u1", "messageId": "node-4", "previousId": "a1"}},
    "batch": {"batch": {"batch": [_TRACK, _IDENTIFY], "sentAt": _AT, "writeKey": "spwk_…"}},
    "products": {
        "one": _PRODUCT,
        "several": [_PRODUCT, {"product_id": "p-17", "variant": "blue", "price": "13.50", "colour": "blue"}],
        "no_longer_sold": {"product_id": "p-16", "deleted": True},
    },
    "ga4": {
        "add_to_cart": {
            "client_id": "1093.1795339800",
            "user_id": "u1",
            "timestamp_micros": 1795339800000000,
            "events": [
                {
                    "name": "add_to_cart",
                    "params": {
                        "currency": "EUR",
                        "items": [{"item_id": "p-17", "item_name": "Mug", "price": 12.5, "quantity": 2}],
                    },
                }
            ],
        }
    },
}
_PIXEL: Final = {
    "track": {"event": "Product Viewed", "properties.product_id": "p-17"},
    "page": {"name": "Home", "context.page.url": "https://shop.example/"},
}

_TAKEN: Final = {
    "all": {"received": 2, "accepted": 2, "rejected": []},
    "all_but_one": {
        "received": 2,
        "accepted": 1,
        "rejected": [
            {"index": 1, "code": "missing_id", "message": "`userId` or `anonymousId` is missing: whose event is it?"}
        ],
    },
}
COME_AGAIN: Final = (429, 503)
Errors = dict[int, tuple[str, tuple[tuple[str, str], ...]]]
ERRORS: Final[Errors] = {
    400: (
        "The body, or the only event in it, can't be taken; sending it again changes nothing",
        (
            ("no_http", "Invalid HTTP request received."),
            ("malformed", "JSON is malformed: object keys must be strings (byte 8)"),
            ("invalid", "Expected `object | null`, got `str` - at `$.properties`"),
            ("missing_id", "`id` is missing: your own id of this event, the same whenever it is sent again"),
            ("missing_name", "`name` is missing: what happened, as in `Product Added`"),
            ("unknown_field", "`userid` is not a field of an event; known are: id, name, user_id, …"),
            ("unknown_type", "`type` must be one of track, identify, page, screen, group, alias"),
            ("bad_id", "the event's id has 201 characters; at most 200 are taken"),
            ("bad_name", "the event's name holds a control character"),
            ("bad_url", "`url` must be http or https, or a path of the shop that begins with /"),
            ("bad_time", "`occurred_at` must be RFC 3339 with an offset and not before 1970: 2026-11-22T09:30:00Z"),
            ("bad_text", "a text holds a NUL, or half of a surrogate pair"),
            ("too_deep", "objects and lists are nested too deeply"),
        ),
    ),
    401: (
        "No write key, or one that is not known here: the answer is the same",
        (("unauthorized", "no write key that is known here came with the call; docs/ingest.md says where to put it"),),
    ),
    403: (
        "Not with this key",
        (
            (
                "server_key_needed",
                "only a server's key may say this: a browser's stands in a page, where anybody can read it",
            ),
            (
                "origin_not_allowed",
                "this write key is not for pages of this origin; `stagepost keys list` says which it is for",
            ),
        ),
    ),
    405: ("Another method than POST", (("method_not_allowed", "Method Not Allowed"),)),
    413: (
        "Too much at once",
        (
            ("too_large", "the body is over 4194304 bytes (decompressed); send fewer events at once"),
            ("too_many_events", "the call has 2501 events; at most 2500 are taken"),
            ("too_many_values", "the body has over 250000 values; send fewer events at once"),
        ),
    ),
    415: (
        "A Content-Encoding other than gzip",
        (("unsupported_encoding", "send the body as it is, or with Content-Encoding: gzip"),),
    ),
    429: (
        "Too fast; wait as Retry-After says and send the same again",
        (
            (
                "storefront_too_fast",
                "this storefront sends more than 2000 events a second, and has used up its burst of 50000; send the …",
            ),
            (
                "client_too_fast",
                "this address sends more than 100 events a second, and has used up its burst of 2000; send the …",
            ),
        ),
    ),
    431: (
        "The request's line and headers are too long; the connection is closed",
        (("headers_too_large", "the request's line and headers have over 32768 bytes"),),
    ),
    500: ("The fault is ours", (("internal_error", "ingest failed; the fault is ours and is in its log"),)),
    503: (
        "Not taken now; wait as Retry-After says and send the same again",
        (
            (
                "spool_full",
                "Kafka does not acknowledge now, and the spool can't take more. Send the call again with the same …",
            ),
            ("busy", "too much is under way at once; send the same again after a moment"),
            ("unavailable", "ingest has not reached Kafka yet"),
            ("too_slow", "the body did not come in in time"),
        ),
    ),
}
"""Every error of the hot routes: status, what it means, and its codes with a message each."""
WEBHOOK_ERRORS: Final[Errors] = {
    **{status: said for status, said in ERRORS.items() if status not in (400, 401, 403, 413, 429)},
    400: ("The gzip is broken", (("malformed", "the body says Content-Encoding: gzip and is none"),)),
    401: (
        "The body is not signed with one of the storefront's secrets, or it has none: the answer is the same",
        (
            (
                "unauthorized",
                "the signature is not one of this storefront's secrets; docs/ingest.md says how webhooks are set up",
            ),
        ),
    ),
    413: ("Too much at once", (ERRORS[413][1][0],)),
}


def document(
    base: dict[str, Any],
    routes: Iterable[HotRoute],
    webhooks: Iterable[WebhookRoute] = (),
    pixels: Iterable[PixelRoute] = (),
) -> dict[str, Any]:
    """FastAPI's own document with the hot routes in it."""
    _, schemas = msgspec.json.schema_components(
        [NativeEvent, NativeProduct, SegmentItem], ref_template="#/components/schemas/{name}"
    )
    return {
        **base,
        "paths": {
            **base.get("paths", {}),
            **{route.path: {"post": _operation(route)} for route in routes},
            **{pixel.path: {"get": _pixel_operation(pixel)} for pixel in pixels},
            **{
                hook.path: {"post": webhook_operation(hook, _answers(WEBHOOK_ERRORS, WEBHOOK_TAKEN))}
                for hook in webhooks
            },
        },
        "components": {
            "schemas": {**schemas, **_ANSWERS, **_BODIES},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "The write key is the user; no password."},
                "header": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
                "query": {"type": "apiKey", "in": "query", "name": "writeKey"},
            },
        },
    }


def _operation(route: HotRoute) -> dict[str, Any]:
    schema = {
        "native": "NativeBody",
        "batch": "SegmentBatch",
        "ga4": "MeasurementProtocol",
        "products": "ProductsBody",
    }.get(route.dialect, "SegmentItem")
    in_body: list[dict[str, list[str]]] = (
        [] if route.dialect in ("native", "ga4", "products") else [{}]
    )  # Segment's bodies may hold the key themselves
    return {
        "summary": route.about,
        "operationId": route.path.removeprefix("/v1/").strip("/").replace("/", "-"),
        "security": [{"basic": []}, {"header": []}, {"query": []}, *in_body],
        "requestBody": {
            "required": True,
            "description": "JSON, whatever Content-Type says; may be compressed with Content-Encoding: gzip.",
            "content": {"application/json": _content(schema, _EXAMPLES[route.dialect])},
        },
        "responses": _answers(ERRORS, _TAKEN) if route.keeps else {**_answers(ERRORS, {}), "200": _VALIDATION},
    }


def _pixel_operation(route: PixelRoute) -> dict[str, Any]:
    named = {"anonymousId": "a1", **_PIXEL[route.kind]}
    return {
        "summary": route.about,
        "operationId": route.path.strip("/").replace("/", "-"),
        "description": "The parameters are the call's fields; a dot leads into an object.",
        "security": [{"query": []}],
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "example": value}
            for name, value in named.items()
        ],
        "responses": {
            **_answers({status: said for status, said in ERRORS.items() if status not in (413, 415)}, {}),
            "200": {"description": "One transparent pixel: the event is durable", "content": {"image/gif": {}}},
        },
    }


def _answers(errors: Errors, taken: dict[str, Any]) -> dict[str, Any]:
    return {
        "200": {
            "description": "Every event is durable: the accepted ones as events, the rejected as dead letters",
            "content": {"application/json": _content("Taken", taken)},
        },
        **{str(status): _error(status, *said) for status, said in errors.items()},
    }


def _error(status: int, means: str, codes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    examples = {code: {"code": code, "message": message} for code, message in codes}
    retry = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True, "description": "seconds"}}
    return {
        "description": means,
        "content": {"application/json": _content("Error", examples)},
        **({"headers": retry} if status in COME_AGAIN else {}),
    }


def _content(schema: str, examples: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }


_VALIDATION: Final[dict[str, Any]] = {
    "description": "What is wrong with it, as Google's validator says it; nothing was kept",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"validationMessages": {"type": "array"}}},
            "examples": {"sound": {"value": {"validationMessages": []}}},
        }
    },
}
_ANSWERS: Final[dict[str, Any]] = {
    "Taken": {
        "type": "object",
        "required": ["received", "accepted", "rejected"],
        "properties": {
            "received": {"type": "integer"},
            "accepted": {"type": "integer"},
            "rejected": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "code", "message"],
                    "properties": {
                        "index": {"type": "integer", "description": "place in the call, from 0"},
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    },
    "Error": {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    },
}
_BODIES: Final[dict[str, Any]] = {
    "NativeBody": {
        "oneOf": [
            {"$ref": "#/components/schemas/NativeEvent"},
            {"type": "array", "items": {"$ref": "#/components/schemas/NativeEvent"}},
        ]
    },
    "ProductsBody": {
        "oneOf": [
            {"$ref": "#/components/schemas/NativeProduct"},
            {"type": "array", "items": {"$ref": "#/components/schemas/NativeProduct"}},
        ]
    },
    "SegmentBatch": {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "items": {"$ref": "#/components/schemas/SegmentItem"}},
            "context": {"type": "object", "description": "merged into each item's, whose own keys win"},
            "sentAt": {"type": "string", "format": "date-time"},
            "writeKey": {"type": "string"},
        },
    },
    "MeasurementProtocol": {
        "type": "object",
        "required": ["events"],
        "properties": {
            "client_id": {"type": "string", "description": "or `app_instance_id`, or only `user_id`"},
            "user_id": {"type": "string"},
            "timestamp_micros": {"type": "integer"},
            "user_properties": {"type": "object"},
            "events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "params": {"type": "object"}},
                },
            },
        },
    },
}
