"""Calls and the drain without Kafka: nobody listens on its port. With one, tests/integration/test_spool.py."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.breaker import Closed, Closing, Open
from ingest.drain import Drainer
from ingest.progress import InFlight
from ingest.publish import Publisher
from ingest.settings import PublishSettings, SpoolSettings
from ingest.spool import Spool
from ingest.switch import Switch
from services.contracts.topics import MAX_REQUEST_BYTES
from services.errors import TooLarge, Unavailable
from services.kafka import Record, Sender
from services.settings import KafkaSettings


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=seconds)


def record(number: int) -> Record:
    return Record(topic="t", key=b"k", value=b"%d" % number)


@dataclass
class Made:
    spool: Spool
    switch: Switch
    in_flight: InFlight
    publisher: Publisher
    drainer: Drainer
    now: datetime

    async def values(self) -> list[bytes | None]:
        return [one.value for one in (await self.spool.first(100)).records]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    spool, switch = Spool(tmp_path / "spool.sqlite", SpoolSettings(max_bytes=1000)), Switch(Closed())
    in_flight = InFlight(lambda: spool.oldest)
    sender = Sender(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test")
    settings = PublishSettings(ack_deadline=timedelta(seconds=0.5))
    publisher = Publisher(sender, settings, in_flight, spool, switch)
    made = Made(spool, switch, in_flight, publisher, Drainer(spool, sender, switch, lambda: made.now), at(0))
    yield made
    await spool.close()


async def test_what_kafka_does_not_take_is_spooled_and_holds_what_is_settled_at_its_receipt(made: Made) -> None:
    await made.publisher.publish([record(1), record(2)], at(1))
    assert await made.values() == [b"1", b"2"]
    assert (len(made.in_flight), made.in_flight.settled(at(9))) == (0, at(1))
    assert made.in_flight.owes


async def test_after_the_first_that_was_spooled_all_are_laid_behind_it_at_once(made: Made) -> None:
    for number in range(5):
        await made.publisher.publish([record(number)], at(number))
    assert await made.values() == [b"%d" % number for number in range(5)]
    assert isinstance(made.switch.breaker, Open)
    assert made.in_flight.settled(at(9)) == at(0)


async def test_a_full_spool_is_said_and_nothing_of_it_stays_in_flight(made: Made) -> None:
    with pytest.raises(Unavailable) as refused:
        await made.publisher.publish([Record(topic="t", key=None, value=b"x" * 2000)], at(1))
    assert (refused.value.status, refused.value.code) == (503, "spool_full")
    assert int(refused.value.headers["Retry-After"]) > 0
    assert made.in_flight.settled(at(9)) == at(9)


async def test_what_no_topic_takes_is_not_spooled(made: Made) -> None:
    with pytest.raises(TooLarge):
        await made.publisher.publish([Record(topic="t", key=None, value=b"x" * MAX_REQUEST_BYTES)], at(1))
    assert (made.spool.left, made.in_flight.owes) == (0, False)


async def test_a_disk_that_hangs_is_answered_in_time_and_what_it_takes_later_is_in_flight_until_then(
    made: Made,
) -> None:
    goes_on = threading.Event()
    hanging = asyncio.create_task(made.spool._run(goes_on.wait))  # noqa: SLF001  as a disk holds up its thread
    made.switch.move(Open(1, at(0)))
    with pytest.raises(Unavailable):
        await made.publisher.publish([record(1)], at(1))
    assert made.in_flight.settled(at(9)) == at(1)
    goes_on.set()
    await hanging
    await made.in_flight.none_left()
    assert (await made.values(), made.in_flight.settled(at(9))) == ([b"1"], at(1))


async def test_calls_wait_for_the_last_of_the_spool_and_are_spooled_if_that_fails(made: Made) -> None:
    made.switch.move(Closing())
    call = asyncio.create_task(made.publisher.publish([record(1)], at(1)))
    await asyncio.sleep(0)
    assert not call.done()
    assert made.in_flight.settled(at(9)) == at(1)
    made.switch.move(Open(1, at(2)))
    await call
    assert await made.values() == [b"1"]


async def test_a_drain_that_fails_rests_and_loses_nothing(made: Made) -> None:
    await made.publisher.publish([record(1)], at(0))
    made.now = at(1)
    assert not await made.drainer.step()
    assert isinstance(breaker := made.switch.breaker, Open)
    assert (breaker.failures, breaker.probe_at > at(1)) == (2, True)
    assert not await made.drainer.step()  # it rests: nothing is tried
    assert made.switch.breaker == breaker
    assert await made.values() == [b"1"]


async def test_an_empty_spool_lets_the_next_call_be_the_probe(made: Made) -> None:
    made.switch.move(Open(1, at(0)))
    made.now = at(1)
    await made.drainer.step()
    assert made.switch.breaker == Closed()
