import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.devstack.ports import LOOPBACK, Ports


def listening() -> socket.socket:
    found = socket.socket()
    found.bind((LOOPBACK, 0))
    found.listen()
    return found


def a_free_port() -> int:
    with listening() as found:
        port: int = found.getsockname()[1]
    return port


def test_a_preferred_port_is_taken_when_free(tmp_path: Path) -> None:
    port = a_free_port()
    ports = Ports({"ingest": port}, {}, tmp_path / "claims")
    assert ports.claim("ingest") == port
    ports.give_back()


def test_a_taken_port_gets_a_free_one(tmp_path: Path) -> None:
    with listening() as other:
        taken = other.getsockname()[1]
        ports = Ports({"ingest": taken}, {}, tmp_path / "claims")
        assert ports.claim("ingest") not in (0, taken)
        ports.give_back()


def test_without_a_usual_port_the_last_one_is_taken_again(tmp_path: Path) -> None:
    port = a_free_port()
    ports = Ports({}, {"kafka": port}, tmp_path / "claims")
    assert ports.claim("kafka") == port
    ports.give_back()


def test_nobody_else_gets_a_claimed_port_before_it_is_released(tmp_path: Path) -> None:
    mine = Ports({}, {}, tmp_path / "claims")
    port = mine.claim("ingest")
    theirs = Ports({"ingest": port}, {}, tmp_path / "claims")
    assert theirs.claim("ingest") != port
    mine.release("ingest")
    with socket.socket() as service:
        service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        service.bind((LOOPBACK, port))
    theirs.give_back()
    mine.give_back()


def test_another_stack_keeps_off_a_port_that_was_released_but_is_not_yet_listened_on(tmp_path: Path) -> None:
    mine = Ports({}, {}, tmp_path / "claims")
    port = mine.claim("ingest")
    mine.release("ingest")
    other = """
import pathlib, sys
from services.devstack.ports import Ports
print(Ports({"ingest": int(sys.argv[1])}, {}, pathlib.Path(sys.argv[2])).claim("ingest"))
"""
    claimed = subprocess.run(
        [sys.executable, "-c", other, str(port), str(tmp_path / "claims")], capture_output=True, text=True, check=True
    )
    assert int(claimed.stdout) not in (0, port)
    mine.give_back()


def test_two_names_never_share_a_port(tmp_path: Path) -> None:
    port = a_free_port()
    ports = Ports({"a": port, "b": port}, {}, tmp_path / "claims")
    assert ports.claim("a") != ports.claim("b")
    ports.give_back()


def test_a_port_that_was_not_claimed_is_a_mistake(tmp_path: Path) -> None:
    ports = Ports({}, {}, tmp_path / "claims")
    with pytest.raises(KeyError):
        assert ports["kafka"]
    ports.give_back()
