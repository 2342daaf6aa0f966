"""How much one request may be: counted while it streams in, and checked before anything is decoded."""

import re
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from pydantic import Field

from ingest.dialects.reading import UNREADABLE, Refusal, not_json
from services.errors import BadRequest, TooLarge, UnsupportedEncoding
from services.settings import Duration, Group

MEMBERS: Final = 100
"""Of one gzip body. Clients write one; thousands of empty ones would keep a process from everybody else's calls."""
INTEGERS: Final = range(-(2**63), 2**64)
"""What every reader behind us can hold. Shops' ids are past 2^53 and well below this."""


class Limits(Group):
    """Segment's clients keep to 500 KB a batch and 32 KB an event, RudderStack's to 4 MiB a batch."""

    body_bytes: int = Field(default=4 * 1_048_576, ge=1, description="of a body, decompressed")
    batch_events: int = Field(default=2500, ge=1, description="events of one request")
    event_bytes: int = Field(default=32_768, ge=1, description="of one event as it was sent, with its batch's context")
    values: int = Field(
        default=250_000,
        ge=1,
        description="of a body, by its commas: millions of tiny ones take seconds before its key is known",
    )
    depth: int = Field(default=32, ge=2, description="objects and lists inside each other")
    spread_bytes: int = Field(
        default=16 * 1_048_576, ge=1, description="of a batch once its shared context stands in each of its events"
    )
    body_time: Duration = Field(
        default=timedelta(seconds=30), description="for a body to come in: mobile networks are slow, attackers slower"
    )


async def read_body(
    chunks: AsyncIterator[bytes],
    *,
    encoding: str,
    claimed: str,
    limits: Limits,
    grown: Callable[[int], None] = lambda _: None,
) -> bytes:
    """The body, decompressed. Never holds more than `limits.body_bytes` of it, whatever was claimed or compressed.

    `encoding` and `claimed` are the headers Content-Encoding and Content-Length as they came. `grown` hears how many
    bytes are held more, and may raise. Raises TooLarge,
    UnsupportedEncoding, or BadRequest for a gzip that is broken.
    """
    named = encoding.strip().lower()
    if named not in {"", "identity", "gzip", "x-gzip"}:
        raise UnsupportedEncoding("send the body as it is, or with Content-Encoding: gzip")
    if claimed.isdecimal() and int(claimed[:19]) > limits.body_bytes:
        raise _too_large(limits)
    gunzip = _Gunzip(limits) if named.endswith("gzip") else None
    body = bytearray()
    came = 0
    async for chunk in chunks:
        came += len(chunk)
        if came > limits.body_bytes:
            raise _too_large(limits)
        more = gunzip.feed(chunk, limits.body_bytes - len(body)) if gunzip else chunk
        grown(len(more))
        body += more
    if gunzip and came:
        gunzip.check_ended()
    if body.count(b",") >= limits.values:
        raise TooLarge(f"the body has over {limits.values} values; send fewer events at once", code="too_many_values")
    return bytes(body)


def _too_large(limits: Limits) -> TooLarge:
    return TooLarge(f"the body is over {limits.body_bytes} bytes (decompressed); send fewer events at once")


class _Gunzip:
    """One gzip member after another, each asked for no more than there is room for."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1

    def feed(self, chunk: bytes, room: int) -> bytes:
        out = bytearray()
        try:
            while chunk:
                if self._member.eof:
                    self._begin_another()
                out += self._member.decompress(chunk, room - len(out) + 1)
                if len(out) > room:
                    raise _too_large(self._limits)
                chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        except zlib.error:
            raise BadRequest("the body says Content-Encoding: gzip and is none", code="malformed") from None
        return bytes(out)

    def _begin_another(self) -> None:
        self._members += 1
        if self._members > MEMBERS:
            raise BadRequest(f"the gzip body has over {MEMBERS} members; send it as one", code="malformed")
        self._member = zlib.decompressobj(wbits=31)

    def check_ended(self) -> None:
        if not self._member.eof:
            raise BadRequest("the gzip body ends too early", code="malformed")


_LONG_INTEGER = re.compile(rb"[0-9]{19}")
# A row of backslashes is taken from its first, so that the second of two begins no escape.
_SURROGATES = re.compile(
    rb"\\(?<!\\\\)(?:\\\\)*u[dD](?:(?P<pair>[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])|[89a-fA-F])[0-9a-fA-F]{2}"
)
_any = msgspec.json.Decoder()


def fault_in(raw: bytes, limits: Limits, *, size: int | None = None, beside: int = 0) -> Refusal | None:
    """What is wrong with one event's bytes before its dialect looks at them; `beside` counts towards its size.

    `size` is the most that it may have, where that is not `limits.event_bytes`.

    Most events are cleared by three searches in the raw bytes; only what might be at fault is decoded and walked.
    """
    most = limits.event_bytes if size is None else size
    if len(raw) + beside > most:
        return Refusal("too_large", f"the event has {len(raw) + beside} bytes; at most {most} are taken")
    openings = raw.count(b"{") + raw.count(b"[")
    if openings <= limits.depth and b"\\u0000" not in raw and not _LONG_INTEGER.search(raw):
        return None
    try:
        return _fault_in_value(_any.decode(raw), limits.depth)
    except (*UNREADABLE, ValueError) as error:
        return Refusal("malformed", not_json(error, raw))


def _fault_in_value(value: Any, depth: int) -> Refusal | None:  # noqa: ANN401  any JSON
    if isinstance(value, str):
        return Refusal("bad_text", "a text holds a NUL, or half of a surrogate pair") if "\x00" in value else None
    if isinstance(value, int):
        return None if value in INTEGERS else Refusal("invalid", "an integer has more than 64 bits; send it as a text")
    if not isinstance(value, dict | list):
        return None
    if depth == 0:
        return Refusal("too_deep", "objects and lists are nested too deeply")
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return next((fault for part in inner if (fault := _fault_in_value(part, depth - 1))), None)


def without_half_pairs(raw: bytes) -> bytes:
    """The same JSON with each half of a surrogate pair written as NUL, so that only its own event is refused.

    Browsers cut texts through the middle of an emoji, and the decoder then gives up the whole batch. Same length, so
    that positions in messages stay true.
    """
    if b"\\u" not in raw:
        return raw
    return _SURROGATES.sub(lambda found: found[0] if found["pair"] else found[0][:-4] + b"0000", raw)
