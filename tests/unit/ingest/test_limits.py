"""What one request may be, counted while it comes in."""

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.limits import MEMBERS, Limits, fault_in, read_body, without_half_pairs
from services.errors import BadRequest, TooLarge, UnsupportedEncoding

LIMITS = Limits(body_bytes=10_000, event_bytes=1000, depth=5)


class Chunks:
    """A body in pieces that remembers how many were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.taken = 0

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece


async def read(*pieces: bytes, encoding: str = "", claimed: str = "") -> bytes:
    return await read_body(Chunks(*pieces).stream(), encoding=encoding, claimed=claimed, limits=LIMITS)


def by_bytes(raw: bytes) -> list[bytes]:
    return [raw[i : i + 1] for i in range(len(raw))]


async def test_a_body_is_the_same_whole_and_in_pieces() -> None:
    assert await read(b"abc", b"", b"def") == await read(b"abcdef") == b"abcdef"


async def test_a_body_of_just_the_limit_passes_and_one_more_byte_does_not() -> None:
    assert len(await read(b"x" * 10_000)) == 10_000
    with pytest.raises(TooLarge):
        await read(b"x" * 10_000, b"x")


async def test_a_body_of_as_many_values_as_are_taken_passes_and_one_more_does_not() -> None:
    limits = Limits(values=3)
    for values, taken in ((b"[1,2,3]", True), (b"[1,2,3,4]", False)):
        with contextlib.nullcontext() if taken else pytest.raises(TooLarge) as refused:
            await read_body(Chunks(values).stream(), encoding="", claimed="", limits=limits)
    assert refused is not None
    assert refused.value.code == "too_many_values"


async def test_endless_chunks_are_read_no_further_than_the_limit() -> None:
    chunks = Chunks(*[b"x" * 1000] * 1000)
    with pytest.raises(TooLarge):
        await read_body(chunks.stream(), encoding="", claimed="", limits=LIMITS)
    assert chunks.taken == 11


async def test_a_claim_of_two_gigabytes_is_refused_before_anything_is_read() -> None:
    chunks = Chunks(b"x")
    with pytest.raises(TooLarge):
        await read_body(chunks.stream(), encoding="", claimed="2147483648", limits=LIMITS)
    assert chunks.taken == 0


@pytest.mark.parametrize("claimed", ["", "-1", "1e9", "abc", "٣"])
async def test_a_claim_that_is_no_number_is_not_believed(claimed: str) -> None:
    assert await read(b"abc", claimed=claimed) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " x-gzip "])
async def test_gzip_is_read_however_it_is_cut(encoding: str) -> None:
    packed = gzip.compress(b"hello" * 100)
    assert await read(packed, encoding=encoding) == b"hello" * 100
    assert await read(*by_bytes(packed), encoding=encoding) == b"hello" * 100


async def test_gzip_of_several_members_is_read_to_its_end() -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    assert await read(packed, encoding="gzip") == await read(*by_bytes(packed), encoding="gzip") == b"onetwo"


async def test_a_gzip_of_many_members_is_none_that_a_client_writes() -> None:
    member = gzip.compress(b"x")
    assert await read(member * MEMBERS, encoding="gzip") == b"x" * MEMBERS
    with pytest.raises(BadRequest, match="members"):
        await read(member * (MEMBERS + 1), encoding="gzip")


async def test_a_gzip_of_just_the_limit_passes_and_one_more_byte_does_not() -> None:
    assert len(await read(gzip.compress(b"x" * 10_000), encoding="gzip")) == 10_000
    with pytest.raises(TooLarge):
        await read(gzip.compress(b"x" * 10_001), encoding="gzip")


async def test_a_gzip_bomb_is_never_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await read(bomb[:5000], bomb[5000:], encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # of 100 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "broken",
    [b"not gzip", gzip.compress(b"hello")[:-4], gzip.compress(b"hello") + b"x", b"\x1f"],
    ids=["none", "cut", "longer", "begun"],
)
async def test_a_broken_gzip_is_a_bad_request(broken: bytes) -> None:
    with pytest.raises(BadRequest):
        await read(broken, encoding="gzip")


@given(st.binary(max_size=200), st.integers(1, 50))
async def test_whatever_calls_itself_gzip_is_read_or_refused(noise: bytes, size: int) -> None:
    pieces = [noise[i : i + size] for i in range(0, len(noise), size)]
    with contextlib.suppress(BadRequest, TooLarge):
        assert isinstance(await read(*pieces, encoding="gzip"), bytes)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_an_encoding_we_do_not_read_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding):
        await read(b"x", encoding=encoding)


def test_an_event_of_just_the_limit_passes_and_one_more_byte_does_not() -> None:
    assert fault_in(b'"' + b"x" * 998 + b'"', LIMITS) is None
    fault = fault_in(b'"' + b"x" * 999 + b'"', LIMITS)
    assert fault is not None
    assert fault.code == "too_large"
    assert fault_in(b'"x"', LIMITS, beside=999) is not None


@pytest.mark.parametrize(("depth", "code"), [(5, None), (6, "too_deep"), (400, "too_deep")])
def test_nesting_is_bounded(depth: int, code: str | None) -> None:
    fault = fault_in(b"[" * depth + b"]" * depth, LIMITS)
    assert (fault and fault.code) == code


def test_many_objects_beside_each_other_are_not_deep() -> None:
    assert fault_in(b"[" + b",".join([b"{}"] * 300) + b"]", LIMITS) is None


@pytest.mark.parametrize(
    ("raw", "same"),
    [
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d"', rb'"\u0000"'),
        (rb'"\ude00"', rb'"\u0000"'),
        (rb'"\uD83D\uD83D\uDE00"', rb'"\u0000\uD83D\uDE00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\u0000"'),
        (rb'"\\\\ud83d\\\\\ud83d"', rb'"\\\\ud83d\\\\\u0000"'),
        (rb'"\ud83d\n\ude00"', rb'"\u0000\n\u0000"'),
        (rb'"\u00e9"', rb'"\u00e9"'),
    ],
)
def test_only_halves_of_surrogate_pairs_are_written_over(raw: bytes, same: bytes) -> None:
    assert without_half_pairs(raw) == same
