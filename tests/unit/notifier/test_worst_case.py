"""The most that a customer could get in a week: never less than what they can get."""

from dataclasses import replace
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier.followups import FollowUp, OncePer, Step
from notifier.limits import WEEK
from notifier.worst_case import worst_week
from services.contracts.storefront import Cap, Redirect
from tests.unit.notifier.builders import ABANDONED_CART, STOREFRONT, THANK_YOU

DAY = timedelta(days=1)
UNCAPPED = msgspec.structs.replace(STOREFRONT, caps={"email": Cap(day=None, week=None)})


def series(*days: float, name: str = "series", cool_down: timedelta | None = 30 * DAY, **more: object) -> FollowUp:
    steps = tuple(Step(number=n, after=day * DAY, template="t") for n, day in enumerate(days, 1))
    once = OncePer.CUSTOMER if cool_down else OncePer.CAUSE
    return replace(ABANDONED_CART, name=name, steps=steps, once_per=once, cool_down=cool_down, **more)  # type: ignore[arg-type]


def said(*follow_ups: FollowUp, storefront: object = UNCAPPED) -> list[str]:
    return [str(worst) for worst in worst_week(follow_ups, storefront)]  # type: ignore[arg-type]


def test_what_is_sent_for_each_cart_only_the_cap_bounds() -> None:
    assert said(ABANDONED_CART, THANK_YOU, storefront=STOREFRONT) == [
        "email, marketing: 3 by the cap (abandoned-cart 1 for each cart)",
        "email, transactional: no bound (thank-you 1 for each order)",
    ]
    assert said(ABANDONED_CART) == ["email, marketing: no bound (abandoned-cart 1 for each cart)"]


def test_a_day_s_cap_bounds_a_week_too() -> None:
    daily = msgspec.structs.replace(STOREFRONT, caps={"email": Cap(day=2, week=None)})
    assert said(ABANDONED_CART, storefront=daily) == [
        "email, marketing: 14 by the cap (abandoned-cart 1 for each cart)"
    ]


def test_of_a_series_so_many_count_as_fall_into_one_week() -> None:
    assert said(series(0, 1, 7, 13, 30)) == ["email, marketing: 2 (series 2)"]
    assert said(series(0, 1, 6.9, 13)) == ["email, marketing: 3 (series 3)"]


def test_a_cool_down_under_a_week_lets_it_begin_again() -> None:
    assert said(series(0, cool_down=WEEK)) == ["email, marketing: 1 (series 1)"]
    assert said(series(0, cool_down=3 * DAY)) == ["email, marketing: 3 (series 3)"]


def test_what_begins_with_every_event_is_of_each() -> None:
    assert said(series(0, cool_down=None, stage="at_risk")) == [
        "email, marketing: no bound (series 1 for each coming to at_risk)"
    ]


def test_what_goes_to_nobody_or_to_the_shop_counts_for_nothing() -> None:
    assert said(series(0, delivery="shadow"), series(0, name="b", delivery=Redirect(redirect="a@b.example"))) == []


@given(
    days=st.lists(st.floats(0, 20), min_size=1, max_size=6).map(sorted),
    cool_down=st.floats(0.5, 10),
    begins=st.lists(st.floats(0, 40), max_size=20).map(sorted),
)
def test_no_week_holds_more_than_was_said(days: list[float], cool_down: float, begins: list[float]) -> None:
    """Whoever starts it whenever they like gets what the cool-down lets through."""
    (worst,) = worst_week([series(*days, cool_down=cool_down * DAY)], UNCAPPED)
    sent: list[tuple[timedelta, int]] = []
    for at, occasion in sorted((begin * DAY + day * DAY, n) for n, begin in enumerate(begins) for day in days):
        if all(other == occasion or before <= at - cool_down * DAY for before, other in sent):
            sent.append((at, occasion))
    most = max((sum(start <= at < start + WEEK for at, _ in sent) for start, _ in sent), default=0)
    assert worst.most is not None
    assert most <= worst.most
