import socket

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


def test_a_preferred_port_is_taken_when_free() -> None:
    port = a_free_port()
    ports = Ports({"ingest": port}, {})
    assert ports.claim("ingest") == port
    ports.release_all()


def test_a_taken_port_gets_a_free_one() -> None:
    with listening() as other:
        taken = other.getsockname()[1]
        ports = Ports({"ingest": taken}, {})
        assert ports.claim("ingest") not in (0, taken)
        ports.release_all()


def test_without_a_usual_port_the_last_one_is_taken_again() -> None:
    port = a_free_port()
    ports = Ports({}, {"kafka": port})
    assert ports.claim("kafka") == port
    ports.release_all()


def test_nobody_else_gets_a_claimed_port_before_it_is_released() -> None:
    mine = Ports({}, {})
    port = mine.claim("ingest")
    theirs = Ports({"ingest": port}, {})
    assert theirs.claim("ingest") != port
    mine.release("ingest")
    with socket.socket() as service:
        service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        service.bind((LOOPBACK, port))
    theirs.release_all()


def test_two_names_never_share_a_port() -> None:
    port = a_free_port()
    ports = Ports({"a": port, "b": port}, {})
    assert ports.claim("a") != ports.claim("b")
    ports.release_all()


def test_a_port_that_was_not_claimed_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Ports({}, {})["kafka"]
