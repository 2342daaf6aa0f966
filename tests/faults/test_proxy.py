"""The proxy does to a conversation what it was told, at the moment it was told, and else nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from faults_proxy import CLEAR, LOOPBACK, Moment, Proxy, Trap, Weather


@dataclass
class Echo:
    """A server that says what it hears, and remembers it."""

    proxy: Proxy
    heard: list[bytes] = field(default_factory=list)
    talks: list["Talk"] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while said := await reader.read(1000):
                self.heard.append(said)
                writer.write(said)
        writer.close()

    async def connect(self) -> "Talk":
        self.talks.append(Talk(*await asyncio.open_connection(LOOPBACK, self.proxy.port)))
        return self.talks[-1]


@dataclass
class Talk:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, words: bytes) -> bytes | None:
        """The answer; None when the connection ends in its place."""
        self.writer.write(words)
        try:
            async with asyncio.timeout(10):
                return await self.reader.read(1000) or None
        except ConnectionError:
            return None


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    port = 0
    made = Echo(Proxy(lambda: port))
    server = await asyncio.start_server(made.serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    await made.proxy.start()
    yield made
    for talk in made.talks:
        talk.writer.close()
    await made.proxy.close()
    server.close()
    await server.wait_closed()


async def test_in_clear_weather_all_passes(echo: Echo) -> None:
    talk = await echo.connect()
    assert await talk.say(b"one") == b"one"
    assert await talk.say(b"two") == b"two"


async def test_a_trap_before_keeps_the_words_from_the_server(echo: Echo) -> None:
    talk = await echo.connect()
    trap = echo.proxy.set(Trap(words=b"COMMIT"))
    assert await talk.say(b"COMMIT;") is None
    assert trap.sprung.is_set()
    assert echo.heard == []


async def test_a_trap_after_keeps_the_answer_from_the_client(echo: Echo) -> None:
    talk = await echo.connect()
    echo.proxy.set(Trap(words=b"COMMIT", moment=Moment.AFTER))
    assert await talk.say(b"COMMIT;") is None
    assert echo.heard == [b"COMMIT;"]


async def test_a_trap_that_delivers_acts_and_lets_pass(echo: Echo) -> None:
    heard_when_it_sprang: list[list[bytes]] = []

    async def act() -> None:
        heard_when_it_sprang.append(list(echo.heard))

    for moment in Moment:
        echo.proxy.set(Trap(words=b"go", moment=moment, act=act, deliver=True))
    talk = await echo.connect()
    assert await talk.say(b"go") == b"go"
    assert await talk.say(b"go") == b"go"
    assert heard_when_it_sprang == [[], [b"go", b"go"]]


async def test_a_trap_waits_for_what_comes_first_on_the_same_connection(echo: Echo) -> None:
    echo.proxy.set(Trap(first=b"INSERT", words=b"COMMIT"))
    other, talk = await echo.connect(), await echo.connect()
    assert await talk.say(b"COMMIT") == b"COMMIT"
    assert await talk.say(b"INSERT") == b"INSERT"
    assert await other.say(b"COMMIT") == b"COMMIT"
    assert await talk.say(b"COMMIT") is None


async def test_a_trap_springs_once_and_also_on_words_in_two_pieces(echo: Echo) -> None:
    echo.proxy.set(Trap(words=b"COMMIT"))
    talk = await echo.connect()
    assert await talk.say(b"COM") == b"COM"
    assert await talk.say(b"MIT") is None
    assert await (await echo.connect()).say(b"COMMIT") == b"COMMIT"


async def test_on_a_half_open_way_all_vanishes_and_its_end_cuts_it(echo: Echo) -> None:
    talk = await echo.connect()
    assert await talk.say(b"one") == b"one"
    echo.proxy.weather = Weather(half_open=True)
    answer = asyncio.create_task(talk.say(b"two"))
    done, _ = await asyncio.wait({answer}, timeout=0.2)
    assert not done
    echo.proxy.weather = CLEAR
    assert await answer is None
    assert echo.heard == [b"one"]


async def test_a_slow_way_delays_each_way(echo: Echo) -> None:
    talk = await echo.connect()
    echo.proxy.weather = Weather(delay=0.1)
    began = asyncio.get_running_loop().time()
    assert await talk.say(b"one") == b"one"
    assert asyncio.get_running_loop().time() - began > 0.19


async def test_a_cut_ends_what_is_open_and_refusing_takes_nothing_new(echo: Echo) -> None:
    talk = await echo.connect()
    assert await talk.say(b"one") == b"one"
    echo.proxy.weather = Weather(refusing=True)
    echo.proxy.cut()
    assert await talk.say(b"two") is None
    assert await (await echo.connect()).say(b"three") is None


async def test_a_trap_is_done_with_also_when_the_server_hangs_up_while_it_acts(echo: Echo) -> None:
    async def hang_up() -> None:
        echo.proxy.cut()
        await asyncio.Event().wait()

    trap = echo.proxy.set(Trap(words=b"COMMIT", act=hang_up, deliver=True))
    assert await (await echo.connect()).say(b"COMMIT") is None
    async with asyncio.timeout(10):
        await trap.sprung.wait()
