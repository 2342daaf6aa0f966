"""The faults, each a function that does one harm to a world and returns when it is done. Numbers are faults.md's."""

import asyncio
import functools
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from faults_evidence import Expected
from faults_proxy import Moment, Trap, Weather
from faults_traffic import FERN, POISON, Call, Clients, buyers_with_a_past, carts, guests_who_log_in
from faults_watching import Topics, settle, unread
from faults_world import Engine, World

from services.commands import EXIT_NEEDS_A_PERSON
from services.contracts.topics import EVENTS, TOPICS

BATCH: Final = b"INSERT INTO engine.events"
COMMIT: Final = b"COMMIT;"
MARK: Final = b"UPDATE engine.outbox SET "
ENGINES: Final = 2
PATIENCE: Final = 20.0
"""Seconds to wait for a moment to come. When traffic is thin it may not: then the fault is as good as none."""


@dataclass(eq=False)
class Harm:
    """What a fault works on, and what it has to say."""

    world: World
    clients: Clients
    topics: Topics
    rng: random.Random
    run: str
    say: Callable[[str], None]
    expected: list[Expected] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What a fault itself saw that ought not to be."""

    @property
    def engine(self) -> Engine:
        return self.rng.choice(self.world.engines)

    async def spring(self, trap_for: Callable[[Engine], Trap]) -> Engine | None:
        """Lays a trap before every engine's Postgres, waits until one springs, and takes the others away."""
        traps = {engine: engine.postgres.set(trap_for(engine)) for engine in self.world.engines}
        waiting = {asyncio.create_task(trap.caught.wait()): engine for engine, trap in traps.items()}
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for task, engine in waiting.items():
            task.cancel()
            engine.postgres.disarm()
        if not done:
            self.say("        its moment did not come")
        caught = next((waiting[task] for task in done), None)
        if caught is not None:
            await traps[caught].sprung.wait()
        return caught


async def ingest_killed_mid_batch(harm: Harm) -> None:
    """1: kill -9 of ingest when a batch is about to reach the broker, and when its acknowledgement is on its way."""

    async def kill() -> None:
        harm.world.signal("ingest", signal.SIGKILL)

    for moment in Moment:
        batch = f"{harm.run}-1-{moment.name.lower()}"
        calls = [
            Call(FERN, "server", {"id": f"{batch}-{n}", "name": "Product Viewed", "user_id": f"{batch}-{n % 3}"})
            for n in range(6)
        ]
        trap = harm.world.kafka.set(Trap(words=batch.encode(), moment=moment, act=kill))
        sending = asyncio.create_task(harm.clients.send(calls))
        try:
            async with asyncio.timeout(PATIENCE):
                await trap.sprung.wait()
        except TimeoutError:
            harm.say("        its moment did not come")
            harm.world.kafka.disarm()
        await sending


async def killed_before_its_commit(harm: Harm) -> None:
    """2: kill -9 of an engine whose batch is done but for the commit."""
    await harm.spring(lambda engine: Trap(first=BATCH, words=COMMIT, act=engine.kill))


async def killed_after_its_commit(harm: Harm) -> None:
    """2: kill -9 of an engine that has committed and does not know it."""
    await harm.spring(lambda engine: Trap(first=BATCH, words=COMMIT, moment=Moment.AFTER, act=engine.kill))


async def killed_between_publish_and_mark(harm: Harm) -> None:
    """3: kill -9 of an engine whose changes are on the topic and not marked."""
    await harm.spring(lambda engine: Trap(words=MARK, act=engine.kill))


async def broker_killed(harm: Harm) -> None:
    """5: kill -9 of the broker, up to three times."""
    for _ in range(harm.rng.randrange(1, 4)):
        before = harm.world.pid("kafka")
        harm.world.signal("kafka", signal.SIGKILL)
        await harm.world.eventually(lambda before=before: harm.world.pid("kafka") != before, within=30)
        await asyncio.sleep(harm.rng.uniform(1, 6))


async def broker_stopped(harm: Harm) -> None:
    """6: SIGSTOP of the broker for 15 s."""
    harm.world.signal("kafka", signal.SIGSTOP)
    await asyncio.sleep(15)
    harm.world.signal("kafka", signal.SIGCONT)


async def broker_stopped_for_a_minute(harm: Harm) -> None:
    """6: SIGSTOP of the broker for 60 s: no client of ingest may notice."""
    harm.world.signal("kafka", signal.SIGSTOP)
    await asyncio.sleep(60)
    harm.world.signal("kafka", signal.SIGCONT)


async def broker_slow_then_half_open(harm: Harm) -> None:
    """7: a slow way to the broker, then one on which everything vanishes, then a cut."""
    harm.world.kafka.weather = Weather(delay=0.3)
    await asyncio.sleep(5)
    harm.world.kafka.weather = Weather(half_open=True)
    await asyncio.sleep(harm.rng.uniform(5, 12))
    harm.world.kafka.weather = Weather()


