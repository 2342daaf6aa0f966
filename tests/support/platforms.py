"""Shop platforms as ingest's tests play them: real payloads, signed by the test."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from ingest.decide import Decision, decide
from ingest.dialects.reading import Body, Call
from ingest.limits import Limits, without_half_pairs
from services.contracts.events import Event, SaidBy, decode_event

RECEIVED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def signature(raw: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


def shopify_headers(
    topic: str, raw: bytes, secret: str, *, webhook_id: str = "w1", event_id: str = "e1", style: str = "X-Shopify-"
) -> dict[str, str]:
    """`style` is `X-Shopify-`, or `Shopify-` as newer deliveries have it."""
    return {
        f"{style}Topic": topic,
        f"{style}Hmac-Sha256": signature(raw, secret),
        f"{style}Webhook-Id": webhook_id,
        f"{style}Event-Id": event_id,
        f"{style}Shop-Domain": "jsmith.myshopify.com",
        f"{style}Triggered-At": "2026-11-22T09:29:58.123456789Z",
        "Content-Type": "application/json",
    }


def woocommerce_headers(topic: str, raw: bytes, secret: str) -> dict[str, str]:
    resource, _, event = topic.partition(".")
    return {
        "X-WC-Webhook-Source": "https://shop.example/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": signature(raw, secret),
        "X-WC-Webhook-ID": "3",
        "X-WC-Webhook-Delivery-ID": "3b1c",
        "Content-Type": "application/json",
    }


def as_asgi(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def decided(body: Body) -> Decision:
    call = Call(storefront="shop", said_by=SaidBy.SERVER, received_at=RECEIVED, new_id=lambda: "made")
    return decide(body, call, Limits(), route="/v1/webhooks")


def prepared(raw: bytes) -> bytes:
    """As ingest hands a body to its dialect."""
    return without_half_pairs(raw)


def events_in(decision: Decision) -> list[Event]:
    return [decode_event(record.value or b"") for record in decision.events]
