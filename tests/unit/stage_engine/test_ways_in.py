"""Ways into a stage beside an event and the time since an entry: conditions alone, events, dates, cool-downs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stage_engine.dates import moment
from stage_engine.model.checker import doubts
from stage_engine.state import decode_state, encode_state
from tests.unit.stage_engine.builders import Seen, event, model, ordered, see, when

BERLIN = "Europe/Berlin"


def way(text: str, *entries: Any, until: str | None = None) -> Seen:  # noqa: ANN401  entries
    return see(*entries, by=model(text), until=until)


def viewed(*after: str) -> list[Any]:
    return [event("Product Viewed", each) for each in after]


# By a condition alone

KEEN = """
facts:
  views: {count: Product Viewed, within: 7d}
  looks: {count: Product Viewed}
tracks:
  way:
    stages:
      cold: {start: true, enter: [{on: Cool}]}
      keen: {enter: [{when: facts.views >= 3, from: cold%s}]}
"""


def test_a_condition_alone_moves_when_it_becomes_true() -> None:
    seen = way(KEEN % "", viewed("0s", "1s", "2s", "3s"))
    assert seen.went("way") == ["cold", "keen"]
    move = seen.moves[-1].transition
    assert (move.at, move.rule, move.facts) == (when("2s"), "way.keen[0]", {"views": 3})
    assert move.reason == "facts.views >= 3 became true with Product Viewed"


def test_it_is_looked_at_on_any_event_of_their_own() -> None:
    text = "tracks: {way: {stages: {a: {start: true}, b: {enter: [{when: 'traits.tier == \"gold\"'}]}}}}"
    assert way(text, event("Whatever", traits={"tier": "gold"})).went("way") == ["a", "b"]
    assert way(text, event("Come"), event("Message Sent", "1s", traits={"tier": "gold"})).went("way") == ["a"]


def test_one_truth_moves_once_until_it_was_false_again() -> None:
    cooled = viewed("0s", "1s", "2s"), event("Cool", "3s")
    assert way(KEEN % "", *cooled, viewed("4s")).went("way") == ["cold", "keen", "cold"]
    false_between = event("Whatever", "9d")
    assert way(KEEN % "", *cooled, false_between, viewed("10d", "11d", "12d")).stage("way") == "keen"


def test_what_is_true_where_it_leads_from_nowhere_waits_to_count() -> None:
    text = KEEN.replace("cold: {start: true", "new: {start: true}\n      cold: {") % ""
    text = text.replace("{, enter: [{on: Cool}]}", "{enter: [{on: Cool}]}")
    assert way(text, viewed("0s", "1s", "2s"), event("Cool", "3s")).went("way") == ["new", "cold"]
    assert way(text, viewed("0s", "1s", "2s"), event("Cool", "3s"), event("Other", "4s")).stage("way") == "keen"


def test_among_those_that_match_the_last_listed_wins_and_the_others_had_their_turn() -> None:
    alone, by_event = "b: {enter: [{when: facts.n >= 1}]}", "c: {enter: [{on: Go}]}"
    text = "facts: {n: {count: Go}}\ntracks: {way: {stages: {a: {start: true}, %s, %s}}}"
    assert way(text % (alone, by_event), event("Go")).went("way") == ["a", "c"]
    assert way(text % (alone, by_event), event("Go"), event("Other", "1s")).went("way") == ["a", "c"]
    assert way(text % (by_event, alone), event("Go")).went("way") == ["a", "b"]


def test_a_cart_is_looked_at_on_its_own_events_only() -> None:
    text = """
tracks:
  cart:
    per: cart
    stages:
      small: {start: true, on: Product Added}
      large: {enter: [{when: cart.quantity >= 2}]}
      ended: {enter: [{on: Order Completed}], final: true}
"""
    added = [event("Product Added", after, cart_id="c", product_id="p") for after in ("0s", "1s")]
    assert way(text, added).went("cart", "c") == ["small", "large"]
    assert way(text, added, ordered("2s")).went("cart", "c") == ["small", "large", "ended"]


# Since an event

SINCE = """
tracks:
  way:
    stages:
      a: {start: true}
      b: {enter: [{after: 14d, since: Order Delivered, from: a}]}
  order:
    per: order
    stages:
      placed: {start: true, on: [Order Completed]}
      late:   {enter: [{after: 14d, since: [Order Delivered, Order Shipped], from: placed}]}
      asked:  {enter: [{after: 7d, since: Survey Answered, from: placed}]}
