"""Facts: aggregates of a customer's events, one kind at a time."""

from stage_engine.facts import MAX_DISTINCT, shown
from stage_engine.state import decode_state, encode_state
from tests.unit.stage_engine.builders import event, model, see, when

FACTS = model(
    "facts:\n"
    "  looks: {count: Look}\n"
    "  looks_or_likes: {count: [Look, Like]}\n"
    "  looks_7d: {count: Look, within: 7d}\n"
    "  things: {distinct: Look, of: thing}\n"
    "  shipped: {distinct: Order Shipped, of: order_id}\n"
    "  likes_at: {latest: Like}\n"
    "  first_thing: {first: Look, of: thing}\n"
    "  last_thing: {last: Look, of: thing}\n"
    "  big: {count: Look, where: event.size > 3}\n"
    "tracks: {way: {stages: {a: {start: true}}}}"
)


def fact(name: str, *entries, until: str | None = None):  # noqa: ANN002, ANN201  any fact
    return see(*entries, by=FACTS, until=until).fact(name)


def test_count_counts_the_events_it_names() -> None:
    entries = event("Look"), event("Like"), event("Look")
    assert (fact("looks", *entries), fact("looks_or_likes", *entries)) == (2, 3)


def test_where_looks_at_each_event() -> None:
    assert fact("big", event("Look", size=4), event("Look", size=3), event("Look"), event("Look", size="4")) == 1


def test_distinct_tells_values_apart() -> None:
    assert fact("things", *(event("Look", thing=t) for t in ("a", "b", "a", 1, "1", None))) == 3


def test_distinct_keeps_a_bots_values_bounded() -> None:
    assert fact("things", *(event("Look", thing=n) for n in range(MAX_DISTINCT + 5))) == MAX_DISTINCT


def test_distinct_orders_of_other_events_are_those_of_these_events() -> None:
    entries = event("Order Completed", order_id="o1"), event("Order Shipped", "1s", order_id="o2")
    assert fact("shipped", *entries) == 1


def test_latest_is_when_it_happened_last() -> None:
    entries = event("Like", "2h"), event("Like", "1h")
    assert fact("likes_at", *entries) == when("2h")
    assert shown(fact("likes_at", *entries)) == "2026-03-02T14:00:00Z"
    assert fact("likes_at") is None


def test_first_and_last_skip_events_that_do_not_say() -> None:
    entries = [event("Look", f"{n}s", **({"thing": t} if t else {})) for n, t in enumerate((None, "a", "b", None))]
    assert (fact("first_thing", *entries), fact("last_thing", *entries)) == ("a", "b")


def test_a_window_lets_go_of_what_is_older() -> None:
    assert [fact("looks_7d", event("Look"), until=until) for until in ("0s", "6d23h", "7d1h")] == [1, 1, 0]


def test_a_window_slides_in_steps_of_its_168th_on_absolute_time() -> None:
    looks = [event("Look", "0s"), event("Look", "59m59s"), event("Look", "1h")]  # START is at a full hour
    assert [fact("looks_7d", *looks, until=until) for until in ("6d23h59m59s", "7d", "7d59m", "7d1h")] == [3, 1, 1, 0]


def test_a_window_does_not_depend_on_arrival() -> None:
    looks = [event("Look", after) for after in ("0s", "3d", "8d", "8d1s")]
    stepwise = see(looks[2:], start=see(looks[:2], by=FACTS).state, by=FACTS, until="9d")
    assert stepwise.fact("looks_7d") == fact("looks_7d", *reversed(looks), until="9d") == 3


def test_facts_survive_being_stored() -> None:
    state = see(event("Look", thing={"a": [1, None]}), event("Like", "1s"), by=FACTS).state
    assert decode_state(encode_state(state)) == state


def test_a_window_keeps_no_more_than_its_168_buckets() -> None:
    state = see([event("Look", f"{hour}h") for hour in range(400)], by=FACTS).state
    assert len(state.facts.windows["looks_7d"]) == 168
