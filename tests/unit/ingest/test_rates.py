"""How fast events may come, on a clock that the tests turn."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingest.rates import Rate, Rates, Wait, Whose

START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
STOREFRONT = Rate(events=10, burst=100)
CLIENT = Rate(events=2, burst=20)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rates(clients_kept: int = 1000) -> Rates:
    return Rates(storefront=STOREFRONT, client=CLIENT, clients_kept=clients_kept)


def test_a_burst_goes_through_and_what_is_over_it_waits_for_its_second() -> None:
    some = rates()
    for _ in range(100):
        assert some.wait("shop", None, START) is None
        some.spend("shop", None, 1, START)
    assert some.wait("shop", None, START) == Wait(Whose.STOREFRONT, STOREFRONT, 1)
    assert some.wait("shop", None, after(1)) is None


def test_a_batch_larger_than_what_is_left_goes_through_and_is_made_up_for() -> None:
    some = rates()
    some.spend("shop", None, 99, START)
    assert some.wait("shop", None, START) is None
    some.spend("shop", None, 50, START)
    assert some.wait("shop", None, START) == Wait(Whose.STOREFRONT, STOREFRONT, 5)
    assert some.wait("shop", None, after(4.8)) == Wait(Whose.STOREFRONT, STOREFRONT, 1)
    assert some.wait("shop", None, after(5.1)) is None


def test_nobody_waits_longer_than_a_burst_takes_to_fill() -> None:
    some = rates()
    some.spend("shop", None, 1_000_000, START)
    assert some.wait("shop", None, START) == Wait(Whose.STOREFRONT, STOREFRONT, 11)


def test_one_storefront_s_burst_leaves_the_others_alone() -> None:
    some = rates()
    some.spend("noisy", None, 10_000, START)
    assert some.wait("noisy", None, START) is not None
    assert some.wait("quiet", None, START) is None


def test_one_client_s_burst_leaves_its_storefront_and_its_other_clients_alone() -> None:
    some = rates()
    some.spend("shop", "203.0.113.9", 25, START)
    assert some.wait("shop", "203.0.113.9", START) == Wait(Whose.CLIENT, CLIENT, 3)
    assert some.wait("shop", "203.0.113.10", START) is None
    assert some.wait("shop", None, START) is None
    assert some.wait("other", "203.0.113.9", START) is None


def test_a_clock_that_is_set_back_fills_nothing_and_takes_nothing() -> None:
    some = rates()
    some.spend("shop", None, 105, after(100))
    assert some.wait("shop", None, START) == Wait(Whose.STOREFRONT, STOREFRONT, 1)


def test_clients_that_are_many_take_no_more_memory_and_forget_only_who_was_silent_for_longest() -> None:
    some = rates(clients_kept=3)
    for client in "abcd":
        some.spend("shop", client, 21, START)
    assert [client for client in "abcd" if some.wait("shop", client, START)] == ["b", "c", "d"]


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 60)), max_size=60))
def test_over_any_time_no_more_comes_through_than_the_burst_the_rate_and_one_batch(
    calls: list[tuple[float, int]],
) -> None:
    some, passed = rates(), list[tuple[float, int]]()
    for second, events in sorted(calls):
        if some.wait("shop", None, after(second)) is None:
            some.spend("shop", None, events, after(second))
            passed.append((second, events))
    for first in range(len(passed)):
        since = passed[first][0]
        for last in range(first, len(passed)):
            most = STOREFRONT.burst + STOREFRONT.events * (passed[last][0] - since)
            before = sum(events for _, events in passed[first:last])
            assert before <= most + 1e-6


@given(st.integers(1, 500))
def test_who_comes_again_when_told_to_goes_through(events: int) -> None:
    some = rates()
    some.spend("shop", None, events, START)
    wait = some.wait("shop", None, START)
    seconds = 0 if wait is None else wait.seconds
    assert some.wait("shop", None, after(seconds)) is None
