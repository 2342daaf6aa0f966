"""What counts as settled, who has which lasting id."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.lasting import adopted, owing
from ingest.progress import InFlight
from services.contracts.progress import IngestId, Settled, decode_settled, encode_settled, ingest_of, key_of
from services.errors import ConfigurationError
from services.kafka import Record, RecordTooLarge, Sender, SendFailed
from services.settings import KafkaSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_with_nothing_in_flight_all_up_to_now_is_settled() -> None:
    assert InFlight().settled(at(5)) == at(5)


def test_what_is_in_flight_holds_it_at_the_earliest_receipt() -> None:
    in_flight = InFlight()
    end_first = in_flight.begin(at(1))
    end_second = in_flight.begin(at(2))
    assert in_flight.settled(at(5)) == at(1)
    end_first()
    assert in_flight.settled(at(6)) == at(2)
    end_second()
    assert in_flight.settled(at(7)) == at(7)


def test_two_that_came_at_the_same_time_both_have_to_end() -> None:
    in_flight = InFlight()
    end_first, end_second = in_flight.begin(at(1)), in_flight.begin(at(1))
    end_second()
    assert in_flight.settled(at(5)) == at(1)
    end_first()
    assert in_flight.settled(at(5)) == at(5)


async def test_leaving_waits_for_the_last_one() -> None:
    in_flight = InFlight()
    await in_flight.none_left()
    ends = [in_flight.begin(at(number)) for number in range(3)]
    leaving = asyncio.create_task(in_flight.none_left())
    for end in ends:
        await asyncio.sleep(0)
        assert not leaving.done()
        end()
    await leaving


@pytest.mark.parametrize(("size", "failure"), [(10, SendFailed), (2_000_000, RecordTooLarge)])
async def test_a_send_that_came_to_nothing_has_ended_when_it_raises(size: int, failure: type[Exception]) -> None:
    """Nobody listens on this port, so nothing can come to be on a topic later."""
    in_flight = InFlight()
    sender = Sender(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test")
    record = Record(topic="t", key=None, value=b"x" * size)
    with pytest.raises(failure):
        await sender.send([record], deadline=timedelta(seconds=5), ended=in_flight.begin(at(1)))
    assert in_flight.settled(at(5)) == at(5)


def test_a_report_is_read_as_it_was_written() -> None:
    assert decode_settled(encode_settled(Settled(settled=at(1.5)))).settled == at(1.5)
    assert ingest_of(key_of(IngestId("a-b"))) == "a-b"


def test_an_id_lasts(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    with adopted(folder) as first:
        pass
    with adopted(folder) as second:
        assert first == second


def test_an_id_that_owes_something_is_adopted_first(tmp_path: Path) -> None:
    with ExitStack() as processes:
        held = sorted((processes.enter_context(adopted(tmp_path)) for _ in range(3)), key=lambda one: one.ingest)
    held[2].spool.touch()
    with adopted(tmp_path) as own:
        assert own == held[2]
        assert owing(tmp_path) == owing(own.folder) == [own.folder]


def test_processes_that_share_a_folder_never_share_an_id(tmp_path: Path) -> None:
    with ExitStack() as processes:
        ids = [processes.enter_context(adopted(tmp_path)) for _ in range(3)]
        assert len({held.ingest for held in ids}) == 3
    with adopted(tmp_path) as again, adopted(tmp_path) as other:
        assert {again, other} < set(ids)


def test_an_id_is_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    holding = (
        "import sys, time; from pathlib import Path; from ingest.lasting import adopted\n"
        "with adopted(Path(sys.argv[1])) as own: print(own.ingest, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as other:
        assert other.stdout is not None
        its = other.stdout.readline().strip()
        with adopted(tmp_path) as mine:
            assert mine.ingest != its
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with adopted(tmp_path) as first, adopted(tmp_path) as second:
        assert {first.ingest, second.ingest} == {mine.ingest, its}


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with adopted(tmp_path) as own:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([own.ingest, "note.txt"])
        assert stat.S_IMODE(own.folder.stat().st_mode) == 0o700


def test_a_folder_that_can_not_be_used_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="STAGEPOST_STATE_FOLDER"), adopted(file):
        pass
