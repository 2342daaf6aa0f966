"""Uvicorn's HTTP/1.1 with a bound on what stands before, between and after bodies, and errors in our one shape.

By itself it keeps as many headers as somebody cares to send, and answers what is no HTTP in plain text.
"""

from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES: Final = 32_768
"""Of a request's line and headers. Proxies before us take 8 to 16 KiB, cookies of a shop's domain stay below that."""
_PER_HEADER: Final = 32
"""Bytes that each header counts beside its own: thousands of tiny ones are no less work."""


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

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # what still comes after an error
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _PER_HEADER)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        super().on_message_complete()

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
