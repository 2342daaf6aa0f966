"""Caps and cool-downs: nobody gets more than is allowed, however messages come together."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.limits import DAY, UNLIMITED, WEEK, Given, Limits, Wish, cap_of, cooling, granted, room, room_at
from services.contracts.storefront import Cap
from tests.unit.notifier.builders import NOON, uid
from tests.unit.notifier.test_guard import SHOP

ONE_A_DAY = Cap(day=1, week=3)


def limits(
    *, follow_up: str = "f", occasion: str = "o", cap: Cap = ONE_A_DAY, cool_down: timedelta | None = None
) -> Limits:
    return Limits(follow_up=follow_up, occasion=uid(occasion), channel="email", cap=cap, cool_down=cool_down)


def had(
    ago: timedelta, *, follow_up: str = "g", occasion: str = "p", channel: str = "email", marketing: bool = True
) -> Given:
    return Given(
        id=uid(f"{ago} {follow_up} {occasion}"),
        follow_up=follow_up,
        occasion=uid(occasion),
        channel=channel,
        marketing=marketing,
        at=NOON - ago,
    )


def test_a_day_and_a_week_are_full_when_they_are_and_say_when_they_are_no_longer() -> None:
    assert room(limits(), [], NOON) == 1
    assert room_at(limits(), [], NOON) == NOON
    yesterday = [had(timedelta(hours=20))]
    assert room(limits(), yesterday, NOON) == 0
    assert room_at(limits(), yesterday, NOON) == NOON + timedelta(hours=4)
    busy = [had(timedelta(days=2)), had(timedelta(days=4)), had(timedelta(days=6))]
    assert room(limits(), busy, NOON) == 0
    assert room_at(limits(), busy, NOON) == NOON + timedelta(days=1)


def test_transactional_mail_and_other_channels_count_for_nothing() -> None:
    assert room(limits(), [had(DAY / 2, marketing=False), had(DAY / 3, channel="webhook")], NOON) == 1


def test_no_cap_is_no_cap_and_a_cap_of_none_is_never() -> None:
    assert room(limits(cap=UNLIMITED), [had(DAY / 2)] * 50, NOON) is None
    assert room_at(limits(cap=Cap(day=0)), [], NOON) is None


def test_the_usual_caps_hold_where_the_shop_says_none() -> None:
    assert cap_of(SHOP, "email", marketing=True) == Cap(day=1, week=3)
    assert cap_of(SHOP, "email", marketing=False) == UNLIMITED
    assert cap_of(SHOP, "webhook", marketing=True) == UNLIMITED


def test_a_cool_down_is_of_one_follow_up_and_lets_a_series_go_on() -> None:
    month = timedelta(days=30)
    before = [had(timedelta(days=3), follow_up="f", occasion="another")]
    assert cooling(limits(cool_down=month), before, NOON)
    assert not cooling(limits(cool_down=month), before, NOON + month)
    assert not cooling(limits(cool_down=month), [had(timedelta(days=3), follow_up="f", occasion="o")], NOON)
    assert not cooling(limits(cool_down=month), [had(timedelta(days=3), follow_up="g", occasion="another")], NOON)


def wish(name: str, *, priority: int = 0, customer: str = "ada", **of_limits: object) -> Wish:
    return Wish(
        message=uid(name),
        customer=uid(customer),
        marketing=True,
        limits=limits(**of_limits),  # type: ignore[arg-type]
        priority=priority,
        due_at=NOON,
    )


def test_where_there_is_room_for_one_the_highest_priority_goes() -> None:
    wishes = [wish("low"), wish("high", priority=10), wish("of another", customer="bob")]
    assert granted(wishes, {}, NOON) == {uid("high"), uid("of another")}


def test_two_of_one_cool_down_do_not_go_together() -> None:
    both = [wish(name, occasion=name, cap=UNLIMITED, cool_down=WEEK) for name in ("a", "b")]
    assert len(granted(both, {}, NOON)) == 1


def test_an_attempt_of_its_own_takes_nobodys_place() -> None:
    again = wish("m")
    earlier = Given(id=uid("m"), follow_up="f", occasion=uid("o"), channel="email", marketing=True, at=NOON)
    assert granted([again], {uid("ada"): [earlier]}, NOON) == {uid("m")}


CAPS = st.builds(Cap, day=st.none() | st.integers(0, 3), week=st.none() | st.integers(0, 5))


@settings(deadline=None)
@given(
    cap=CAPS,
    rounds=st.lists(st.tuples(st.integers(0, 30 * 60), st.integers(1, 4)), max_size=25),
)
def test_no_window_ever_holds_more_than_the_cap_and_what_waits_for_room_finds_it(
    cap: Cap, rounds: list[tuple[int, int]]
) -> None:
    """Time passes, some messages come due at once, as many go as are granted."""
    now, sent = NOON, list[Given]()
    for number, (minutes, wanted) in enumerate(rounds):
        now += timedelta(minutes=minutes)
        at = room_at(limits(cap=cap), sent, now)
        assert (at is None) == (0 in (cap.day, cap.week))
        if at is not None:
            assert room(limits(cap=cap), sent, at) != 0
        wishes = [wish(f"{number} {each}", occasion=f"{number} {each}", cap=cap) for each in range(wanted)]
        going = granted(wishes, {uid("ada"): sent}, now)
        left = room(limits(cap=cap), sent, now)
        assert len(going) == (wanted if left is None else min(wanted, left))
        sent += [had(NOON - now, occasion=str(message)) for message in going]
    for most, window in ((cap.day, DAY), (cap.week, WEEK)):
        if most is not None:
            assert max(_in_windows(sent, window), default=0) <= most


def _in_windows(sent: list[Given], window: timedelta) -> list[int]:
    times = Counter[datetime](one.at for one in sent)
    return [sum(n for at, n in times.items() if start <= at < start + window) for start in times]
