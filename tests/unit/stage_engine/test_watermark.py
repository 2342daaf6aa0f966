"""Which ingests count, how long silence is, and when a time is reached: the watermark on a virtual clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.contracts.progress import IngestId
from stage_engine.progress import Ingests, Report, Target

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
PATIENCE = 15 * MINUTE
A, B, C = IngestId("a"), IngestId("b"), IngestId("c")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass
class Listener:
    """An engine that listens once a second, on a clock of its own that began some time ago."""

    clock: timedelta = timedelta(hours=7)
    ingests: Ingests = field(default_factory=lambda: Ingests(patience=PATIENCE))

    def hears(self, **said: datetime | None) -> "Listener":
        reports = [Report(IngestId(name), settled) for name, settled in said.items()]
        self.ingests = self.ingests.heard(reports, self.clock)
        return self

    def listens(self, time: timedelta, **said: datetime) -> "Listener":
        """Once a second for so long; those named repeat what they say every time."""
        for _ in range(int(time / SECOND)):
            self.clock += SECOND
            self.hears(**said)
        return self

    def is_away(self, time: timedelta) -> "Listener":
        self.clock += time
        return self

    @property
    def settled(self) -> datetime | None:
        return self.ingests.settled


def test_of_several_ingests_the_least_settled_counts() -> None:
    engine = Listener().hears(a=at(9), b=at(3), c=at(7))
    assert engine.settled == at(3)
    assert engine.hears(b=at(10)).settled == at(7)


def test_before_anybody_reports_nothing_is_settled() -> None:
    assert Listener().settled is None
    assert Listener().hears().settled is None


def test_only_the_last_report_of_an_ingest_counts_also_when_it_says_less() -> None:
    assert Listener().hears(a=at(5)).hears(a=at(4)).settled == at(4)


def test_one_that_comes_newly_counts_from_its_first_report() -> None:
    engine = Listener().hears(a=at(60))
    assert engine.hears(b=at(20)).settled == at(20)


def test_one_that_leaves_holds_nothing_back() -> None:
    engine = Listener().hears(a=at(60), b=at(3))
    assert engine.hears(b=None).settled == at(60)
    assert B not in engine.ingests.known


def test_one_that_left_and_is_back_counts_again() -> None:
    engine = Listener().hears(a=at(60), b=at(3)).hears(b=None).hears(b=at(50))
    assert engine.settled == at(50)


def test_when_the_last_one_leaves_nothing_is_settled() -> None:
    assert Listener().hears(a=at(60)).hears(a=None).settled is None


def test_a_tombstone_of_one_never_heard_of_is_nothing() -> None:
    assert Listener().hears(c=None).settled is None


def test_one_that_is_silent_holds_the_watermark_and_is_then_passed_over() -> None:
    engine = Listener().hears(a=at(0), b=at(0))
    engine.listens(PATIENCE - SECOND, a=at(60))
    assert (engine.settled, engine.ingests.silent) == (at(0), frozenset())
    engine.listens(SECOND, a=at(60))
    assert (engine.settled, engine.ingests.silent) == (at(60), {B})


def test_one_that_was_passed_over_counts_again_as_soon_as_it_speaks() -> None:
    engine = Listener().hears(a=at(0), b=at(0)).listens(PATIENCE, a=at(60))
    assert engine.settled == at(60)
    engine.hears(b=at(5))
    assert (engine.settled, engine.ingests.silent) == (at(5), frozenset())


def test_one_that_repeats_the_same_time_is_not_silent() -> None:
    """It has something in flight, perhaps for long: that is just what must hold the watermark."""
    engine = Listener().hears(a=at(0), b=at(0)).listens(2 * PATIENCE, a=at(60), b=at(1))
    assert (engine.settled, engine.ingests.silent) == (at(1), frozenset())


def test_when_all_are_silent_nothing_is_settled() -> None:
    engine = Listener().hears(a=at(0), b=at(0)).listens(PATIENCE)
    assert (engine.settled, engine.ingests.silent) == (None, {A, B})


def test_an_engine_that_was_stopped_takes_its_own_silence_for_nobody_elses() -> None:
    engine = Listener().hears(a=at(0), b=at(0)).is_away(3 * PATIENCE).hears(a=at(60))
    assert (engine.settled, engine.ingests.silent) == (at(0), frozenset())
    engine.listens(PATIENCE, a=at(60))
    assert engine.ingests.silent == {B}


def test_time_in_which_kafka_could_not_be_asked_is_no_silence() -> None:
    """Many short spells of listening with long ones of not reaching Kafka between them."""
    engine = Listener().hears(a=at(0))
    for _ in range(10):
        engine.listens(MINUTE).is_away(PATIENCE).hears()
    assert engine.settled == at(0)
    assert engine.ingests.known[A].silent_for == 10 * MINUTE


def test_an_engine_that_starts_gives_everyone_their_whole_time() -> None:
    """What it reads from the topic's beginning may be days old; how long its ingest is silent it can't know."""
    engine = Listener().hears(a=at(0)).listens(PATIENCE - SECOND)
    assert engine.settled == at(0)


def test_what_the_engines_clock_says_changes_no_settled_time() -> None:
    early, late = Listener(clock=timedelta()), Listener(clock=timedelta(days=9000))
    for engine in (early, late):
        engine.hears(a=at(5), b=at(6)).listens(MINUTE, a=at(7))
    assert early.settled == late.settled == at(6)


def stored(**offsets: int) -> Mapping[str, int]:
    return offsets


def test_a_target_counts_when_every_partition_has_reached_its_end() -> None:
    target = Target(at(0), {"p0": 10, "p1": 4})
    assert not target.reached(stored(p0=10, p1=3))
    assert not target.reached(stored(p0=9, p1=400))
    assert target.reached(stored(p0=10, p1=4))
    assert target.reached(stored(p0=11, p1=5))


def test_a_partition_that_was_never_read_is_reached_only_when_it_is_empty() -> None:
    assert Target(at(0), {"p0": 10, "p1": 0}).reached(stored(p0=10))
    assert not Target(at(0), {"p0": 10, "p1": 1}).reached(stored(p0=10))


def test_several_engines_that_read_some_partitions_each_reach_one_target_together() -> None:
    """The offsets are in one table: an engine's own partitions are not what it looks at."""
    target = Target(at(0), {"p0": 10, "p1": 4, "p2": 7})
    mine, theirs = stored(p0=10), stored(p1=4, p2=7)
    assert not target.reached(mine)
    assert not target.reached({**mine, "p1": 4, "p2": 6})
    assert target.reached({**mine, **theirs})
