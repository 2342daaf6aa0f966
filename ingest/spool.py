"""What Kafka has not taken yet, on disk: a call that is answered from here is as durable as one from Kafka.

SQLite with a write-ahead log and `synchronous=FULL`: a commit returns after its fsync. Calls that come while one is
under way share the next (group commit). All of SQLite happens in one thread, so that no disk holds up the event loop.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from ingest.settings import SpoolSettings
from services.errors import ConfigurationError
from services.kafka import Record

log = structlog.get_logger()
T = TypeVar("T")

VERSION: Final = 1
BATCH_BYTES: Final = 4 * 1_048_576
"""Of what is read at once to be sent on."""
_ROW: Final = 64
"""Bytes that a row takes beside its record; so that a million tiny ones count as what they are."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_OPENING: Final = (
    "PRAGMA auto_vacuum = INCREMENTAL",  # so that a bad day's gigabyte goes back to the disk; must come first
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: its plain fsync leaves data in the drive's cache
    """CREATE TABLE IF NOT EXISTS records (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        received_at INTEGER NOT NULL, size INTEGER NOT NULL, record BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS records_received_at ON records (received_at)",
    "CREATE TABLE IF NOT EXISTS reported (once INTEGER PRIMARY KEY CHECK (once = 1))",
    f"PRAGMA user_version = {VERSION}",
)
_COUNTED: Final = "SELECT count(*), coalesce(sum(size), 0), min(received_at) FROM records"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class SpoolFull(Exception):
    """It is not in the spool: there is no room by the settings, or the disk would not take it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """`oldest` is the earliest receipt of what lies there."""

    records: int = 0
    bytes: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The first of what lies there, in the order of storing."""

    up_to: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    rows: list[tuple[int, int, bytes]]
    size: int
    done: asyncio.Future[None]


class Spool:
    """The spool of one lasting id. Whoever opens it holds that id's lock."""

    def __init__(self, path: Path, settings: SpoolSettings) -> None:
        """Raises ConfigurationError: the file is damaged, another version's, or its place can't be written to."""
        self.path = path
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._sent = 0
        self._undeleted = 0
        self._unwritten = 0
        self._unwritten_bytes = 0
        self._failing = False
        try:
            self._file = self._thread.submit(_File, path).result()
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise ConfigurationError(
                f"the spool {path.absolute()} can't be opened: {error}. Its disk may be full, or it is damaged: then "
                "move its folder away, keep it, and start again"
            ) from None

    @property
    def contents(self) -> Contents:
        """What lies there durably, as the last commit left it."""
        return self._file.contents

    @property
    def oldest(self) -> datetime | None:
        return self._file.contents.oldest

    @property
    def left(self) -> int:
        """Records that are yet to be sent on: that lie there, or will in a moment."""
        return self._file.contents.records - self._undeleted + self._unwritten

    async def put(self, records: Sequence[Record], received_at: datetime) -> None:
        """Returns after the fsync. Raises SpoolFull."""
        at = (received_at - _EPOCH) // _MICROSECOND
        packed = [_encode(record) for record in records]
        rows = [(at, len(blob) + _ROW, blob) for blob in packed]
        size = sum(row[1] for row in rows)
        self._check_room(size, received_at)
        waiting = _Waiting(rows, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._unwritten += len(rows)
        self._unwritten_bytes += size
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await waiting.done

    async def first(self, most: int) -> Batch:
        """The first that were not removed, whether or not that has reached the disk."""
        return await self._run(lambda: self._file.first(self._sent, most))

    async def remove(self, batch: Batch) -> None:
        """Of what was sent on. A full disk can't even delete: then it is not read again, and away with the next try."""
        self._sent = batch.up_to
        self._undeleted += len(batch.records)
        await self.remove_sent()

    async def remove_sent(self) -> None:
        """Tries once more what `remove` could not.

        When all of it was sent the whole file may go: that much a full disk can do.
        """
        if not self._undeleted:
            return
        count, all_sent = self._undeleted, self.left == 0
        try:
            await self._run(lambda: self._file.remove(self._sent))
        except sqlite3.Error as error:
            if not self._failing:
                self._failing = True
                log.warning("what was sent on can't be removed from the spool", path=str(self.path), error=str(error))
            if not all_sent or not await self._run(lambda: self._file.begun_anew(count)):
                return
            self._sent = 0
        self._failing, self._undeleted = False, 0

    @property
    def reported(self) -> bool:
        """Whether an engine waits for this id: it has reported, and has not taken leave since."""
        return self._file.reported

    async def set_reported(self, reported: bool) -> None:  # noqa: FBT001  what it says
        """On a full disk it stays as it was; ask again later."""
        if self._file.reported != reported:
            with contextlib.suppress(sqlite3.Error):
                await self._run(lambda: self._file.set_reported(reported))

    async def close(self) -> None:
        if self._committing is not None:
            await asyncio.wait({self._committing})
        await self._run(self._file.close)
        self._thread.shutdown()

    async def discard(self) -> None:
        """Closes it and takes the file away: its id owes nothing any more."""
        await self.close()
        _unlink(self.path)

    def _check_room(self, size: int, now: datetime) -> None:
        contents = self.contents
        if contents.bytes + self._unwritten_bytes + size > self._settings.max_bytes:
            raise SpoolFull(f"it holds {contents.bytes} of {self._settings.max_bytes} bytes")
        if contents.oldest is not None and now - contents.oldest > self._settings.max_age:
            raise SpoolFull(f"its oldest was received at {contents.oldest:%Y-%m-%dT%H:%M:%SZ}")

    async def _commit(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                failure: SpoolFull | None = None
                try:
                    await self._run(lambda group=group: self._file.append([row for one in group for row in one.rows]))  # type: ignore[misc]
                except sqlite3.Error as error:
                    failure = SpoolFull(f"its disk would not take it: {error}")
                self._unwritten -= sum(len(one.rows) for one in group)
                self._unwritten_bytes -= sum(one.size for one in group)
                for one in group:
                    if not one.done.done():  # whoever waited may have been cancelled
                        one.done.set_result(None) if failure is None else one.done.set_exception(failure)
        finally:
            self._committing = None

    async def _run(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


class _File:
    """The file itself: blocking, for one thread. `contents` may be read by any: it is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        path = self._path
        self._db = sqlite3.connect(path, isolation_level=None)
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            self._db.close()
            raise sqlite3.DatabaseError(f"it is of version {version}, this ingest reads {VERSION}")
        for statement in _OPENING:
            self._db.execute(statement)
        _sync_folder(path.parent)
        _sync_folder(path.parent.parent)
        records, size, oldest = self._db.execute(_COUNTED).fetchone()
        self.contents = Contents(records, size, _moment(oldest))
        self.reported = self._db.execute("SELECT 1 FROM reported").fetchone() is not None

    def append(self, rows: Sequence[tuple[int, int, bytes]]) -> None:
        with self._transaction():
            self._db.executemany("INSERT INTO records (received_at, size, record) VALUES (?, ?, ?)", rows)
        was, oldest = self.contents, _moment(min(row[0] for row in rows))
        self.contents = Contents(
            was.records + len(rows),
            was.bytes + sum(row[1] for row in rows),
            oldest if was.oldest is None or oldest is None else min(was.oldest, oldest),
        )

    def first(self, after: int, most: int) -> Batch:
        up_to, size = after, 0
        found: list[Record] = []
        rows = self._db.execute(
            "SELECT number, size, record FROM records WHERE number > ? ORDER BY number LIMIT ?", (after, most)
        )
        for number, its, record in rows:
            size += its
            if found and size > BATCH_BYTES:
                break
            up_to = number
            found.append(_decode(record))
        rows.close()
        return Batch(up_to, tuple(found))

    def remove(self, up_to: int) -> None:
        with self._transaction():
            records, size = self._db.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM records WHERE number <= ?", (up_to,)
            ).fetchone()
            self._db.execute("DELETE FROM records WHERE number <= ?", (up_to,))
            (oldest,) = self._db.execute("SELECT min(received_at) FROM records").fetchone()
        self.contents = Contents(self.contents.records - records, self.contents.bytes - size, _moment(oldest))
        if not self.contents.records:
            with contextlib.suppress(sqlite3.Error):  # it is for the disk's sake only
                self._db.execute("PRAGMA incremental_vacuum").fetchall()
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def begun_anew(self, count: int) -> bool:
        """With an empty file, if it holds just so many records, all of them sent. Whether that came to be."""
        if self.contents.records != count:
            return False
        reported = self.reported
        self._db.close()
        try:
            _unlink(self._path)
        finally:
            self._open()
        if reported:
            self.set_reported(reported)
        return True

    def set_reported(self, reported: bool) -> None:  # noqa: FBT001  what it says
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO reported VALUES (1)" if reported else "DELETE FROM reported")
        self.reported = reported

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise


def peek(path: Path) -> Contents:
    """What lies in a spool, also while a process has it. Raises ConfigurationError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            records, size, oldest = db.execute(_COUNTED).fetchone()
    except sqlite3.Error as error:
        raise ConfigurationError(f"the spool {path} can't be read: {error}") from None
    return Contents(records, size, _moment(oldest))


def _unlink(path: Path) -> None:
    """The database first: SQLite takes a log without one for none."""
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        file.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A file that was just made is durable only once its folder is."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + microseconds * _MICROSECOND
