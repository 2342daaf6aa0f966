"""A body is bounded where it is read, and so before anybody was asked who they are."""

import asyncio
import json
from collections.abc import Iterator
from itertools import repeat

import pytest
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, SecretStr
from starlette.types import Message

from services.bounded_body import BoundedBody
from services.http import answer_errors
from services.operator import bearer

MOST = 1000


class Said(BaseModel):
    text: str


def app() -> FastAPI:
    made = FastAPI()
    answer_errors(made)
    made.add_middleware(BoundedBody, most=MOST)
    operator = [Depends(bearer(SecretStr("k" * 32)))]

    @made.post("/json", dependencies=operator)
    async def of_json(said: Said) -> int:
        return len(said.text)

    @made.post("/bytes")
    async def of_bytes(request: Request) -> int:
        return len(await request.body())

    return made


async def posted(path: str, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    async with asyncio.timeout(5):
        await app()(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("path", ["/json", "/bytes"])
async def test_an_endless_body_is_refused_with_words_also_from_who_has_no_key(path: str) -> None:
    status, body = await posted(path, repeat(b"x" * 100))
    assert (status, json.loads(body)["code"]) == (413, "too_large")


async def test_one_that_fits_is_read_whole() -> None:
    assert await posted("/bytes", iter([b"x" * (MOST - 1), b"y"])) == (200, b"1000")
