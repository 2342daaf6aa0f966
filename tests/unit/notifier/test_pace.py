"""Mail to one domain goes no faster than it should, and what waits is not in the way of others."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.pace import BURST, USUAL, Pace
from tests.unit.notifier.builders import NOON

SECOND = timedelta(seconds=1)


def sent(pace: Pace, domain: str, many: int) -> list[datetime]:
    """When each of so many, all due at noon, goes: asked again when it was told to, the longest due first."""
    waiting, gone = [NOON] * many, []
    while waiting:
        waiting.sort()
        due = waiting.pop(0)
        until = pace.wait(f"someone@{domain}", due)
        if until is None:
            gone.append(due)
        else:
            assert until > due
            waiting.append(until)
    return gone


@given(st.floats(0.5, 50), st.integers(1, 200))
def test_no_more_than_the_rate_goes_in_any_time(rate: float, many: int) -> None:
    gone = sent(Pace({"mail.example": rate}), "mail.example", many)
    assert len(gone) == many
    for first, start in enumerate(gone):
        for last in range(first, len(gone)):
            passed = gone[last] - start
            assert last - first + 1 <= (passed + BURST).total_seconds() * rate + 1.001


def test_they_are_through_about_as_soon_as_the_rate_allows_and_asked_few_times() -> None:
    pace, asked = Pace({"mail.example": 10}), 0
    waiting, last = [NOON] * 1000, NOON
    while waiting:
        waiting.sort()
        due = waiting.pop(0)
        asked += 1
        until = pace.wait("a@mail.example", due)
        if until is None:
            last = due
        else:
            waiting.append(until)
    assert 98 * SECOND < last - NOON < 110 * SECOND
    assert asked < 2200, "each waits in the line about once"


def test_other_domains_do_not_wait() -> None:
    pace = Pace({"slow.example": 1})
    while pace.wait("a@slow.example", NOON) is None:
        pass
    assert pace.wait("a@SLOW.example", NOON) is not None, "a domain is one however it is written"
    assert all(pace.wait(f"{n}@fast.example", NOON) is None for n in range(1000))


def test_the_large_providers_have_a_pace_without_a_word() -> None:
    assert {"gmail.com", "outlook.com", "yahoo.com", "gmx.de", "icloud.com"} <= set(USUAL)
    assert all(rate > 0 for rate in USUAL.values())
