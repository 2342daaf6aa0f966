"""Posting to a real HTTP server: every way in which that can end, and every way in which it must not go inside."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace as replace_dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import trustme
from aiohttp import web
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import reads
from notifier.channels.webhook import OFF_PAUSE, GuardedResolver, Inside, WebhookChannel
from notifier.claimed import Claimed
from notifier.followups import WEBHOOK, Left, Step
from notifier.in_force import Terms
from notifier.marking import Mark
from notifier.outcomes import WEBHOOK_PAUSES, Dead, Delivered, Outcome, RetryAt, Unknown
from notifier.queue import Queue
from notifier.render import Renderer
from notifier.status import Status
from notifier.worker import Worker
from services.contracts.changes import Subject
from services.contracts.reasons import Reason
from services.contracts.storefront import Endpoint
from services.errors import NotFound
from services.shop import Shop
from tests.integration.far_sides import Sink, answers, sink, takes
from tests.integration.notifier_sending import LEASE, LINKS, SHOP, World, drained
from tests.integration.notifier_world import Clock
from tests.unit.notifier.builders import ABANDONED_CART, NOON, STOREFRONT, THANK_YOU, send_to, transition, uid

ABANDONED = transition("abandoned")
Writer = Callable[[asyncio.StreamWriter], Any]


@pytest.fixture
async def server(own_database: AsyncEngine) -> AsyncIterator[Sink]:
    async with sink(own_database) as one:
        yield one


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def posted(server: Sink, clock: Clock, *, attempt: int = 1, url: str | None = None, **changes: Any) -> Outcome:  # noqa: ANN401  any setting
    channel = server.channel(clock, **changes)
    parcel = server.parcel(id=uuid4(), attempt=attempt)
    if url is not None:
        endpoints = {**parcel.storefront.endpoints, "hook": Endpoint(url=url)}
        parcel = server.parcel(id=uuid4(), attempt=attempt, storefront=replace(STOREFRONT, endpoints=endpoints))
    try:
        (connection,) = await channel.open(1)
        return await connection.deliver(parcel, clock.now)
    finally:
        await channel.close()


async def test_it_comes_signed_as_json_and_says_who_we_are(server: Sink, clock: Clock) -> None:
    assert isinstance(await posted(server, clock), Delivered)
    ((path, headers, said),) = server.requests  # the server has verified it with the library
    assert (path, said) == ("/hook", {"said": "Grüße"})
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("Stagepost")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(server: Sink, clock: Clock, status: int) -> None:
    server.answer = answers(status, Location=server.url("/elsewhere"))
    assert isinstance(await posted(server, clock), RetryAt)
    assert [path for path, _, _ in server.requests] == ["/hook"]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_what_fails_is_tried_ten_times_over_three_days(server: Sink, clock: Clock, status: int) -> None:
    server.answer = answers(status)
    for attempt, pause in enumerate(WEBHOOK_PAUSES, 1):
        outcome = await posted(server, clock, attempt=attempt)
        assert isinstance(outcome, RetryAt)
        assert pause * 0.75 <= outcome.at - clock.now <= pause * 1.25
    assert isinstance(await posted(server, clock, attempt=10), Dead)


async def test_retry_after_is_honoured(server: Sink, clock: Clock) -> None:
    server.answer = answers(429, **{"Retry-After": "3600"})
    outcome = await posted(server, clock)
    assert isinstance(outcome, RetryAt)
    assert outcome.at == clock.now + timedelta(hours=1)


async def test_gone_disables_the_endpoint_until_an_operator_enables_it(server: Sink, clock: Clock) -> None:
    server.answer = answers(410)
    assert isinstance(await posted(server, clock), Dead)
    server.answer = takes
    waiting = await posted(server, clock)
    assert isinstance(waiting, RetryAt)
    assert not waiting.counted
    assert waiting.at == clock.now + OFF_PAUSE
    assert len(server.requests) == 1, "nobody asks there any more"
    (disabled,) = (await server.switches.disabled()).endpoints
    assert (disabled.endpoint, disabled.why, disabled.since) == ("main-shop/hook", "410 Gone", clock.now)
    await server.switches.turn_on("main-shop", "hook", clock.now)
    assert isinstance(await posted(server, clock), Delivered)
    with pytest.raises(NotFound):
        await server.switches.turn_on("main-shop", "hook", clock.now)


async def test_one_that_hangs_may_have_it_and_gets_it_again(server: Sink, clock: Clock) -> None:
    server.answer = server.hang
    outcome = await posted(server, clock)
    assert isinstance(outcome, Unknown)
    assert outcome.again is not None
    assert outcome.again > clock.now
    last = await posted(server, clock, attempt=10)
    assert isinstance(last, Unknown)
    assert last.again is None


async def test_an_endless_answer_is_cut_and_its_first_line_counts(server: Sink, clock: Clock) -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while not server.stopping.is_set():
            await response.write(b"x" * 65_536)
            written += 65_536
        return response

    server.answer = endless
    started = asyncio.get_running_loop().time()
    assert isinstance(await posted(server, clock, timeout=timedelta(seconds=10)), Delivered)
    assert asyncio.get_running_loop().time() - started < 5
    assert written < 16 * 2**20


@asynccontextmanager
async def raw(write: Writer) -> AsyncIterator[str]:
    """A server that reads a request and then writes whatever it likes, as long as it can."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await write(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    finally:
        listening.close()