async def postgres_restarted(harm: Harm) -> None:
    """8: an immediate restart of Postgres in the middle of a transaction."""

    async def quit_() -> None:
        harm.world.signal("postgres", signal.SIGQUIT)

    await harm.spring(lambda _: Trap(words=BATCH, act=quit_, deliver=True))


async def backends_terminated(harm: Harm) -> None:
    """9: every connection of a service is terminated, twice."""
    for _ in range(2):
        await harm.world.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'stagepost-%'"
        )
        await asyncio.sleep(harm.rng.uniform(0.2, 2))


async def commit_reply_dropped(harm: Harm) -> None:
    """10: the commit happened, and the connection is gone before its answer."""
    await harm.spring(lambda _: Trap(first=BATCH, words=COMMIT, moment=Moment.AFTER))


async def stopped_inside_a_transaction(harm: Harm) -> None:
    """11: SIGSTOP of an engine that holds locks, another takes over, SIGCONT."""
    engine = await harm.spring(lambda e: Trap(words=BATCH, moment=Moment.AFTER, act=e.stop, deliver=True))
    if engine is not None:
        await asyncio.sleep(harm.rng.uniform(12, 18))  # Kafka's session time-out is 10 s: another reads meanwhile
        engine.signal(signal.SIGCONT)


async def stopped_at_its_commit(harm: Harm) -> None:
    """11: the same, with the commit already said: it is heard when another has long taken over."""
    held = harm.rng.uniform(1, 14)

    async def stop_and_hold(engine: Engine) -> None:
        await engine.stop()
        await asyncio.sleep(held)

    engine = await harm.spring(
        lambda e: Trap(first=BATCH, words=COMMIT, act=functools.partial(stop_and_hold, e), deliver=True)
    )
    if engine is not None:
        await asyncio.sleep(harm.rng.uniform(0, 12))
        engine.signal(signal.SIGCONT)


async def engines_come_and_go(harm: Harm) -> None:
    """12: an engine is added and another killed for good, every five seconds."""
    for _ in range(harm.rng.randrange(2, 4)):
        await harm.world.add_engine()
        await asyncio.sleep(5)
        await harm.world.remove_engine(harm.engine)


async def loop_blocked(harm: Harm) -> None:
    """13: an engine does nothing for 20 s, past its session's time, and goes on with what it had fetched."""
    engine = harm.engine
    await asyncio.sleep(harm.rng.uniform(0, 1))
    engine.signal(signal.SIGSTOP)
    await asyncio.sleep(20)
    engine.signal(signal.SIGCONT)


async def postgres_down_during_assignment(harm: Harm) -> None:
    """14: an engine joins, so partitions are assigned anew, just when Postgres is away."""
    engine = await harm.world.add_engine()
    async with asyncio.timeout(60):
        await asyncio.sleep(harm.rng.uniform(0.5, 2.5))
    harm.world.signal("postgres", signal.SIGQUIT)
    await asyncio.sleep(3)
    await harm.world.remove_engine(engine)


async def poison(harm: Harm) -> None:
    """18: records that nobody can read, straight on the topic."""
    producer = AIOKafkaProducer(bootstrap_servers=harm.world.endpoints["kafka"])
    try:
        async with asyncio.timeout(60):
            await producer.start()
            for value in harm.rng.sample(POISON, len(POISON)):
                await producer.send_and_wait(EVENTS, value, key=str(harm.rng.random()).encode())
    except (KafkaError, TimeoutError):
        harm.say("   not all of it could be sent")
    finally:
        await producer.stop()


async def replayed_from_the_beginning(harm: Harm) -> None:
    """20: the stored offsets are set back to the topic's beginning under the engines' hands."""
    await harm.world.sql("UPDATE engine.offsets SET next_offset = 0 WHERE topic = $1", EVENTS)


async def topic_made_anew(harm: Harm) -> None:
    """21: the topic is deleted and made again, so its offsets are lower: engines stop, loudly, and skip nothing.

    Carts fall due meanwhile, with their orders on the new topic. What docs/operations.md asks of a person is then done.
    """
    world, topics = harm.world, harm.topics
    if left := await settle(world, topics, within=60):
        harm.wrong.append(f"before the topic was made anew: {'; '.join(left)}")
        return
    added, ordered, expected = carts(f"{harm.run}-21", 3)
    harm.expected += expected
    await harm.clients.send(added)
    while await unread(world, topics):  # noqa: ASYNC110  other processes read
        await asyncio.sleep(0.1)
    await topics.read()
    admin = AIOKafkaAdminClient(bootstrap_servers=world.endpoints["kafka"])
    await admin.start()
    try:
        await admin.delete_topics([EVENTS])
        topic = next(topic for topic in TOPICS if topic.name == EVENTS)
        new = NewTopic(name=EVENTS, num_partitions=topic.partitions, replication_factor=1, topic_configs=topic.config)
        while not _created(await admin.create_topics([new])):  # noqa: ASYNC110  the broker is still deleting it
            await asyncio.sleep(0.2)
    finally:
        await admin.close()
    await harm.clients.send(ordered)
    renamed = f"{EVENTS} before {harm.run}"
    topics.made_anew(EVENTS, renamed)
    stopped = await world.eventually(
        lambda: all(e.exits and e.exits[-1] == EXIT_NEEDS_A_PERSON for e in world.engines), within=60
    )
    if not stopped:
        harm.wrong.append("the topic holds less than was read of it, and an engine goes on: " + world.engines[0].said)
    for engine in list(world.engines):
        await world.remove_engine(engine)
    await world.sql("UPDATE engine.dead_letters SET topic = $2 WHERE topic = $1", EVENTS, renamed)
    await world.sql("DELETE FROM engine.offsets WHERE topic = $1", EVENTS)