"""


def test_time_since_an_event_counts_from_the_latest() -> None:
    seen = way(SINCE, event("Order Delivered", "0s"), event("Order Delivered", "3d", id="second"), until="20d")
    assert seen.went("way") == ["a", "b"]
    assert (seen.moves[-1].transition.at, seen.moves[-1].transition.reason) == (
        when("17d"),
        "14d since Order Delivered",
    )
    assert seen.moves[-1].transition.cause.event_id


def test_of_an_order_its_own_event_counts_not_another_orders() -> None:
    two = ordered(order="o1"), ordered("1s", order="o2")
    shipped = event("Order Shipped", "1d", order_id="o1"), event("Order Delivered", "10d", order_id="o2")
    seen = way(SINCE, *two, *shipped, until="16d")
    assert (seen.stage("order", "o1"), seen.stage("order", "o2")) == ("late", "placed")
    assert seen.instance("order", "o1").since == when("15d")


def test_an_event_that_is_no_orders_counts_for_each_of_them() -> None:
    seen = way(SINCE, ordered(), event("Survey Answered", "1d"), until="9d")
    assert seen.went("order", "o1") == ["placed", "asked"]


def test_what_is_counted_from_is_no_fact_that_anybody_sees() -> None:
    assert list(model(SINCE).facts) == []


# Dates

DATES = """
facts:
  due_on:  {last: Order Shipped, of: expected_on}
tracks:
  contract:
    stages:
      runs:   {start: true, enter: [{on: Renewed}]}
      ending: {enter: [{ahead: 7d, of: traits.renewal_on, from: runs}]}
      ended:  {enter: [{after: 0d, since: traits.renewal_on}]}
      lost:   {enter: [{after: 30d, since: traits.renewal_on, from: ended}]}
  parcel:
    stages:
      none:   {start: true}
      due:    {enter: [{after: 1d, since: facts.due_on}]}
"""


def renewal(after: str, on: object, **more: Any) -> Any:  # noqa: ANN401  see `event`
    return event("Customer Identified", after, traits={"renewal_on": on}, **more)


def test_a_trait_that_is_a_date_moves_ahead_of_it_on_it_and_after_it() -> None:
    seen = way(DATES, renewal("0s", "2026-03-20"), until="90d")
    at = [(m.transition.to_stage, m.transition.at) for m in seen.moves_of("contract")][1:]
    midnight = datetime(2026, 3, 19, 23, tzinfo=UTC)  # in Berlin, before summer time
    assert at == [
        ("ending", midnight - timedelta(days=7)),
        ("ended", midnight),
        ("lost", midnight + timedelta(days=30)),
    ]
    reasons = [m.transition.reason for m in seen.moves_of("contract")][1:]
    assert reasons == ["7d ahead of traits.renewal_on", "0s ahead of traits.renewal_on", "30d since traits.renewal_on"]


def test_a_date_that_is_said_anew_counts_anew() -> None:
    assert way(DATES, renewal("0s", "2026-03-20"), renewal("1d", "2026-04-20"), until="30d").went("contract") == [
        "runs"
    ]
    again = renewal("0s", "2026-03-20"), event("Renewed", "20d", traits={"renewal_on": "2026-04-20"})
    assert way(DATES, *again, until="45d").went("contract") == ["runs", "ending", "ended", "runs", "ending"]


def test_a_date_that_is_taken_back_moves_nobody() -> None:
    for said in (None, "soon", 20260320):
        assert way(DATES, renewal("0s", "2026-03-20"), renewal("1d", said), until="90d").went("contract") == ["runs"]


def test_a_date_that_is_past_when_it_is_said_is_due_then() -> None:
    seen = way(DATES, event("Come"), renewal("10d", "2026-03-03"), until="11d")
    assert [(m.transition.to_stage, m.transition.at) for m in seen.moves_of("contract")][1:] == [("ended", when("10d"))]


def test_the_same_date_said_again_arms_nothing() -> None:
    seen = way(DATES, renewal("0s", "2026-03-20"), renewal("20d", "2026-03-20T00:00"), until="90d")
    assert seen.went("contract") == ["runs", "ending", "ended", "lost"]


def test_the_cause_is_the_event_that_said_the_date() -> None:
    first, again = renewal("0s", "2026-03-20", id="first"), renewal("1d", "2026-03-20", id="again")
    seen = way(DATES, first, again, event("Other", "2d"), until="30d")
    assert {m.transition.cause.event_id for m in seen.moves_of("contract")} == {"first"}


def test_a_property_that_is_a_date_is_kept_by_a_fact() -> None:
    shipped = event("Order Shipped", expected_on="2026-03-10T18:00:00+01:00")
    seen = way(DATES, shipped, until="30d")
    assert seen.moves_of("parcel")[-1].transition.at == datetime(2026, 3, 11, 17, tzinfo=UTC)
    assert seen.fact("due_on") == "2026-03-10T18:00:00+01:00"


@pytest.mark.parametrize(
    ("said", "is_"),
    [
        ("2026-01-31", "2026-01-30T23:00:00+00:00"),
        ("2026-07-31", "2026-07-30T22:00:00+00:00"),
        (" 2026-01-31T12:30 ", "2026-01-31T11:30:00+00:00"),
        ("2026-01-31 12:30:15.5", "2026-01-31T11:30:15.500000+00:00"),
        ("2026-01-31T12:30:00Z", "2026-01-31T12:30:00+00:00"),
        ("2026-01-31T12:30:00-05:00", "2026-01-31T17:30:00+00:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00+00:00"),  # the clocks jump from 2 to 3
        ("2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),  # 2 to 3 comes twice
        ("2026-02-30", None),
        ("1850-01-01", None),
        ("9999-12-31", None),
        ("20260131", None),
        ("tomorrow", None),
        ("", None),
        ("2026-01-31" * 50, None),
    ],
)
def test_a_date_is_read_in_the_shops_time_zone(said: str, is_: str | None) -> None:
    found = moment(said, BERLIN)
    assert (found and found.isoformat()) == is_


# Cool-downs

COOL = """
tracks:
  way:
    stages:
      a: {start: true, enter: [{on: Back}]}
      b: {enter: [{on: Go, cooldown: 30d}]}
      c: {enter: [{after: 1d, idle: true, from: a, cooldown: 30d}]}
