"""Which ports a stack listens on: the usual ones where they are free, any free one where not."""

import fcntl
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from services.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


class Ports:
    """Claimed ports stay occupied until `release`, shortly before who listens there is started.

    Other stacks keep off for longer, until this process ends: each has locked the bytes that its ports number in one
    shared file. Without that, two that start together take each other's port between release and listening.
    """

    def __init__(self, preferred: Mapping[str, int], remembered: Mapping[str, int], claims: Path) -> None:
        """`preferred` are tried first, `remembered` after them; 0 leaves the choice to the system."""
        self._preferred = preferred
        self._remembered = remembered
        try:
            claims.parent.mkdir(parents=True, exist_ok=True)
            self._claims = claims.open("a")
        except OSError as error:
            raise ConfigurationError(
                f"{claims} can't be written to: {error.strerror}; set STAGEPOST_CACHE to a folder that can"
            ) from None
        self._held: dict[str, socket.socket] = {}
        self._chosen: dict[str, int] = {}

    def claim(self, name: str) -> int:
        for port in (self._preferred.get(name, 0), self._remembered.get(name, 0)):
            if port and self._try(name, port):
                return port
        while not self._try(name, 0):
            """Another stack has just been given it; the system has others."""
        return self._chosen[name]

    def __getitem__(self, name: str) -> int:
        return self._chosen[name]

    @property
    def chosen(self) -> dict[str, int]:
        return dict(self._chosen)

    def release(self, name: str) -> None:
        if name in self._held:
            self._held.pop(name).close()

    def give_back(self) -> None:
        """All of them, to other stacks as well."""
        for name in list(self._held):
            self.release(name)
        self._claims.close()

    def _try(self, name: str, port: int) -> bool:
        with ExitStack() as opened, suppress(OSError):
            held = opened.enter_context(socket.socket())
            # Connections that linger from the last run must not cost it its usual port; listening keeps others off.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((LOOPBACK, port))
            held.listen(1)
            found: int = held.getsockname()[1]
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, found)
            opened.pop_all()
            self._held[name] = held
            self._chosen[name] = found
            return True
        return False