def over_and_over(said: bytes, first: bytes = b"") -> Writer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(said)
            await writer.drain()

    return write


def once(said: bytes) -> Writer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    return write


@pytest.mark.parametrize(
    "write",
    [
        over_and_over(b"HTTP/1.1 100 Continue\r\n\r\n"),
        over_and_over(b"x-header: value\r\n", first=b"HTTP/1.1 200 OK\r\n"),
        over_and_over(b"x", first=b"HTTP/1.1 200 "),
        over_and_over(b"x"),
        once(b""),
        once(b"HTTP/1.1 2"),
        once(b"SSH-2.0-OpenSSH\r\n"),
    ],
    ids=["endless 1xx", "endless headers", "endless line", "endless noise", "hangs up", "half a line", "no HTTP"],
)
async def test_what_is_no_answer_ends_in_time_and_may_have_arrived(server: Sink, clock: Clock, write: Writer) -> None:
    async with raw(write) as url, asyncio.timeout(5):
        outcome = await posted(server, clock, url=url)
    assert isinstance(outcome, Unknown)
    assert outcome.again is not None
    assert len(outcome.why) < 1000


async def test_nobody_at_the_port_has_not_got_it(server: Sink, clock: Clock) -> None:
    await server.go_away()
    outcome = await posted(server, clock)
    assert isinstance(outcome, RetryAt)
    assert outcome.counted


async def test_without_a_secret_nothing_leaves_and_it_waits_for_one(server: Sink, clock: Clock) -> None:
    outcome = await posted(server, clock, secrets={})
    assert isinstance(outcome, RetryAt)
    assert "STAGEPOST_WEBHOOKS__SECRETS" in outcome.why
    assert server.requests == []


async def test_a_certificate_that_nobody_trusts_gets_nothing(server: Sink, clock: Clock) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    outcome = await posted(server, clock, url=f"https://127.0.0.1:{port}/")
    listening.close()
    assert isinstance(outcome, RetryAt)
    assert heard == []


async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(server: Sink, clock: Clock) -> None:
    """Of this machine only ::1 is allowed, so `localhost` may be declared, and leads to 127.0.0.1 as well."""
    url = f"http://localhost:{server.port}/hook"
    outcome = await posted(server, clock, url=url, allow_private=(ip_network("::1"),))
    assert isinstance(outcome, Dead)
    assert "no address of the internet" in outcome.why
    assert server.requests == []


