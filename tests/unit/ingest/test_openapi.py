"""The OpenAPI document says what the hot routes really do: its examples are tried, its errors are those we raise."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.decide import decide
from ingest.dialects.reading import Call
from ingest.limits import Limits
from ingest.openapi import ERRORS, document
from ingest.routes import HOT_ROUTES, HotRoute
from services.contracts.events import SaidBy

INGEST = Path(__file__).resolve().parents[3] / "ingest"
DOCUMENT = document({}, HOT_ROUTES)


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
    described = {code for _, codes in ERRORS.values() for code, _ in codes}
    sources = "".join(path.read_text(encoding="utf-8") for path in INGEST.rglob("*.py") if path.name != "openapi.py")
    named = set(re.findall(r'Refusal\(\s*"(\w+)"', sources)) | set(re.findall(r'code="(\w+)"', sources))
    assert named - {"bad_id", "bad_name"} <= described
    assert len(named) > 8


def test_every_route_describes_every_error() -> None:
    for route in HOT_ROUTES:
        responses: dict[str, Any] = DOCUMENT["paths"][route.path]["post"]["responses"]
        assert {int(status) for status in responses} == {200, *ERRORS}
        assert all(response["content"]["application/json"]["examples"] for response in responses.values())
