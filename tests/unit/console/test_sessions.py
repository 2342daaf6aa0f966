"""Who is signed in, for how long, and how often one may guess."""

from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from console.sessions import CLIENTS_KEPT, TRIES, TRIES_WITHIN, Sessions, WrongTries


def test_a_session_holds_until_it_ends(sessions: Sessions, noon: datetime) -> None:
    token = sessions.issue(noon)
    assert sessions.holds(token, noon)
    assert sessions.holds(token, noon + timedelta(hours=12) - timedelta(seconds=1))
    assert not sessions.holds(token, noon + timedelta(hours=12))


def test_a_later_end_needs_another_signature(sessions: Sessions, noon: datetime) -> None:
    until, _, signature = sessions.issue(noon).partition(".")
    assert not sessions.holds(f"{int(until) + 1}.{signature}", noon)


def test_another_operator_key_ends_all_sessions(sessions: Sessions, noon: datetime) -> None:
    other = Sessions.under(SecretStr("another-operator-key"), timedelta(hours=12))
    assert not other.holds(sessions.issue(noon), noon)
    assert other.cookie != sessions.cookie


@pytest.mark.parametrize("token", ["", ".", "1.", ".x", "9999999999.0", "x.y", "٣.é", "1.2.3", "cookie."])
def test_what_is_no_session_is_none(sessions: Sessions, noon: datetime, token: str) -> None:
    assert not sessions.holds(token, noon)


def test_the_cookies_name_is_no_signature(sessions: Sessions, noon: datetime) -> None:
    """The name is signed like an end is; nobody may hand it in as a session of its own."""
    assert not sessions.holds(f"cookie.{sessions.cookie.rpartition('_')[2]}", noon)


def test_a_session_does_not_show_the_key(sessions: Sessions, noon: datetime, operator_key: str) -> None:
    assert operator_key not in sessions.issue(noon) + sessions.cookie + repr(sessions)


def test_after_so_many_wrong_keys_a_client_waits(noon: datetime) -> None:
    tries = WrongTries()
    for _ in range(TRIES):
        assert tries.wait("a", noon) == 0
        tries.add("a", noon)
    assert tries.wait("a", noon) == TRIES_WITHIN.total_seconds()
    assert tries.wait("b", noon) == 0
    assert tries.wait("a", noon + TRIES_WITHIN) == 0


def test_strangers_take_no_memory_without_end(noon: datetime) -> None:
    tries = WrongTries()
    for client in range(CLIENTS_KEPT + 50):
        tries.add(str(client), noon)
    assert len(tries._at) == CLIENTS_KEPT  # noqa: SLF001  what is held is the rule
