"""The lasting id of an ingest process: a folder of its own in the state folder, held by a lock.

    <state folder>/<id>/lock            held by the process that has this id now, however it ends
    <state folder>/<id>/spool.sqlite    what was accepted and is not on Kafka yet; there as long as the id owes anything

Whoever adopts the folder adopts the id, with all that it still owes. So processes that share a state folder each have
their own, and one that is started again takes up one that is free. What is left by one that does not come back is an
orphan, for the others to settle.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from services.contracts.progress import IngestId
from services.errors import ConfigurationError

SPOOL = "spool.sqlite"


@dataclass(frozen=True, slots=True)
class Holding:
    """An id and its folder, for as long as its lock is held."""

    ingest: IngestId
    folder: Path

    @property
    def spool(self) -> Path:
        return self.folder / SPOOL


@contextlib.contextmanager
def adopted(folder: Path) -> Iterator[Holding]:
    """A free id of this folder, one that owes something first, or a new one. Raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock, holding = _locked(folder)
    except OSError as error:
        raise ConfigurationError(
            f"STAGEPOST_STATE_FOLDER: {folder.absolute()} can't be used: {error.strerror}; it must be a folder that "
            "ingest may write to, and that is still there after a restart"
        ) from None
    try:
        yield holding
    finally:
        os.close(lock)


@contextlib.contextmanager
def held(place: Path) -> Iterator[Holding | None]:
    """The folder of one id, or None while another process has it."""
    lock = _lock(place)
    try:
        yield None if lock is None else Holding(IngestId(place.name), place)
    finally:
        if lock is not None:
            os.close(lock)


def owing(folder: Path) -> list[Path]:
    """The folders of ids that owe something, held or not. A folder of one id alone will do, too."""
    places = [folder] if _is_id(folder.name) else [path for path in folder.iterdir() if _is_id(path.name)]
    return sorted(place for place in places if (place / SPOOL).exists())


def _locked(folder: Path) -> tuple[int, Holding]:
    """The file that holds the lock, and whose it is."""
    while True:
        known = [path for path in folder.iterdir() if _is_id(path.name)]
        known.sort(key=lambda path: (not (path / SPOOL).exists(), path.name))
        for place in [*known, folder / str(uuid4())]:
            place.mkdir(mode=0o700, exist_ok=True)
            lock = _lock(place)
            if lock is not None:
                return lock, Holding(IngestId(place.name), place)


def _lock(place: Path) -> int | None:
    """None: another process has it, or was quicker with the one that we have just made."""
    lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
