"""From the outbox to the topics and over HTTP, with a real Kafka and Postgres: changes in order, repeats identical."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import ASGITransport
from sqlalchemy.ext.asyncio import AsyncEngine
from topic_world import Found, changed_by_an_engine, records_of

from migrations.migrate import upgrade
from services.contracts.changes import ChangeType, CustomerUpdated, Profile, epoch_of
from services.contracts.topics import STAGE_CHANGES, STAGES
from services.http import answer_errors
from services.kafka import Record, Sender, ensure_topics
from services.postgres import create_engine, transaction
from services.settings import KafkaSettings, PostgresSettings
from stage_engine import publisher
from stage_engine.feed_api import feed_routes
from stage_engine.outbox import SLICES, forget_published, post, slice_of
from stage_engine.publisher import LOCK_SPACE, Publisher

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""


@pytest.fixture(scope="module")
def ground(start_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """Kafka and Postgres without an engine: the tests are the engines."""
    stack = start_stack("--only", "postgres,kafka", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


@dataclass
class World:
    engine: AsyncEngine
    kafka: KafkaSettings
    sender: Sender
    publishers: list[Publisher] = field(default_factory=list)

    def publisher(self, sender: Sender | None = None) -> Publisher:
        made = Publisher(self.engine, sender or self.sender)
        self.publishers.append(made)
        return made

    async def change(self, customer: UUID, times: int = 1, *, part_of: UUID | None = None) -> None:
        await changed_by_an_engine(self.engine, customer, times, part_of=part_of)

    async def records(self, topic: str, customer: UUID) -> list[Found]:
        return await records_of(self.kafka, topic, customer)

    async def sequences(self, customer: UUID) -> list[int]:
        return [r.said["sequence"] for r in await self.records(STAGE_CHANGES, customer)]

    async def standings(self, customer: UUID) -> list[int | None]:
        """The sequences of its snapshots, oldest first; None is a tombstone."""
        return [r.said and r.said["sequence"] for r in await self.records(STAGES, customer)]


@pytest.fixture(scope="module")
async def engine(ground: Stack) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(PostgresSettings(dsn=ground.endpoints["postgres"], pool_size=16), application="test")
    await upgrade(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def world(ground: Stack, engine: AsyncEngine) -> AsyncIterator[World]:
    kafka = KafkaSettings(bootstrap_servers=ground.endpoints["kafka"])
    await ensure_topics(kafka)
    sender = Sender(kafka, client_id="test")
    world = World(engine, kafka, sender)
    yield world
    for made in world.publishers:
        await made.close()
    await sender.stop()
    async with transaction(engine) as connection:
        await connection.execute(sa.text("TRUNCATE engine.outbox, engine.slices, engine.customers, engine.stream"))


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    answer_errors(app)
    app.include_router(feed_routes(world.engine))
    async with httpx.AsyncClient(transport=ASGITransport(app), base_url="http://engine") as client:
        yield client


async def lose_locks(engine: AsyncEngine, slices: Sequence[int]) -> None:
    """As when the process that holds them dies: its connection is gone, and with it its locks."""
    async with engine.connect() as connection:
        await connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM (SELECT DISTINCT pid FROM pg_locks WHERE locktype = "
                "'advisory' AND classid = :space AND objid = ANY(:slices) AND granted) AS holders"
            ),
            {"space": LOCK_SPACE, "slices": list(slices)},
        )


class GatedSender(Sender):
    """A real sender that waits at a gate before each send: a process that was stopped just there."""

    def __init__(self, kafka: KafkaSettings) -> None:
        super().__init__(kafka, client_id="gated")
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_after = -1

    async def send(self, records: Sequence[Record], **how: Any) -> None:  # noqa: ANN401  as its parent's
        self.reached.set()
        await self.gate.wait()
        await super().send(records, **how)
        self.close_after -= 1
        if self.close_after == 0:
            self.gate.clear()
            self.closed.set()


async def test_a_change_stands_on_both_topics_and_is_published_once(world: World) -> None:
    ann = uuid4()
    await world.change(ann, 3)
    mine = world.publisher()
    assert await mine.step()
    assert not await mine.step(), "nothing is left"
    assert await world.sequences(ann) == [1, 2, 3]
    assert await world.standings(ann) == [3], "one snapshot for all that a step publishes of a customer"
    (snapshot,) = await world.records(STAGES, ann)
    (first, *_) = await world.records(STAGE_CHANGES, ann)
    assert snapshot.partition == first.partition
    assert (dict(first.headers)["ce_streamepoch"], epoch_of(snapshot.headers)) == (b"1", 1)


async def test_a_snapshot_is_acknowledged_before_the_changes_it_reflects_are_sent(world: World) -> None:
    """Who notes where the changes end and then reads all snapshots must not miss what is between the two."""
    ann = uuid4()
    await world.change(ann)
    gated = GatedSender(world.kafka)
    gated.gate.set()
    gated.close_after = 1
    step = asyncio.create_task(world.publisher(gated).step())
    await asyncio.wait_for(gated.closed.wait(), 30)
    assert (await world.standings(ann), await world.sequences(ann)) == ([1], [])
    gated.gate.set()
    assert await step
    await gated.stop()
    assert await world.sequences(ann) == [1]


async def test_a_snapshot_that_is_ahead_is_not_written_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "AT_ONCE", 2)
    ann = uuid4()
    await world.change(ann, 5)
    mine = world.publisher()
    assert [await mine.step() for _ in range(4)] == [True, True, True, False]
    assert await world.sequences(ann) == [1, 2, 3, 4, 5]
    assert await world.standings(ann) == [5]
    await world.change(ann)
    await mine.step()
    assert await world.standings(ann) == [5, 6]


async def test_no_slice_has_two_publishers_and_a_dead_ones_are_taken_over_at_once(world: World) -> None:
    first, second = world.publisher(), world.publisher()
    await first.step()
    await second.step()
    assert (first.held, second.held) == (frozenset(range(SLICES)), frozenset())
    ann = uuid4()
    await world.change(ann)
    assert not await second.step()
    await lose_locks(world.engine, range(SLICES))
    assert await second.step()
    assert second.held == frozenset(range(SLICES))
    with pytest.raises(sa.exc.DBAPIError):
        await first.step()
    assert first.held == frozenset(), "it noticed, and begins again"
    assert not await first.step()
    assert first.held == frozenset()
    assert await world.sequences(ann) == [1]


async def test_one_that_is_closed_lets_its_slices_go(world: World) -> None:
    first, second = world.publisher(), world.publisher()
    await first.step()
    await first.close()
    await second.step()
    assert second.held == frozenset(range(SLICES))


async def test_slices_are_shared_with_one_that_comes_later(world: World) -> None:
    first, second = world.publisher(), world.publisher()
    await first.step()
    await lose_locks(world.engine, range(SLICES))
    async with world.engine.connect() as connection:
        await connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK_SPACE, 0)))
        await second.step()
        assert second.held == frozenset(range(1, SLICES))
        await connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK_SPACE, 0)))
    await second.step()
    assert second.held == frozenset(range(SLICES))


async def test_what_was_sent_and_not_marked_comes_again_byte_for_byte(world: World) -> None:
    class Dies(Publisher):
        async def _mark(self, sent: Sequence[Any]) -> None:  # noqa: ARG002  killed between the ack and the mark
            raise OSError("killed")

    ann = uuid4()
    await world.change(ann, 2)
    killed = Dies(world.engine, world.sender)
    with pytest.raises(OSError, match="killed"):
        await killed.step()
    await killed.close()
    await world.change(ann)
    assert await world.publisher().step()
    records = await world.records(STAGE_CHANGES, ann)
    said = [(r.key, r.value, r.headers) for r in records]
    assert said[:2] == said[2:4]
    assert await world.sequences(ann) == [1, 2, 1, 2, 3]


async def test_a_stopped_publishers_old_snapshot_is_put_right(world: World) -> None:
    ann = uuid4()
    await world.change(ann)
    gated = GatedSender(world.kafka)
    stopped, other = world.publisher(gated), world.publisher()
    step = asyncio.create_task(stopped.step())
    await asyncio.wait_for(gated.reached.wait(), 30)
    await lose_locks(world.engine, range(SLICES))
    await world.change(ann)
    assert await other.step()
    gated.gate.set()  # it goes on, believes that it holds its slices, and writes what it saw then
    assert await step
    await gated.stop()
    assert await world.standings(ann) == [2, 1]
    assert await other.step(), "there is something to say again"
    assert await world.standings(ann) == [2, 1, 2]
    assert list(dict.fromkeys(await world.sequences(ann))) == [1, 2], "first appearances are in order"
    assert not await other.step()


async def test_one_who_was_joined_into_another_leaves_a_tombstone(world: World) -> None:
    ann, other = uuid4(), uuid4()
    await world.change(ann)
    mine = world.publisher()
    await mine.step()
    await world.change(ann, part_of=other)
    await mine.step()
    assert await world.standings(ann) == [1, None]
    await world.change(ann)
    await mine.step()
    assert await world.standings(ann) == [1, None, 3], "one that is a customer again counts on"


async def test_published_changes_are_read_again_by_cursor(world: World, http: httpx.AsyncClient) -> None:
    customers = [uuid4() for _ in range(12)]
    for _ in range(3):
        for customer in customers:
            await world.change(customer)
    assert (await http.get("/v1/changes")).json()["changes"] == [], "not before they are published"
    await world.publisher().step()
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"more": True}
    while page["more"]:
        page = (await http.get("/v1/changes", params={"limit": 7} | ({"after": page["next"]} if found else {}))).json()
        found += page["changes"]
    assert len(found) == 36
    for customer in customers:
        assert [c["data"]["sequence"] for c in found if c["subject"] == str(customer)] == [1, 2, 3]
    assert {c["specversion"] for c in found} == {"1.0"}
    again = (await http.get("/v1/changes", params={"after": page["next"]})).json()
    assert (again["changes"], again["next"], again["more"]) == ([], page["next"], False)
    await world.change(customers[0])
    await world.publishers[0].step()
    (new,) = (await http.get("/v1/changes", params={"after": page["next"]})).json()["changes"]
    assert (new["subject"], new["data"]["sequence"]) == (str(customers[0]), 4)


async def test_changes_that_commit_late_are_not_passed_over(world: World, http: httpx.AsyncClient) -> None:
    """Ids are given out before commits: read by id, the slower of two transactions would be lost to its readers."""
    slow, fast = (UUID(int=(n << 64)) for n in (1, 2))
    assert slice_of(slow) == slice_of(fast)
    mine = world.publisher()
    async with transaction(world.engine) as connection:
        change = CustomerUpdated(storefront="shop", customer_id=slow, sequence=1, profile=Profile())
        await post(connection, [(ChangeType.CUSTOMER_UPDATED, change)])
        await world.change(fast)
        await mine.step()
        page = (await http.get("/v1/changes")).json()
    assert [c["subject"] for c in page["changes"]] == [str(fast)]
    await mine.step()
    (later,) = (await http.get("/v1/changes", params={"after": page["next"]})).json()["changes"]
    assert later["subject"] == str(slow)


async def test_one_customers_changes_are_read_again_by_sequence(world: World, http: httpx.AsyncClient) -> None:
    ann = uuid4()
    await world.change(ann, 5)
    page = (await http.get(f"/v1/customers/{ann}/changes", params={"after": 2, "limit": 2})).json()
    assert [c["data"]["sequence"] for c in page["changes"]] == [3, 4]
    assert (page["sequence"], page["epoch"], page["customer_id"]) == (5, 1, str(ann))
    assert (await http.get(f"/v1/customers/{ann}/changes", params={"after": 5})).json()["changes"] == []
    assert (await http.get(f"/v1/customers/{uuid4()}/changes")).status_code == 404


async def test_what_is_kept_no_longer_is_gone_and_the_answer_says_where_to_begin(
    world: World, http: httpx.AsyncClient
) -> None:
    ann, bob = uuid4(), uuid4()
    await world.change(ann, 3)
    start = (await http.get("/v1/changes")).json()["next"]
    mine = world.publisher()
    await mine.step()
    current = (await http.get("/v1/changes")).json()["next"]
    before = datetime.now(UTC)
    await world.change(bob)
    assert await forget_published(world.engine, before) == 3
    assert await forget_published(world.engine, datetime.now(UTC) + timedelta(days=1)) == 0, "bob's is unpublished"
    await mine.step()

    gone = await http.get(f"/v1/customers/{ann}/changes", params={"after": 1})
    assert (gone.status_code, gone.json()["code"]) == (410, "gone")
    assert (gone.json()["snapshot"]["sequence"], gone.json()["snapshot"]["customer_id"]) == (3, str(ann))
    assert (await http.get(f"/v1/customers/{ann}/changes", params={"after": 9})).status_code == 410, "never given out"
    assert (await http.get(f"/v1/customers/{ann}/changes", params={"after": 3})).status_code == 200

    gone = await http.get("/v1/changes", params={"after": start})
    assert (gone.status_code, gone.json()["snapshot"]) == (410, "/v1/standings")
    (kept,) = (await http.get("/v1/changes", params={"after": current})).json()["changes"]
    assert kept["subject"] == str(bob)
    assert (await http.get("/v1/changes", params={"after": "rubbish"})).status_code == 400


async def test_everyones_standing_comes_page_by_page_with_a_cursor_to_go_on_from(
    world: World, http: httpx.AsyncClient
) -> None:
    ann, bob, joined = sorted(uuid4() for _ in range(3))
    for customer in (ann, bob):
        await world.change(customer, 2)
    await world.change(joined, part_of=ann)
    mine = world.publisher()
    await mine.step()
    first = (await http.get("/v1/standings", params={"limit": 2})).json()
    assert [s["customer_id"] for s in first["standings"]] == [str(ann), str(bob)]
    await world.change(bob)
    await mine.step()
    rest = (await http.get("/v1/standings", params={"limit": 2, "after": first["next"]})).json()
    assert (rest["standings"], rest["next"]) == ([], None)
    (missed,) = (await http.get("/v1/changes", params={"after": first["changes_after"]})).json()["changes"]
    assert (missed["subject"], missed["data"]["sequence"]) == (str(bob), 3)