def _created(answer: object) -> bool:
    return all(error[1] == 0 for error in answer.topic_errors)  # type: ignore[attr-defined]  aiokafka


async def stopped_past_due_times(harm: Harm) -> None:
    """22: no engine runs while carts fall due; the orders that end them wait on the topic."""
    added, ordered, expected = carts(f"{harm.run}-22", 3)
    harm.expected += expected
    await harm.clients.send(added)
    await asyncio.sleep(harm.rng.uniform(0, 1.5))
    for engine in harm.world.engines:
        engine.wanted = False
        engine.signal(signal.SIGKILL)
    await harm.clients.send(ordered)
    await asyncio.sleep(7)
    for engine in list(harm.world.engines):
        await harm.world.remove_engine(engine)


async def crowded_logins(harm: Harm) -> None:
    """30: devices log in crosswise, so that two engines want the same customers in opposite order."""
    run, rng = f"{harm.run}-30", harm.rng
    who = [(f"{run}-user-{rng.randrange(4)}", f"{run}-device-{rng.randrange(6)}") for _ in range(60)]
    made = [
        {"id": f"{run}-{n}", "name": rng.choice(["Customer Identified", "Product Viewed"]), **names}
        for n, (user, device) in enumerate(who)
        for names in [
            rng.choice([{"user_id": user, "anonymous_id": device}, {"anonymous_id": device}, {"user_id": user}])
        ]
    ]
    calls = [Call(FERN, "server", event) for event in made]
    await harm.clients.send_all([calls[n : n + 3] for n in range(0, len(calls), 3)], pause=0.02)


async def orders_in_the_spool(harm: Harm) -> None:
    """31: carts, then the broker is away, their orders are accepted, the carts fall due, the broker is back."""
    added, ordered, expected = carts(f"{harm.run}-31", 3)
    harm.expected += expected
    await harm.clients.send(added)
    harm.world.kafka.weather = Weather(refusing=True)
    harm.world.kafka.cut()
    await harm.clients.send(ordered)
    await asyncio.sleep(7)
    harm.world.kafka.weather = Weather()


async def guests_log_in(harm: Harm) -> None:
    """33: guests leave carts and log in, before the mail, at its time, or after it."""
    stories, expected = guests_who_log_in(harm.rng, f"{harm.run}-33", 4)
    harm.expected += expected

    async def live(story: list[Call]) -> None:
        for call in story:
            await harm.clients.send([call])
            await asyncio.sleep(harm.rng.uniform(0, 14))

    await asyncio.gather(*(live(story) for story in stories))


async def orders_of_before(harm: Harm) -> None:
    """34: an order, its thank-you, and the news of an earlier order."""
    stories, expected = buyers_with_a_past(f"{harm.run}-34", 3)
    harm.expected += expected

    async def live(story: list[Call]) -> None:
        for call in story:
            await harm.clients.send([call])
            await asyncio.sleep(harm.rng.uniform(0, 8))

    await asyncio.gather(*(live(story) for story in stories))


Fault = Callable[[Harm], Awaitable[None]]

FAULTS: Final[dict[str, Fault]] = {
    "1": ingest_killed_mid_batch,
    "2a": killed_before_its_commit,
    "2b": killed_after_its_commit,
    "3": killed_between_publish_and_mark,
    "5": broker_killed,
    "6a": broker_stopped,
    "6b": broker_stopped_for_a_minute,
    "7": broker_slow_then_half_open,
    "8": postgres_restarted,
    "9": backends_terminated,
    "10": commit_reply_dropped,
    "11a": stopped_inside_a_transaction,
    "11b": stopped_at_its_commit,
    "12": engines_come_and_go,
    "13": loop_blocked,
    "14": postgres_down_during_assignment,
    "18": poison,
    "20": replayed_from_the_beginning,
    "22": stopped_past_due_times,
    "30": crowded_logins,
    "31": orders_in_the_spool,
    "33": guests_log_in,
    "34": orders_of_before,
}
"""By number. 15, 16 and 17 are in all traffic."""
AT_THE_END: Final[dict[str, Fault]] = {"21": topic_made_anew}
"""Alone, when a round's traffic is done."""
