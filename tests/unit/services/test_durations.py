"""Durations as people write them, and what can be reckoned with all of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.durations import LONGEST, parse_duration, spoken


@given(st.lists(st.tuples(st.integers(0, 10**7), st.sampled_from("wdhms")), min_size=1, max_size=3))
def test_what_is_taken_can_be_added_to_and_taken_from_any_date_of_ours(parts: list[tuple[int, str]]) -> None:
    try:
        found = parse_duration("".join(f"{count}{unit}" for count, unit in parts))
    except ValueError:
        return
    for year in (1970, 2500):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        assert moment + found >= moment >= moment - found
    assert parse_duration(spoken(found)) == found


def test_what_is_meant_for_ever_is_refused_with_the_most_that_can_be_written() -> None:
    assert parse_duration(f"{LONGEST.days}d") == LONGEST > timedelta(days=36_500)
    for text in (f"{LONGEST.days}d1s", "999999d", "9" * 5_000 + "d"):
        with pytest.raises(ValueError, match="too long a time; write at most 36525d"):
            parse_duration(text)
