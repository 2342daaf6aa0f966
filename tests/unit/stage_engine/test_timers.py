"""Time: due times are derived from state, and crossed only up to where everything is known."""

from datetime import timedelta

import pytest

from stage_engine.state import decode_state, encode_state
from tests.unit.stage_engine.builders import added, event, model, ordered, see, when

ENTRY = model("tracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 1h}]}, c: {enter: [{on: Go}]}}}}")
IDLE = model("tracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 1h, idle: true}]}}}}")
SINCE = model(
    "facts: {last: {latest: Buy}}\n"
    "tracks: {way: {stages: {a: {start: true, on: [Come, Back]}, "
    "b: {enter: [{after: 1h, since: facts.last, from: a}]}, c: {enter: [{on: Go}]}}}}"
)


def test_a_timer_of_entry_counts_from_the_stages_beginning() -> None:
    seen = see(event("Come", "0s"), event("Look", "50m"), by=ENTRY, until="1h")
    assert seen.went("way") == ["a", "b"]
    assert seen.instance("way").since == when("1h")


def test_idle_counts_from_the_instances_last_own_event() -> None:
    seen = see(event("Come", "0s"), event("Look", "50m"), by=IDLE, until="1h49m")
    assert (seen.went("way"), seen.wakes_after) == (["a"], timedelta(hours=1, minutes=50))


@pytest.mark.parametrize(
    "name", ["Message Sent", "Message Opened", "Message Clicked", "Message Bounced", "Message Complained"]
)
def test_message_events_never_count_for_idle(name: str) -> None:
    seen = see(event("Come", "0s"), event(name, "50m"), by=IDLE, until="1h")
    assert seen.went("way") == ["a", "b"]


def test_other_carts_and_views_do_not_count_for_a_carts_idle() -> None:
    seen = see(added("0s"), added("50m", cart="c2"), event("Product Viewed", "55m"), until="1h")
    assert seen.went("cart", "c1") == ["active", "abandoned"]
    assert seen.stage("cart", "c2") == "active"


def test_a_look_into_the_cart_counts_for_its_idle() -> None:
    assert see(added("0s"), event("Cart Viewed", "50m", cart_id="c1"), until="1h").stage("cart", "c1") == "active"


def test_since_counts_from_the_fact() -> None:
    seen = see(event("Come", "0s"), event("Buy", "10m"), event("Look", "1h"), by=SINCE, until="1h10m")
    assert seen.moves_of("way")[-1].transition.at == when("1h10m")


def test_a_rule_that_was_overdue_when_its_stage_was_entered_is_due_upon_entry() -> None:
    seen = see(event("Come", "0s"), event("Go", "1s"), event("Buy", "1m"), event("Come", "5h"), by=SINCE)
    assert seen.went("way") == ["a", "c", "a", "b"]
    assert seen.moves_of("way")[-1].transition.at == when("5h")


def test_a_since_rule_that_has_come_due_waits_until_its_fact_changes() -> None:
    once = [event("Come", "0s"), event("Buy", "0s"), event("Back", "2h")]
    assert see(*once, by=SINCE, until="9h").went("way") == ["a", "b", "a"]
    assert see(*once, event("Buy", "3h"), by=SINCE, until="9h").went("way") == ["a", "b", "a", "b"]


def test_what_is_due_at_a_time_happens_before_an_event_at_that_time() -> None:
    seen = see(added("0s"), added("1h", product="p2"))
    assert seen.went("cart", "c1") == ["active", "abandoned", "active"]


def test_an_event_a_microsecond_before_a_due_time_prevents_it() -> None:
    seen = see(added("0s"), added(when("1h") - timedelta(microseconds=1)), until="1h")
    assert seen.went("cart", "c1") == ["active"]


GUARDED = model(
    "facts: {n: {count: Go}}\n"
    "tracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 1h, idle: true, when: facts.n >= 2}]}}}}"
)


def test_a_timed_rule_whose_condition_is_false_when_due_waits_until_armed_again() -> None:
    seen = see(event("Go", "0s"), by=GUARDED, until="9h")
    assert (seen.went("way"), seen.wakes_after) == (["a"], None)
    seen = see(event("Go", "0s"), event("Message Sent", "2h"), by=GUARDED, until="9h")
    assert (seen.went("way"), seen.wakes_after) == (["a"], None)
    seen = see(event("Go", "0s"), event("Go", "2h"), by=GUARDED, until="9h")
    assert (seen.went("way"), seen.moves[-1].transition.at) == (["a", "b"], when("3h"))


def test_an_entry_arms_anew_a_rule_that_waited() -> None:
    text = model(
        "facts: {n: {count: Go}}\ntracks: {way: {stages: {a: {start: true, on: Back}, "
        "b: {enter: [{on: Out}]}, c: {enter: [{after: 1h, from: a, when: facts.n >= 1}]}}}}"
    )
    entries = [event("Back", "0s"), event("Go", "2h"), event("Out", "3h"), event("Back", "4h")]
    assert see(*entries, by=text, until="9h").went("way") == ["a", "b", "a", "c"]


