"""The spool on a real file: order, durability, bounds, damage."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.settings import SpoolSettings
from ingest.spool import BATCH_BYTES, Contents, Spool, SpoolFull, peek
from services.errors import ConfigurationError
from services.kafka import Record


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=seconds)


def record(number: int, size: int = 10) -> Record:
    return Record(
        topic="t", key=b"k%d" % number, value=b"%d:" % number + b"x" * size, headers=(("h", b"\xff"),), partition=None
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
async def spool(path: Path) -> AsyncIterator[Spool]:
    spool = Spool(path, SpoolSettings())
    yield spool
    await spool.close()


def same(found: Record, put: Record) -> bool:
    return (found.topic, found.key, found.value, [tuple(h) for h in found.headers], found.partition) == (
        put.topic, put.key, put.value, list(put.headers), put.partition,
    )  # fmt: skip


async def test_what_was_put_comes_out_whole_and_in_the_order_of_storing(spool: Spool) -> None:
    for number in range(5):
        await spool.put([record(2 * number), record(2 * number + 1)], at(5 - number))
    assert (spool.contents.records, spool.left, spool.oldest) == (10, 10, at(1))
    batch = await spool.first(100)
    assert all(same(found, record(number)) for number, found in enumerate(batch.records))
    assert len(batch.records) == 10


async def test_what_was_removed_never_comes_again_and_the_oldest_rises(spool: Spool) -> None:
    for number in range(6):
        await spool.put([record(number)], at(number))
    await spool.remove(await spool.first(4))
    assert (spool.left, spool.oldest) == (2, at(4))
    assert [found.key for found in (await spool.first(10)).records] == [b"k4", b"k5"]
    await spool.remove(await spool.first(10))
    assert spool.contents == Contents()
    await spool.put([record(7)], at(7))
    assert [found.key for found in (await spool.first(10)).records] == [b"k7"]


async def test_calls_that_come_together_share_their_commits(spool: Spool) -> None:
    commits = []
    append = spool._file.append  # noqa: SLF001  only the file sees how they were grouped
    spool._file.append = lambda rows: (commits.append(len(rows)), append(rows))  # type: ignore[assignment, method-assign, func-returns-value]  # noqa: SLF001
    await asyncio.gather(*(spool.put([record(number)], at(number)) for number in range(200)))
    assert sum(commits) == 200
    assert len(commits) <= 3
    assert [found.key for found in (await spool.first(500)).records] == [b"k%d" % number for number in range(200)]


async def test_a_batch_is_bounded_in_bytes_but_never_empty(spool: Spool) -> None:
    big = BATCH_BYTES // 2
    for number in range(4):
        await spool.put([record(number, big)], at(number))
    assert len((await spool.first(100)).records) == 1
    await spool.put([record(9, 2 * BATCH_BYTES)], at(9))
    for _ in range(4):
        await spool.remove(await spool.first(1))
    assert len((await spool.first(100)).records) == 1


async def test_what_lies_there_is_there_after_a_new_start(path: Path) -> None:
    first = Spool(path, SpoolSettings())
    await first.put([record(1), record(2)], at(3))
    await first.put([record(3)], at(1))
    await first.set_reported(True)
    was = first.contents
    await first.close()
    again = Spool(path, SpoolSettings())
    assert (again.contents, again.reported, again.oldest) == (was, True, at(1))
    await again.discard()
    assert list(path.parent.iterdir()) == []


async def test_it_takes_no_more_than_it_may(path: Path) -> None:
    spool = Spool(path, SpoolSettings(max_bytes=2_000, max_age=timedelta(hours=1)))
    with pytest.raises(SpoolFull):
        await spool.put([record(0, 3_000)], at(0))
    outcomes = await asyncio.gather(
        *(spool.put([record(number, 300)], at(number)) for number in range(20)), return_exceptions=True
    )
    assert 1 <= outcomes.count(None) <= 6
    assert {type(outcome) for outcome in outcomes} == {type(None), SpoolFull}
    assert spool.contents.bytes <= 2_000
    await spool.remove(await spool.first(100))
    await spool.put([record(1)], at(100))
    with pytest.raises(SpoolFull, match="oldest"):
        await spool.put([record(2)], at(100 + 3601))
    await spool.close()


def test_a_damaged_file_is_named(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match=r"spool\.sqlite"):
        Spool(path, SpoolSettings())


async def test_a_file_of_another_version_is_left_alone(path: Path) -> None:
    spool = Spool(path, SpoolSettings())
    await spool.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigurationError, match="version 99"):
        Spool(path, SpoolSettings())


async def test_one_may_look_into_it_while_it_is_used(spool: Spool) -> None:
    await spool.put([record(1)], at(1))
    assert peek(spool.path) == spool.contents


STORING = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from ingest.settings import SpoolSettings
from ingest.spool import Spool
from services.kafka import Record
async def main():
    spool = Spool(Path(sys.argv[1]), SpoolSettings())
    for number in range(100000):
        await spool.put([Record(topic="t", key=None, value=b"%d" % number)], datetime.now(UTC))
        print(number, flush=True)
asyncio.run(main())
"""


def test_a_commit_outlasts_kill_9(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STORING, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as other:
        assert other.stdout is not None
        said = [int(other.stdout.readline()) for _ in range(50)]
        os.kill(other.pid, signal.SIGKILL)
        said += [int(line) for line in other.stdout.read().split()]
    stored = asyncio.run(values(path))
    assert stored[: len(said)] == said


async def values(path: Path) -> list[int]:
    spool = Spool(path, SpoolSettings())
    try:
        return [int(one.value or b"") for one in (await spool.first(1_000_000)).records]
    finally:
        await spool.close()
