"""The write keys as they were heard last, in ingest's state folder: for a start while Kafka is away.

The processes that share the folder write the same; a file is there whole or not at all.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import msgspec
import structlog

from services.contracts.keys import WriteKey

log = structlog.get_logger()

NAME: Final = "write-keys.json"


def read_cache(folder: Path) -> tuple[WriteKey, ...]:
    """None known where there is no file, or none that can be read: then Kafka has to be asked."""
    path = folder / NAME
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=list[WriteKey]))
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("the write keys of the last run can't be read", path=str(path.absolute()), error=str(error))
        return ()


def write_cache(folder: Path, keys: Iterable[WriteKey]) -> None:
    """Raises OSError."""
    # Not by the process's number: in containers each of them may be number 1.
    with NamedTemporaryFile(dir=folder, prefix=f"{NAME}.", delete=False) as file:
        new = Path(file.name)
        try:
            file.write(msgspec.json.format(msgspec.json.encode(list(keys))))
            file.flush()
            os.fsync(file.fileno())
            new.replace(folder / NAME)
        except OSError:
            new.unlink(missing_ok=True)
            raise