def test_a_timed_condition_sees_facts_as_of_its_due_time() -> None:
    text = model(
        "facts: {views: {count: Look, within: 7d}}\n"
        "tracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 8d, when: facts.views == 0}]}}}}"
    )
    assert see(event("Look"), by=text, until="9d").went("way") == ["a", "b"]
    assert see(event("Look", "0s"), event("Look", "2d"), by=text, until="9d").went("way") == ["a"]


def test_of_rules_due_at_one_time_the_last_listed_whose_condition_holds_wins() -> None:
    text = model(
        "facts: {n: {count: Go}}\ntracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 1h, from: a}]}, "
        "c: {enter: [{after: 1h, idle: true}]}, d: {enter: [{after: 1h, from: a, when: facts.n > 1}]}}}}"
    )
    assert see(event("Go"), by=text, until="1h").went("way") == ["a", "c"]


def test_timed_moves_follow_each_other_in_the_order_of_their_times() -> None:
    seen = see(ordered(), until="200d")
    assert seen.went() == ["awareness", "purchase", "at_risk", "churned"]
    assert [m.transition.at for m in seen.moves_of()[2:]] == [when("90d"), when("180d")]


def test_the_cause_of_a_timed_move_is_what_armed_it() -> None:
    bought = ordered("0s")
    seen = see(bought, event("Product Viewed", "1d"), until="90d")
    assert seen.moves_of()[-1].transition.cause == bought.cause


# Up to where everything is known


def test_a_due_time_beyond_what_is_known_is_not_crossed() -> None:
    seen = see(added("0s"), until="59m")
    assert (seen.stage("cart", "c1"), seen.wakes_after) == ("active", timedelta(hours=1))


def test_a_due_time_is_crossed_once_everything_up_to_it_is_known() -> None:
    seen = see(added("0s"), until="1h")
    assert (seen.stage("cart", "c1"), seen.folded.next_wake) == ("abandoned", None)


def test_an_event_beyond_a_due_time_that_is_not_known_yet_waits_with_all_that_sort_after_it() -> None:
    entries = [
        added("0s"),
        event("Product Viewed", "2h", id="view"),
        ordered("3h"),
        event("Email Unsubscribed", "3h"),
    ]
    seen = see(*entries, until="30m")
    assert (seen.waits, seen.wakes_after) == ("view", timedelta(hours=1))
    assert (seen.fact("orders"), seen.state.profile.consent, seen.stage()) == (0, {}, "consideration")
    assert seen.state.position == entries[0].position


def test_an_event_at_the_due_time_itself_waits_too() -> None:
    assert see(added("0s"), event("Product Viewed", "1h", id="view"), until="59m").waits == "view"


def test_an_event_beyond_what_is_known_that_crosses_no_due_time_is_folded() -> None:
    seen = see(added("0s"), ordered("10m"), until="0s")
    assert (seen.waits, seen.stage("cart", "c1")) == (None, "ordered")


def test_nobody_is_told_that_they_abandoned_a_cart_while_their_order_is_still_on_its_way() -> None:
    add, look, buy = added("0s"), event("Product Viewed", "2h"), ordered("30m")
    waiting = see(add, look, until="20m")
    assert waiting.went("cart", "c1") == ["active"]
    later = see(buy, look, start=waiting.state, until="3h")
    assert later.went("cart", "c1") == ["ordered"]


def test_what_waited_is_folded_when_the_time_comes() -> None:
    add, look = added("0s"), event("Product Viewed", "2h")
    first = see(add, look, until="20m")
    then = see(look, start=first.state, until="1h")
    assert then.went("cart", "c1") == ["abandoned"]
    assert (then.waits, then.fact("views_7d")) == (None, 1)


def test_what_sorts_before_a_crossed_due_time_comes_too_late_for_that_state() -> None:
    crossed = see(added("0s"), until="2h").state.position
    assert crossed is not None
    assert ordered("30m").position < crossed < ordered("1h").position


def test_a_due_time_whose_condition_was_false_is_crossed_all_the_same() -> None:
    crossed = see(event("Go", "0s"), by=GUARDED, until="2h").state.position
    assert crossed is not None
    assert event("Go", "30m").position < crossed


def test_a_fold_changes_nothing_that_it_was_given() -> None:
    start = see(added("0s"), ordered("1m"), event("Product Viewed", "2m")).state
    before = encode_state(start)
    see(added("1h"), event("Product Viewed", "2h"), ordered("3h", order="o2"), start=start, until="200d")
    assert encode_state(start) == before
    assert decode_state(before) == start