"""


def went(*said: tuple[str, str], until: str | None = None) -> list[str]:
    return way(COOL, *(event(name, after) for name, after in said), until=until).went("way")


def test_a_rule_that_cools_down_does_not_move_the_same_again() -> None:
    gone = ("Go", "0s"), ("Back", "1s")
    assert went(*gone, ("Go", "1h")) == ["a", "b", "a"]
    assert went(*gone, ("Go", "29d23h"))[-1] != "b"
    assert went(*gone, ("Go", "30d"))[-1] == "b"


def test_while_it_cools_down_a_rule_listed_before_may_win() -> None:
    text = COOL.replace("b: {enter: [{on: Go, cooldown", "d: {enter: [{on: Go}]}\n      b: {enter: [{on: Go, cooldown")
    assert way(text, event("Go"), event("Back", "1s"), event("Go", "2s")).went("way") == ["a", "b", "a", "d"]


def test_what_comes_due_in_a_cool_down_is_due_at_its_end() -> None:
    said = ("Come", "0s"), ("Back", "2d")
    seen = way(COOL, *(event(name, after) for name, after in said), until="40d")
    assert [(m.transition.to_stage, m.transition.at) for m in seen.moves] == [
        ("a", when("0s")),
        ("c", when("1d")),
        ("a", when("2d")),
        ("c", when("31d")),
    ]


def test_a_cool_down_is_of_one_instance() -> None:
    text = """
tracks:
  order:
    per: order
    stages:
      placed:  {start: true, on: [Order Completed]}
      shipped: {enter: [{on: Order Shipped, cooldown: 30d}]}
"""
    shipped = [event("Order Shipped", "1h", order_id=o) for o in ("o1", "o2")]
    seen = way(text, ordered(order="o1"), ordered(order="o2"), shipped)
    assert [seen.stage("order", o) for o in ("o1", "o2")] == ["shipped", "shipped"]


def test_all_of_it_survives_being_stored() -> None:
    for text in (KEEN % ", cooldown: 1d", SINCE, DATES, COOL):
        entries = (
            viewed("0s", "1s", "2s"),
            ordered("3s"),
            event("Order Shipped", "4s", order_id="o1"),
            event("Go", "5s"),
        )
        state = way(text, *entries, renewal("6s", "2026-03-20"), until="20d").state
        assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("text", [KEEN % "", DATES, COOL])
def test_the_model_checker_takes_them_for_ways_in(text: str) -> None:
    said = [str(doubt.message) for doubt in doubts(model(text)) if not doubt.note]
    assert not [one for one in said if "reach" in one or "never" in one], said
