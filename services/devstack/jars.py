"""Kafka's jars: fetched through jgo, and used only when each is, byte for byte, the one that was committed.

The list is `kafka_jars.txt`. After a change of ROOTS it is written anew by

    python -m services.devstack.jars

jgo fetches from where it is configured to (its own default, or `[repositories]` in its configuration file).
"""

import errno
import fcntl
import hashlib
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from services.errors import ConfigurationError

# 4.4.0's POM names a jar that does not exist. slf4j-simple puts the log on stderr, where it is kept.
ROOTS: Final = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
LIST: Final = Path(__file__).with_name("kafka_jars.txt")
ATTEMPTS: Final = 3
WORKERS: Final = 4
"""Downloads at once: most jars are small, so latency is what costs."""

Advance = Callable[[int], None]


class JarsMissing(ConfigurationError):
    """Kafka can't be had now."""


@dataclass(frozen=True, slots=True)
class Jar:
    coordinate: str
    """`group:artifact:version`"""
    sha256: str
    size: int

    def is_intact(self, path: Path) -> bool:
        """False when it is missing, too."""
        try:
            if path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


def committed() -> tuple[Jar, ...]:
    lines = (line.split() for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return tuple(Jar(coordinate, sha256, int(size)) for coordinate, sha256, size in lines)


@dataclass(frozen=True)
class JarStore:
    """A local Maven repository that only these jars are in."""

    folder: Path

    def path(self, jar: Jar) -> Path:
        group, artifact, version = jar.coordinate.split(":")
        return self.folder.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")

    def missing(self, jars: Sequence[Jar]) -> list[Jar]:
        """Those that are not here, or not as they should be."""
        return [jar for jar in jars if not jar.is_intact(self.path(jar))]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two stacks that start together fetch nothing twice."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "lock").open("w")
        except OSError as error:
            raise JarsMissing(
                f"{self.folder} can't be written to: {error.strerror}; set STAGEPOST_CACHE to a folder for downloads"
            ) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def complete(self, jars: Sequence[Jar], advance: Advance) -> None:
        """Fetches and verifies what is missing; `advance` is told bytes as they come. Raises JarsMissing."""
        with self._alone():
            missing = self.missing(jars)  # anew: another stack may have fetched them while we waited
            if missing:
                self._fetch(missing, advance)

    def _fetch(self, jars: Sequence[Jar], advance: Advance) -> None:
        waiting: queue.SimpleQueue[Jar] = queue.SimpleQueue()
        for jar in jars:
            waiting.put(jar)
        failures: list[JarsMissing] = []

        def work() -> None:
            while not failures:
                try:
                    self._fetch_one(waiting.get_nowait(), advance)
                except queue.Empty:
                    return
                except JarsMissing as failure:
                    failures.append(failure)

        # Daemons, so that Ctrl-C waits for no answer from a slow host.
        workers = [threading.Thread(target=work, daemon=True) for _ in range(min(WORKERS, len(jars)))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failures:
            raise failures[0]

    def _fetch_one(self, jar: Jar, advance: Advance) -> None:
        path, reason = self.path(jar), ""
        for attempt in range(ATTEMPTS):
            path.unlink(missing_ok=True)  # jgo takes what lies there, also half a file of a broken-off download
            come = _Come(advance)
            try:
                _Jgo(self.folder, come).download(jar.coordinate)
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo says "not found" as the other
                path.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise JarsMissing(f"the disk of {self.folder} is full; Kafka needs some 100 MB there") from None
                reason = "it could not be fetched" if isinstance(error, RuntimeError) else "its download broke off"
                reason += f" ({type(error).__name__})"
            else:
                if jar.is_intact(path):
                    return
                path.unlink(missing_ok=True)
                reason = "what came is not what was committed (its SHA-256 differs)"
            come.take_back()
            if attempt < ATTEMPTS - 1:
                time.sleep(1 + attempt)
        raise JarsMissing(
            f"Kafka's part {jar.coordinate}: {reason}, {ATTEMPTS} times. Is there a way to the network? "
            "What has come is kept; the next start goes on from here."
        )


@dataclass(slots=True)
class _Come:
    """What came of one file, to be taken back when it was for nothing."""

    advance: Advance
    bytes: int = 0

    def more(self, count: int) -> None:
        self.bytes += count
        self.advance(count)

    def take_back(self) -> None:
        self.advance(-self.bytes)


class _Jgo:
    """The one place that knows jgo; its resolver is pure Python and asks for no mvn and no java."""

    def __init__(self, folder: Path, come: _Come) -> None:
        self._folder = folder
        self._come = come

    @cached_property
    def context(self) -> Any:  # noqa: ANN401  jgo has no types
        from jgo.config import GlobalSettings  # noqa: PLC0415  only when something is to be fetched
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

        @contextmanager
        def progress(_name: str, _size: int) -> Iterator[Advance]:
            yield self._come.more

        return MavenContext(
            resolver=PythonResolver(progress_callback=progress),
            repo_cache=self._folder,
            remote_repos={"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories},
            timeout=30,
        )

    def download(self, coordinate: str) -> Path:
        path: Path = self.context.create_dependency(coordinate).artifact.resolve()
        return path

    def closure(self, roots: Sequence[str]) -> list[str]:
        """The coordinates that these need to run, themselves first."""
        given, further = self.context.resolver.resolve(
            [self.context.create_dependency(f"{root}:compile") for root in roots]
        )
        needed = [*given, *(d for d in further if d.scope in ("compile", "runtime") and not d.optional)]
        return [f"{d.groupId}:{d.artifactId}:{d.version}" for d in needed]


def _write_list() -> None:
    with tempfile.TemporaryDirectory() as folder:
        jgo = _Jgo(Path(folder), _Come(lambda _: None))
        lines = []
        for coordinate in jgo.closure(ROOTS):
            content = jgo.download(coordinate).read_bytes()
            lines.append(f"{coordinate} {hashlib.sha256(content).hexdigest()} {len(content)}\n")
            sys.stderr.write(f"{coordinate}\n")
    head = "# The dev stack's Kafka: coordinate, SHA-256, bytes. Written by: python -m services.devstack.jars\n"
    LIST.write_text(head + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    _write_list()
