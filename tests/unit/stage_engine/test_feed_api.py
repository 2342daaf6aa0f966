"""The changes over HTTP: what a cursor is, and what is none."""

import pytest

from services.errors import BadRequest
from stage_engine.feed_api import Cursor, parse_cursor
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
