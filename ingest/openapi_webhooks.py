"""The webhooks' routes in the OpenAPI document. What their bodies are is for their platforms to say."""

from typing import Any, Final

from ingest.webhooks import WebhookRoute
from services.contracts.webhook_secrets import Platform

WEBHOOK_CODES: Final = {"unknown_topic": "nothing is made of `themes/publish`; docs/ingest.md lists the topics"}
"""Beside the codes of the other routes: why a document was kept as a dead letter, in an answer that is a 200."""
WEBHOOK_TAKEN: Final = {
    "understood": {"received": 1, "accepted": 1, "rejected": []},
    "kept": {
        "received": 1,
        "accepted": 0,
        "rejected": [{"index": 0, "code": code, "message": message} for code, message in WEBHOOK_CODES.items()],
    },
}
_HEADERS: Final[dict[Platform, dict[str, str]]] = {
    Platform.SHOPIFY: {
        "X-Shopify-Hmac-Sha256": "the body's signature; may also be called Shopify-Hmac-Sha256, and so may the others",
        "X-Shopify-Topic": "what happened: `orders/create`",
        "X-Shopify-Webhook-Id": "of this delivery, the same when it is sent again",
        "X-Shopify-Triggered-At": "when it happened, for documents that don't say so",
    },
    Platform.WOOCOMMERCE: {
        "X-WC-Webhook-Signature": "the body's signature",
        "X-WC-Webhook-Topic": "what happened: `order.updated`",
        "X-WC-Webhook-Source": "the shop's address, part of what tells deliveries apart",
    },
}
_EXAMPLES: Final[dict[Platform, dict[str, Any]]] = {
    Platform.SHOPIFY: {
        "carts/update": {
            "id": "c1-eeafa272",
            "token": "c1-eeafa272",
            "updated_at": "2026-11-22T09:30:00Z",
            "line_items": [{"product_id": 632910392, "title": "Mug", "price": "12.50", "quantity": 2}],
        },
        "orders/create": {
            "id": 820982911946154508,
            "email": "ada@shop.example",
            "created_at": "2026-11-22T10:30:00+01:00",
            "cart_token": "c1-eeafa272",
            "financial_status": "paid",
            "total_price": "25.00",
            "currency": "EUR",
            "customer": {"id": 115310627314723954, "first_name": "Ada"},
        },
    },
    Platform.WOOCOMMERCE: {
        "order.updated": {
            "id": 727,
            "status": "processing",
            "currency": "EUR",
            "total": "29.35",
            "date_created_gmt": "2026-11-22T09:28:02",
            "date_paid_gmt": "2026-11-22T09:28:08",
            "date_modified_gmt": "2026-11-22T09:28:08",
            "customer_id": 0,
            "billing": {"email": "ada@shop.example", "first_name": "Ada"},
            "line_items": [{"product_id": 93, "name": "Mug", "quantity": 2, "price": 12.5, "total": "25.00"}],
            "refunds": [],
        },
        "order.deleted": {"id": 727},
    },
}


def webhook_operation(route: WebhookRoute, responses: dict[str, Any]) -> dict[str, Any]:
    examples = {name.replace("/", "."): {"value": value} for name, value in _EXAMPLES[route.platform].items()}
    return {
        "summary": route.about,
        "operationId": f"webhooks-{route.platform.value}",
        "security": [],
        "parameters": [
            {
                "name": "storefront",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "description": "as in `storefronts.yaml`; the body must be signed with one of its secrets",
            },
            *(
                {"name": name, "in": "header", "schema": {"type": "string"}, "description": about}
                for name, about in _HEADERS[route.platform].items()
            ),
        ],
        "requestBody": {
            "required": True,
            "description": "As the platform sends it.",
            "content": {"application/json": {"schema": {"type": "object"}, "examples": examples}},
        },
        "responses": responses,
    }
