"""What stands around bodies is bounded, asked of the real server byte by byte."""

import asyncio
import json

import pytest
from served import served
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services import bounded_http
from services.bounded_http import HEAD_BYTES

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
LAST = HEAD + b"Connection: close\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        size = len(await Request(scope, receive).body())
        await PlainTextResponse(f"{size} bytes")(scope, receive, send)


async def answers_to(*pieces: bytes) -> bytes:
    """All that comes back until the server closes."""
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = bytearray()
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while more := await reader.read(65_536):
                said += more
        writer.close()
        return bytes(said)


def is_error(said: bytes, status: int, code: str) -> bool:
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), said
    assert b"connection: close" in head.lower()
    told = json.loads(body)
    return bool(told["code"] == code and set(told) == {"code", "message"})


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + b"X: " + b"y" * HEAD_BYTES + b"\r\n\r\n",),
        (HEAD + b"X: " + b"y" * 20_000, b"y" * 20_000, b"\r\n\r\n"),
        (HEAD, *[b"X: " + b"y" * 100 + b"\r\n"] * 300),
        (HEAD + b"a:\r\n" * 2000 + b"\r\n",),
        (b"POST /" + b"y" * HEAD_BYTES + b" HTTP/1.1\r\n\r\n",),
    ],
    ids=["whole", "one-endless", "many", "many-tiny", "line"],
)
async def test_a_head_that_is_too_large_is_refused_before_it_is_whole(pieces: tuple[bytes, ...]) -> None:
    assert is_error(await answers_to(*pieces), 431, "headers_too_large")


async def test_a_head_below_the_limit_passes() -> None:
    said = await answers_to(LAST + b"X: " + b"y" * (HEAD_BYTES - 500) + b"\r\nContent-Length: 2\r\n\r\nab")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"2 bytes")


@pytest.mark.parametrize("kept", [b"0\r\nX: ", b"1;"], ids=["trailer", "extension"])
async def test_what_stands_around_chunks_is_bounded_too(kept: bytes) -> None:
    said = await answers_to(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n" + kept, b"y" * 1_000_000)
    assert is_error(said, 431, "headers_too_large")


async def test_an_answer_before_the_end_of_a_body_is_heard_by_who_still_sends() -> None:
    head = HEAD + b"X: " + b"y" * HEAD_BYTES + b"\r\nContent-Length: 5000000\r\n\r\n"
    assert is_error(await answers_to(head, *[b"x" * 50_000] * 100), 431, "headers_too_large")


async def test_who_never_stops_sending_is_cut_off() -> None:
    with pytest.raises(ConnectionError):
        await answers_to(HEAD + b"X: " + b"y" * HEAD_BYTES, *[b"x" * 100_000] * 1000)


@pytest.mark.parametrize(
    "begun", [b"", HEAD, HEAD + b"Content-Length: 0\r\n\r\n" + HEAD], ids=["none", "some", "second"]
)
async def test_who_does_not_come_to_the_end_of_a_head_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIME", 0.1)
    assert (await answers_to(begun)).count(b"HTTP/1.1 200 ") == begun.count(b"Content-Length")


async def test_a_head_in_time_gives_its_body_all_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIME", 0.1)
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(LAST + b"Content-Length: 2\r\n\r\na")
        await asyncio.sleep(0.3)  # longer than a head may take
        writer.write(b"b")
        assert (await reader.read()).endswith(b"2 bytes")
        writer.close()


async def test_a_large_body_in_small_chunks_is_no_large_head() -> None:
    said = await answers_to(
        LAST + b"Transfer-Encoding: chunked\r\n\r\n", *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 5000, b"0\r\n\r\n"
    )
    assert said.endswith(b"500000 bytes")


async def test_requests_after_each_other_are_counted_each_for_itself() -> None:
    one = b"X: " + b"y" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n"
    assert (await answers_to(HEAD + one, HEAD + one, LAST + one)).count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"a b: c\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so_in_our_shape(noise: bytes) -> None:
    assert is_error(await answers_to(noise), 400, "no_http")
