"""A TCP proxy to stand before Kafka and Postgres: slow, half-open, cut, or the one that loses the next answer.

It runs in the event loop of whoever drives the faults, so a fault can be aimed at one moment of a conversation: just
before a statement reaches the server, or when its answer has come and the client has not seen it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count

LOOPBACK = "127.0.0.1"
CHUNK = 65_536
_numbers = count(1)


class Moment(Enum):
    BEFORE = auto()
    """The client has said it, the server has not heard it."""
    AFTER = auto()
    """The server has answered, the client has not heard that."""


async def nothing() -> None:
    """For a trap that only loses what was said."""


@dataclass(eq=False, kw_only=True)
class Trap:
    """Springs once: when a client says `words`, on a connection on which `first` was said before.

    `act` is done then. With `deliver` what was said, or answered, goes on its way afterwards; without, the connection
    is cut in its place.
    """

    words: bytes
    first: bytes | None = None
    moment: Moment = Moment.BEFORE
    act: Callable[[], Awaitable[None]] = nothing
    deliver: bool = False
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    """Caught something, and done with it."""

    async def spring(self) -> None:
        self.caught.set()
        try:
            await self.act()
        finally:  # also when the server has hung up meanwhile
            self.sprung.set()


@dataclass(frozen=True, slots=True)
class Weather:
    """`delay` seconds for every chunk each way. `half_open`: what is said vanishes, and nobody hangs up."""

    delay: float = 0.0
    half_open: bool = False
    refusing: bool = False


CLEAR = Weather()


class Proxy:
    """Listens on a port of its own; `upstream` says where the server is now."""

    def __init__(self, upstream: Callable[[], int]) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._weather = CLEAR
        self.traps: list[Trap] = []
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*(link.ended.wait() for link in self._links))

    @property
    def weather(self) -> Weather:
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        """Connections on which something vanished are cut when the half-open time is over, as a router does."""
        if self._weather.half_open and not weather.half_open:
            self.cut()
        self._weather = weather

    def cut(self) -> None:
        """Every connection, at once; new ones are taken unless the weather refuses them."""
        for link in list(self._links):
            link.cut()

    def set(self, trap: Trap) -> Trap:
        self.traps.append(trap)
        return trap

    def disarm(self) -> None:
        self.traps.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.refusing:
            writer.close()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._upstream())
        except OSError:
            writer.close()
            return
        link = _Link(self, (reader, writer), (server_reader, server_writer))
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self.number = next(_numbers)
        self.ended = asyncio.Event()
        self._proxy = proxy
        self._client, self._server = client, server
        self._said = b""
        self._prepared: set[Trap] = set()
        self._answering: Trap | None = None

    async def run(self) -> None:
        ways = [asyncio.create_task(self._to_server()), asyncio.create_task(self._to_client())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self.ended.set()

    def cut(self) -> None:
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def _to_server(self) -> None:
        reader, writer = self._client[0], self._server[1]
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                trap = self._sprung_by(chunk)
                if trap is not None and trap.moment is Moment.BEFORE:
                    await trap.spring()
                    if not trap.deliver:
                        return
                elif trap is not None:
                    self._answering = trap
                await self._pass_on(chunk, writer)

    async def _to_client(self) -> None:
        reader, writer = self._server[0], self._client[1]
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if (trap := self._answering) is not None:
                    self._answering = None
                    await trap.spring()
                    if not trap.deliver:
                        return
                await self._pass_on(chunk, writer)

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        if (delay := self._proxy.weather.delay) > 0:
            await asyncio.sleep(delay)
        if not self._proxy.weather.half_open:
            writer.write(chunk)
            await writer.drain()

    def _sprung_by(self, chunk: bytes) -> Trap | None:
        """Words may lie across two chunks."""
        text = self._said[-200:] + chunk
        self._said = text[-200:]
        for trap in self._proxy.traps:
            if trap.first is not None and trap not in self._prepared:
                if trap.first in text:
                    self._prepared.add(trap)
                    text = text.partition(trap.first)[2]
                else:
                    continue
            if trap.words in text:
                self._proxy.traps.remove(trap)
                self._said = b""
                return trap
        return None
