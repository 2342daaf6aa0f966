"""Quiet hours: by the customer's clock, and never shorter than they are written, whatever is done to the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.quiet import quiet_until, zone_of
from services.contracts.changes import Profile
from services.contracts.storefront import QuietHours, Sender, Storefront

NIGHT = QuietHours(from_="21:00", to="08:00")
SHOP = Storefront(
    name="Fern",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Fern", email="hello@shop.example"),
)
BERLIN, SYDNEY = "Europe/Berlin", "Australia/Sydney"


def at(zone: str, text: str, *, fold: int = 0) -> datetime:
    """What the wall clock shows there, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize("zone", [BERLIN, SYDNEY])
def test_a_night_ends_in_the_morning_that_follows(zone: str) -> None:
    for now in ("2026-06-10T21:00", "2026-06-10T23:59", "2026-06-11T00:00", "2026-06-11T07:59"):
        assert quiet_until(NIGHT, zone, at(zone, now)) == at(zone, "2026-06-11T08:00")
    for now in ("2026-06-10T20:59", "2026-06-11T08:00", "2026-06-11T12:00"):
        assert quiet_until(NIGHT, zone, at(zone, now)) is None


def test_an_afternoon_can_be_quiet_too() -> None:
    siesta = QuietHours(from_="13:00", to="15:30")
    assert quiet_until(siesta, BERLIN, at(BERLIN, "2026-06-10T14:00")) == at(BERLIN, "2026-06-10T15:30")
    assert quiet_until(siesta, BERLIN, at(BERLIN, "2026-06-10T15:30")) is None


@pytest.mark.parametrize(
    ("zone", "evening", "morning", "hours"),
    [
        (BERLIN, "2026-03-28T21:00", "2026-03-29T08:00", 10),
        (BERLIN, "2026-10-24T21:00", "2026-10-25T08:00", 12),
        (SYDNEY, "2026-10-03T21:00", "2026-10-04T08:00", 10),
        (SYDNEY, "2026-04-04T21:00", "2026-04-05T08:00", 12),
    ],
)
def test_the_morning_comes_by_the_clock_when_the_clocks_are_changed(
    zone: str, evening: str, morning: str, hours: int
) -> None:
    begins = at(zone, evening)
    until = quiet_until(NIGHT, zone, begins)
    assert until == at(zone, morning)
    assert until - begins == timedelta(hours=hours)


def test_of_a_time_that_comes_twice_quiet_begins_with_the_first_and_ends_with_the_last() -> None:
    """In Berlin the clock goes from 3:00 back to 2:00."""
    ends_twice = QuietHours(from_="21:00", to="02:30")
    assert quiet_until(ends_twice, BERLIN, at(BERLIN, "2026-10-25T02:45")) == at(BERLIN, "2026-10-25T02:30", fold=1)
    begins_twice = QuietHours(from_="02:30", to="08:00")
    assert quiet_until(begins_twice, BERLIN, at(BERLIN, "2026-10-25T02:10", fold=1)) == at(BERLIN, "2026-10-25T08:00")


def test_a_time_that_is_skipped_lies_after_the_gap_as_an_end_and_before_it_as_a_beginning() -> None:
    """In Berlin the clock goes from 2:00 to 3:00."""
    assert quiet_until(QuietHours(from_="21:00", to="02:30"), BERLIN, at(BERLIN, "2026-03-29T01:00")) == at(
        BERLIN, "2026-03-29T03:30"
    )
    assert quiet_until(QuietHours(from_="02:30", to="08:00"), BERLIN, at(BERLIN, "2026-03-29T01:45")) == at(
        BERLIN, "2026-03-29T08:00"
    )


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))


@given(
    begin=TIMES,
    end=TIMES,
    zone=st.sampled_from([BERLIN, SYDNEY, "America/St_Johns", "Asia/Kathmandu", "UTC"]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001  hypothesis wants them bare
)
def test_who_waits_for_the_end_is_not_told_to_wait_again_and_nobody_is_let_through_at_a_quiet_hour(
    begin: str, end: str, zone: str, now: datetime
) -> None:
    moment, quiet = now.replace(tzinfo=UTC), QuietHours(from_=begin, to=end)
    until = quiet_until(quiet, zone, moment)
    shown = f"{moment.astimezone(ZoneInfo(zone)):%H:%M}"
    inside = begin <= shown < end if begin < end else shown >= begin or shown < end
    if until is None:
        assert not inside
    else:
        assert moment < until <= moment + timedelta(hours=26)
        later = quiet_until(quiet, zone, until)
        assert later is None or begin == end


@pytest.mark.parametrize(
    ("said", "zone"),
    [("Asia/Tokyo", "Asia/Tokyo"), ("Middle/Earth", BERLIN), ("../../etc/passwd", BERLIN), ("", BERLIN), (7, BERLIN)],
)
def test_the_zone_is_the_customers_where_there_is_one_of_that_name(said: object, zone: str) -> None:
    assert zone_of(Profile(traits={"timezone": said}), SHOP) == zone


def test_what_only_a_web_page_said_moves_no_night() -> None:
    assert zone_of(Profile(claims={"timezone": "Asia/Tokyo"}), SHOP) == BERLIN
