"""The OpenAPI document says what the hot routes really do: its examples are tried, its errors are those we raise."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from platforms import decided

from ingest.decide import decide
from ingest.dialects.reading import Call
from ingest.limits import Limits
from ingest.openapi import ERRORS, WEBHOOK_ERRORS, document
from ingest.openapi_webhooks import WEBHOOK_CODES
from ingest.routes import HOT_ROUTES, HotRoute
from ingest.webhooks import WEBHOOK_ROUTES, WebhookRoute
from services.contracts.events import SaidBy
from services.contracts.webhook_secrets import Platform

INGEST = Path(__file__).resolve().parents[3] / "ingest"
PREFIX = {Platform.SHOPIFY: "shopify", Platform.WOOCOMMERCE: "wc-webhook"}
TOPIC_NAMED = {Platform.SHOPIFY: lambda name: name.replace(".", "/"), Platform.WOOCOMMERCE: lambda name: name}
DOCUMENT = document({}, HOT_ROUTES, WEBHOOK_ROUTES)


@pytest.mark.parametrize("route", HOT_ROUTES, ids=lambda route: route.path)
def test_every_example_body_is_taken_whole(route: HotRoute) -> None:
    post = DOCUMENT["paths"][route.path]["post"]
    examples = post["requestBody"]["content"]["application/json"]["examples"]
    assert examples
    call = Call(storefront="shop", said_by=SaidBy.SERVER, received_at=datetime.now(UTC), new_id=lambda: "made")
    for example in examples.values():
        decision = decide(route.open_body(json.dumps(example["value"]).encode()), call, Limits(), route=route.path)
        assert decision.rejected == ()


def test_every_reference_leads_somewhere() -> None:
    for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"]["schemas"]


def test_every_code_that_the_sources_name_is_described() -> None:
    described = {code for _, codes in ERRORS.values() for code, _ in codes} | set(WEBHOOK_CODES)
    sources = "".join(path.read_text(encoding="utf-8") for path in INGEST.rglob("*.py") if path.name != "openapi.py")
    named = set(re.findall(r'Refusal\(\s*"(\w+)"', sources)) | set(re.findall(r'code="(\w+)"', sources))
    assert named - {"bad_id", "bad_name"} <= described
    assert len(named) > 8


def test_every_route_describes_every_error() -> None:
    for route in HOT_ROUTES:
        responses: dict[str, Any] = DOCUMENT["paths"][route.path]["post"]["responses"]
        assert {int(status) for status in responses} == {200, *ERRORS}
        assert all(response["content"]["application/json"]["examples"] for response in responses.values())


@pytest.mark.parametrize("hook", WEBHOOK_ROUTES, ids=lambda hook: hook.path)
def test_every_example_of_a_webhook_is_understood_and_every_error_is_described(hook: WebhookRoute) -> None:
    post = DOCUMENT["paths"][hook.path]["post"]
    assert {int(status) for status in post["responses"]} == {200, *WEBHOOK_ERRORS}
    for name, example in post["requestBody"]["content"]["application/json"]["examples"].items():
        raw, topic = json.dumps(example["value"]).encode(), TOPIC_NAMED[hook.platform](name)
        headers = {f"x-{PREFIX[hook.platform]}-topic".encode(): topic.encode()}
        assert decided(hook.open_delivery(raw, headers)).rejected == ()
