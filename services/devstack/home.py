"""Where a dev stack keeps what it has: `.stagepost/` in the current directory, or `STAGEPOST_HOME`.

    lock             held by the `stagepost up` that runs here
    run.json         who runs now, so that `stagepost down` finds them
    endpoints.json   what is where, with the keys
    keys/            random, made once, for their owner's eyes only
    postgres/ kafka/ mailbox/ ingest/   the data
    logs/            one file a process, of the last run

Kafka's jars lie elsewhere, shared by all homes: in `STAGEPOST_CACHE`, or the user's cache folder.
"""

import contextlib
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.errors import ConfigurationError


class StackRuns(ConfigurationError):
    """The home has a stack already; another needs a home of its own."""


@dataclass(frozen=True, slots=True)
class Home:
    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / "run.json"

    @property
    def endpoints_file(self) -> Path:
        return self.path / "endpoints.json"

    @property
    def ports_file(self) -> Path:
        return self.path / "ports.json"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def restart_request(self, name: str) -> Path:
        """Lies there while an operator wants this one started again."""
        return self.path / f"restart-{name}"

    def prepare(self) -> None:
        """Makes the folders. Others may pass through the home (Postgres may run as another user), not look into it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)
            for private in (self.keys, self.logs):
                private.mkdir(exist_ok=True)
                private.chmod(0o700)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} can't be made: {error.strerror}; set STAGEPOST_HOME to a folder you may write to"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One stack a home. The lock goes with the process, however it ends."""
        with (self.path / "lock").open("w") as file:
            for last in (False, False, False, True):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if last:
                        raise StackRuns(
                            f"a stack runs in {self.path} already; `stagepost endpoints` says where, `stagepost down` "
                            "stops it, and STAGEPOST_HOME gives another one a home of its own"
                        ) from None
                    time.sleep(0.2)  # perhaps only somebody who asks `is_locked`
            yield

    @property
    def is_locked(self) -> bool:
        try:
            with (self.path / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def current_home() -> Home:
    return Home(Path(os.environ.get("STAGEPOST_HOME") or ".stagepost").absolute())


def cache_folder() -> Path:
    """`STAGEPOST_CACHE`, or `stagepost` in the user's cache folder. An empty HOME counts as none."""
    if chosen := os.environ.get("STAGEPOST_CACHE"):
        return Path(chosen).absolute()
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "stagepost"
    user = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(user) / ".cache" / "stagepost"


def write_private(path: Path, content: str) -> None:
    """All of it or nothing, readable by its owner only."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    part.replace(path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Empty when there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