async def test_a_name_leads_nowhere_when_any_of_its_addresses_is_inside() -> None:
    allowing = GuardedResolver((ip_network("127.0.0.0/8"), ip_network("::1")))
    assert await allowing.resolve("localhost", 80)
    with pytest.raises(Inside):
        await GuardedResolver(()).resolve("localhost", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_no_connection_to_the_inside_stands_however_it_is_asked_for(
    server: Sink, clock: Clock, host: str
) -> None:
    channel: WebhookChannel = server.channel(clock, allow_private=())
    (connection,) = await channel.open(1)
    with pytest.raises(aiohttp.ClientConnectorError) as refused:
        await connection.session.post(f"http://{host}:{server.port}/")
    assert isinstance(refused.value.os_error, Inside)
    await channel.close()
    assert server.requests == []


# From a change to a webhook: the worker, with all that it has to keep

RETARGET = replace_dataclass(
    ABANDONED_CART, steps=(Step(number=1, after=timedelta(), channels=(WEBHOOK,), endpoint="hook"),)
)


@pytest.fixture
def world(world: World) -> World:
    world.follow_ups = {RETARGET.name: RETARGET}
    return world


def worker(world: World, server: Sink, **changes: Any) -> Worker:  # noqa: ANN401  any setting
    terms = Terms(
        shop=Shop(directory=SHOP.directory, storefronts={"main-shop": server.parcel().storefront}),
        follow_ups=world.follow_ups,
        renderer=Renderer(SHOP.directory),
        since=NOON,
    )
    queue = Queue(world.engine, sending_lease=LEASE)
    world.channels.append(server.channel(world.clock, **changes))
    return Worker(queue, WEBHOOK, world.channels[-1], lambda: terms, LINKS, world.clock)


async def test_an_abandoned_cart_is_posted_once_and_says_what_it_is_about(world: World, server: Sink) -> None:
    await world.know()
    await world.move(ABANDONED, subject=Subject(items=[{"product_id": "mug", "quantity": 2}], value="37.00"))
    posting = worker(world, server)
    await drained(posting)
    await world.pass_by(timedelta(hours=1))
    await drained(posting)
    assert await world.rows() == [(Status.SENT, None)]
    ((_, _, said),) = server.requests
    assert (said["data"]["follow_up"], said["data"]["stage"]) == ("abandoned-cart", "abandoned")
    assert said["data"]["customer_id"] == str(uid("ada"))
    assert said["data"]["subject"]["value"] == "37.00"
    assert "ada@mail.example" not in str(said), "the endpoint is told no address"
    (message,) = (await reads.latest(world.engine, None, 10)).messages
    assert (message.channel, message.address) == ("webhook", "hook")


async def test_it_is_tried_again_under_the_same_id_until_an_order_ends_it(world: World, server: Sink) -> None:
    await world.know()
    await world.move(ABANDONED)
    server.answer = answers(500)
    posting = worker(world, server)
    for _ in range(3):
        await drained(posting)
        await world.pass_by(timedelta(hours=1))
    assert await world.rows() == [(Status.RETRY, None)]
    assert len(server.requests) == 3
    assert len({headers["webhook-id"] for _, headers, _ in server.requests}) == 1
    await world.move(transition("ordered", cause="order", minutes=200))
    server.answer = takes
    await drained(posting)
    assert await world.rows() == [(Status.CANCELLED, None)]
    assert len(server.requests) == 3


async def test_one_that_hung_gets_it_again_and_the_row_says_that_it_may_have_it_twice(
    world: World, server: Sink
) -> None:
    await world.know()
    await world.move(ABANDONED)
    server.answer = server.hang
    posting = worker(world, server)
    await drained(posting)
    server.answer = takes
    await world.pass_by(timedelta(minutes=1))
    await drained(posting)
    (message,) = (await reads.latest(world.engine, None, 10)).messages
    assert (message.status, message.maybe_twice) == (Status.SENT, True)
    assert len(server.took) == 2
    assert len(set(server.took)) == 1


async def test_one_whose_notifier_died_is_posted_again(world: World, server: Sink) -> None:
    await world.know()
    await world.move(ABANDONED)
    died = Queue(world.engine, sending_lease=LEASE)
    (claimed,) = await died.claim(10, WEBHOOK, world.clock.now)
    await died.mark_sending([mark(claimed)], world.clock.now)
    await world.pass_by(LEASE * 2)
    posting = worker(world, server)
    await drained(posting)
    await world.pass_by(timedelta(minutes=1))
    await drained(posting)
    assert await world.rows() == [(Status.SENT, None)]


async def test_what_waits_for_a_disabled_endpoint_goes_when_it_is_enabled(world: World, server: Sink) -> None:
    await world.know()
    await world.move(ABANDONED)
    await server.switches.turn_off("main-shop/hook", "410 Gone", world.clock.now)
    posting = worker(world, server)
    await drained(posting)
    assert await world.rows() == [(Status.RETRY, None)]
    assert server.requests == []
    await server.switches.turn_on("main-shop", "hook", world.clock.now)
    await drained(posting)
    assert await world.rows() == [(Status.SENT, None)]


async def test_an_endpoint_that_is_gone_from_the_files_gets_nothing(world: World, server: Sink) -> None:
    elsewhere = replace_dataclass(RETARGET.steps[0], endpoint="elsewhere")
    world.follow_ups = {RETARGET.name: replace_dataclass(RETARGET, steps=(elsewhere,))}
    await world.know()
    await world.move(ABANDONED)
    await drained(worker(world, server))
    assert await world.rows() == [(Status.WITHHELD, Reason.NOT_CONFIGURED)]
    assert server.requests == []


async def test_what_no_file_names_any_more_ends_also_while_an_endpoint_hangs(world: World, server: Sink) -> None:
    gone = replace_dataclass(RETARGET, name="gone")
    world.follow_ups = {RETARGET.name: RETARGET, gone.name: gone}
    await world.know()
    await world.move(ABANDONED)
    del world.follow_ups[gone.name]
    server.answer = server.hang
    await drained(worker(world, server))
    assert set(await world.rows()) == {(Status.RETRY, None), (Status.WITHHELD, Reason.NOT_CONFIGURED)}


async def test_an_endpoint_that_hangs_holds_up_no_other_and_is_given_no_more_than_its_bound(
    world: World, server: Sink
) -> None:
    """Twenty of each are due, and those of the one that hangs come first."""
    slow = replace_dataclass(RETARGET, name="slow", steps=(replace_dataclass(RETARGET.steps[0], endpoint="slow"),))
    other = replace_dataclass(RETARGET, name="other", stage="left", until=Left(stage="left"))
    world.follow_ups = {slow.name: slow, other.name: other}
    for number in range(20):
        await world.know(customer=f"slow-{number}")
        await world.move(transition("abandoned", cause=f"s{number}", instance=f"s{number}"), f"slow-{number}")
        await world.know(customer=f"other-{number}")
        move = transition("left", cause=f"o{number}", instance=f"o{number}", minutes=1)
        await world.move(move, f"other-{number}")
    await world.pass_by(timedelta(minutes=2))
    held: list[str] = []
    most, all_others = 0, asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal most
        if request.path == "/slow":
            held.append(request.headers["webhook-id"])
            most = max(most, len(held))
            await server.stopping.wait()
            held.remove(request.headers["webhook-id"])
        elif sum(path == "/hook" for path, _, _ in server.requests) == 20:
            all_others.set()
        return web.Response()

    server.answer = answer
    posting = worker(world, server, timeout=timedelta(seconds=60), connections=3)
    sending = asyncio.create_task(drained(posting))
    async with asyncio.timeout(30):
        await all_others.wait()
    assert not sending.done()
    assert len(held) == 3, "all of them are still waiting for their first answer"
    server.stopping.set()
    await sending
    assert most == 3
    found = (await reads.latest(world.engine, None, 50)).messages
    assert len(found) == 40
    assert {(one.status, one.attempts) for one in found} == {(Status.SENT, 1)}, "waiting for room is no attempt"


async def test_a_notifier_that_stops_waits_for_what_it_is_posting(world: World, server: Sink) -> None:
    await world.know()
    await world.move(ABANDONED)
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await goes_on.wait()
        return web.Response()

    server.answer = answer
    posting = worker(world, server, timeout=timedelta(seconds=60))
    assert await posting.step()
    await arrived.wait()
    finishing = asyncio.create_task(posting.finish())
    goes_on.set()
    await finishing
    assert await world.rows() == [(Status.SENT, None)]


async def test_a_sink_that_hangs_holds_up_no_mail(world: World, server: Sink) -> None:
    world.follow_ups = {**world.follow_ups, THANK_YOU.name: THANK_YOU}
    await world.know()
    await world.move(ABANDONED)
    await world.move(transition("placed", track="order", instance="order-1", cause="o1"))
    server.answer = server.hang
    posting = asyncio.create_task(drained(worker(world, server)))
    await drained(world.worker())
    assert len(world.server.taken) == 1
    assert not posting.done(), "the other is still waiting for its answer"
    await posting


def mark(claimed: Claimed) -> Mark:
    send = replace_dataclass(send_to("ada@mail.example"), address="hook", channel=WEBHOOK)
    return Mark(claimed=claimed, send=send, marketing=True, priority=0)
