"""What looks meant for an hour, and what is paused."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifier.blast import most_an_hour
from tests.unit.notifier.builders import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
counts = st.lists(st.integers(0, 10_000), max_size=14)


def days(*busiest: int) -> dict[datetime, int]:
    return {NOON - n * DAY: count for n, count in enumerate(busiest, 1)}


def test_of_what_is_new_the_floor_may_go() -> None:
    assert most_an_hour({}, times=5, floor=500) == 500


def test_usual_is_the_busiest_hour_of_a_day() -> None:
    hours = {NOON - DAY: 300, NOON - DAY + HOUR: 10, NOON - DAY + 2 * HOUR: 0}
    assert most_an_hour(hours, times=5, floor=500) == 1500


def test_one_blast_that_was_let_go_on_does_not_make_the_next_usual() -> None:
    assert most_an_hour(days(200, 200, 90_000), times=5, floor=500) == 1000


def test_days_without_any_don_t_count() -> None:
    assert most_an_hour(days(200, 0, 0, 0, 200), times=5, floor=500) == 1000


@given(counts, st.integers(1, 10), st.integers(1, 1000))
def test_more_is_never_paused_for_having_sent_more(held: list[int], times: int, floor: int) -> None:
    less = most_an_hour(days(*held), times=times, floor=floor)
    more = most_an_hour(days(*(2 * count for count in held)), times=times, floor=floor)
    assert floor <= less <= more
