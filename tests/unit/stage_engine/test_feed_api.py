"""The changes over HTTP: what a cursor is, and what is none."""

from typing import cast

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import BadRequest
from stage_engine.feed_api import Cursor, feed_routes, parse_cursor
from stage_engine.outbox import SLICES


def test_a_cursor_comes_back_as_it_went_out() -> None:
    cursor = Cursor(3, tuple(range(SLICES)))
    assert parse_cursor(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "not base64 at all…",
        "WzFd",
        str(Cursor(1, (0,) * (SLICES + 1))),
        str(Cursor(1, (-1,) * SLICES)),
        str(Cursor(1, (2**63,) * SLICES)),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="no cursor of ours"):
        parse_cursor(text)


def test_what_is_answered_is_described_also_when_it_is_gone() -> None:
    app = FastAPI()
    app.include_router(feed_routes(cast("AsyncEngine", None)))  # only described, never called
    paths = app.openapi()["paths"]
    described = {path: set(of["get"]["responses"]) for path, of in paths.items()}
    assert described == {
        "/v1/changes": {"200", "410", "422"},
        "/v1/customers/{customer_id}/changes": {"200", "410", "422"},
        "/v1/standings": {"200", "422"},
    }
    for of in paths.values():
        assert "$ref" in of["get"]["responses"]["200"]["content"]["application/json"]["schema"]
