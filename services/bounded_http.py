"""Uvicorn's HTTP/1.1 with a bound on what stands before, between and after bodies, and answers that arrive.

By itself it keeps as many headers as somebody cares to send, answers what is no HTTP in plain text, and closes at once
after an answer that came before the end of a body: the system then resets the connection, and who was still sending
never reads why.
"""

import asyncio
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES: Final = 32_768
"""Of a request's line and headers. Proxies before us take 8 to 16 KiB, cookies of a shop's domain stay below that."""
_PER_HEADER: Final = 32
"""Bytes that each header counts beside its own: thousands of tiny ones are no less work."""

HEAD_TIME: Final = 10.0
"""Seconds for a request's line and headers to come in, and for a new connection to begin with them."""
LINGER: Final = 2.0
"""Seconds for a body to end that is not read any more: who reads its answer hangs up before."""
LINGER_BYTES: Final = 8 * 1_048_576
"""Of that body: twice what any call may have."""


class _Lingering:
    """A transport that, when closed amid a request, stops writing at once and reading a little later."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.amid_request = False
        self._lingers: asyncio.TimerHandle | None = None
        self._left = LINGER_BYTES

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever a transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._lingers is not None or self._transport.is_closing()

    def close(self) -> None:
        if not self.amid_request:
            self._transport.close()
        elif not self.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._lingers = asyncio.get_running_loop().call_later(LINGER, self._transport.close)

    def discard(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self._transport.close()

    def lost(self) -> None:
        if self._lingers is not None:
            self._lingers.cancel()


class _TooLarge(Exception):
    """Raised inside the parser, which then gives up and has us answer."""


class BoundedHttp(HttpToolsProtocol):
    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401  uvicorn's own
        super().__init__(*args, **more)
        self._head = 0
        """Of the request that is being read: its line and headers, and what comes as headers after its body."""
        self._unparsed = 0
        """Since the parser last had something whole: of one endless header it tells nobody anything."""
        self._too_large = False
        self._lingering: _Lingering
        self._too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._lingering = _Lingering(transport)
        super().connection_made(self._lingering)  # type: ignore[arg-type]
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lingering.lost()
        self._expect_no_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # what still comes after the answer
            self._lingering.discard(len(data))
            return
        self._lingering.amid_request = True
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._head = 0
        self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _PER_HEADER)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        self._expect_no_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        self._lingering.amid_request = False
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._expect_no_head()
        self._too_late = self.loop.call_later(HEAD_TIME, self._lingering.close)

    def _expect_no_head(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_BYTES:
            self._too_large = True
            raise _TooLarge

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls it for whatever the parser gave up. Nothing is said into an answer that is under way."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_too_large() if self._too_large else _no_http(msg))
        self.transport.close()


def _too_large() -> bytes:
    return _answer(431, "headers_too_large", f"the request's line and headers have over {HEAD_BYTES} bytes")


def _no_http(message: str) -> bytes:
    return _answer(400, "no_http", message)


def _answer(status: int, code: str, message: str) -> bytes:
    body = msgspec.json.encode({"code": code, "message": message})
    return (
        STATUS_LINE[status]
        + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        + body
    )
