"""What the stack runs: each program as a value, so that one supervisor can start, watch and stop all of them."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from pathlib import Path


class Layer(IntEnum):
    """Who needs whom: stopped from the highest down, so that nobody loses what they stand on while they finish."""

    POSTGRES = 0
    KAFKA = 1
    MAILBOX = 2
    SERVICE = 3


@dataclass(frozen=True, slots=True)
class OsUser:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`ready` answers whether it takes work now; `stop_signal` asks it to end within `grace`, after which it is killed.

    `ports` are the names of those it will listen on; secrets stand in `env` or in files, never in `command`, which
    everyone on the machine can read.
    """

    name: str
    layer: Layer
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: OsUser | None = None
    directory: Path | None = None
    ports: tuple[str, ...] = ()
    ready: Callable[[], Awaitable[bool]]
    ready_within: timedelta = timedelta(seconds=60)
    stop_signal: signal.Signals = signal.SIGTERM
    grace: timedelta = timedelta(seconds=15)
