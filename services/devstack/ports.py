"""Which ports a stack listens on: the usual ones where they are free, any free one where not."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress

LOOPBACK = "127.0.0.1"


class Ports:
    """Claimed ports stay occupied until `release`, shortly before who listens there is started."""

    def __init__(self, preferred: Mapping[str, int], remembered: Mapping[str, int]) -> None:
        """`preferred` are tried first, `remembered` after them; 0 leaves the choice to the system."""
        self._preferred = preferred
        self._remembered = remembered
        self._held: dict[str, socket.socket] = {}
        self._chosen: dict[str, int] = {}

    def claim(self, name: str) -> int:
        for port in (self._preferred.get(name, 0), self._remembered.get(name, 0)):
            if port and self._try(name, port):
                return port
        self._try(name, 0)
        return self._chosen[name]

    def __getitem__(self, name: str) -> int:
        return self._chosen[name]

    @property
    def chosen(self) -> dict[str, int]:
        return dict(self._chosen)

    def release(self, name: str) -> None:
        if name in self._held:
            self._held.pop(name).close()

    def release_all(self) -> None:
        for name in list(self._held):
            self.release(name)

    def _try(self, name: str, port: int) -> bool:
        with ExitStack() as opened, suppress(OSError):
            held = opened.enter_context(socket.socket())
            # Connections that linger from the last run must not cost it its usual port; listening keeps others off.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((LOOPBACK, port))
            held.listen(1)
            opened.pop_all()
            self._held[name] = held
            self._chosen[name] = held.getsockname()[1]
            return True
        return False
