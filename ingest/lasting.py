"""The lasting id of an ingest process: a folder of its own in the state folder, held by a lock.

    <state folder>/<id>/lock    held by the process that has this id now, however it ends

Whoever adopts the folder adopts the id, with all that it still owes. So processes that share a state folder each have
their own, and one that is started again takes up one that is free.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from services.contracts.progress import IngestId
from services.errors import ConfigurationError


@contextlib.contextmanager
def adopted(folder: Path) -> Iterator[IngestId]:
    """A free id of this folder, or a new one, for as long as the block runs. Raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock, ingest = _locked(folder)
    except OSError as error:
        raise ConfigurationError(
            f"STAGEPOST_STATE_FOLDER: {folder.absolute()} can't be used: {error.strerror}; it must be a folder that "
            "ingest may write to, and that is still there after a restart"
        ) from None
    try:
        yield ingest
    finally:
        os.close(lock)


def _locked(folder: Path) -> tuple[int, IngestId]:
    """The file that holds the lock, and whose it is."""
    while True:
        free = sorted(path.name for path in folder.iterdir() if _is_id(path.name))
        for name in [*free, str(uuid4())]:
            place = folder / name
            place.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process has it, or was quicker with the one that we have just made
                os.close(lock)
            else:
                return lock, IngestId(name)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
