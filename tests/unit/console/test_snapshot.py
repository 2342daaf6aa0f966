"""However many look, Postgres is asked seldom."""

import asyncio

import pytest

from console.snapshot import FRESH_FOR, REST, Snapshot


class Source:
    """Counts its readings; each takes `takes` seconds of its own clock."""

    def __init__(self, *, takes: float = 0.0) -> None:
        self.takes = takes
        self.now = 100.0
        self.readings = 0

    async def read(self) -> int:
        await asyncio.sleep(0)
        self.readings += 1
        self.now += self.takes
        return self.readings


@pytest.mark.parametrize(("takes", "rest"), [(0.0, FRESH_FOR), (3.0, 3.0 * REST)])
async def test_it_is_read_again_when_it_is_old_and_rests_longer_when_reading_is_slow(takes: float, rest: float) -> None:
    source = Source(takes=takes)
    snapshot = Snapshot(source.read, lambda: source.now)
    assert await snapshot.get() == 1
    source.now += rest - 0.1
    assert await snapshot.get() == 1
    source.now += 0.2
    assert await snapshot.get() == 2


async def test_many_who_look_at_once_cause_one_reading() -> None:
    source = Source()
    snapshot = Snapshot(source.read, lambda: source.now)
    assert await asyncio.gather(*(snapshot.get() for _ in range(50))) == [1] * 50


async def test_a_failed_reading_is_tried_again_at_the_next_look() -> None:
    async def failing() -> int:
        source.readings += 1
        if source.readings == 1:
            raise OSError("Postgres is away")
        return source.readings

    source = Source()
    snapshot = Snapshot(failing, lambda: source.now)
    with pytest.raises(OSError, match="away"):
        await snapshot.get()
    assert await snapshot.get() == 2
