"""Rules: facts first, then each track's rules; the last listed that matches wins."""

import pytest

from tests.unit.stage_engine.builders import event, model, ordered, see


def one_track(*enter: str, more: str = "") -> str:
    """A track a → b → c whose rules stand in the order given, each as `stage: rule`."""
    rules = "\n".join(f"      {line}" for line in enter)
    return f"tracks:\n  way:\n    stages:\n      a: {{start: true}}\n{rules}\n{more}"


def way(text: str, *entries, **more):  # noqa: ANN002, ANN003, ANN201  as `see`
    return see(*entries, by=model(text), **more).went("way")


def test_facts_come_before_rules() -> None:
    text = "facts: {n: {count: Go}}\n" + one_track("b: {enter: [{on: Go, when: facts.n == 1}]}")
    assert way(text, event("Go")) == ["a", "b"]


def test_of_a_tracks_matching_rules_the_last_listed_wins() -> None:
    text = one_track("b: {enter: [{on: Go}]}", "c: {enter: [{on: Go}]}")
    assert way(text, event("Go")) == ["a", "c"]


def test_a_rule_whose_condition_is_false_does_not_match() -> None:
    text = one_track("b: {enter: [{on: Go}]}", "c: {enter: [{on: Go, when: event.far}]}")
    assert way(text, event("Go")) == ["a", "b"]


def test_a_rule_from_another_stage_does_not_match() -> None:
    text = one_track("b: {enter: [{on: Go}]}", "c: {enter: [{on: Go, from: b}]}")
    assert way(text, event("Go", "0s"), event("Go", "1s")) == ["a", "b", "c"]


def test_one_event_moves_an_instance_at_most_once() -> None:
    text = one_track("b: {enter: [{on: Go, from: a}]}", "c: {enter: [{on: Go, from: b}]}")
    assert way(text, event("Go")) == ["a", "b"]


def test_entering_the_stage_one_is_in_is_no_transition() -> None:
    assert way(one_track("b: {enter: [{on: Go}]}"), event("Go", "0s"), event("Go", "1s")) == ["a", "b"]


def test_entering_the_stage_one_is_in_keeps_since() -> None:
    seen = see(event("Go", "0s"), event("Go", "1s"), by=model(one_track("b: {enter: [{on: Go}]}")))
    assert seen.instance("way").since == seen.moves_of("way")[0].transition.at


def test_again_makes_entering_the_stage_one_is_in_a_transition() -> None:
    text = one_track("b: {enter: [{on: Go, again: true}]}")
    assert way(text, event("Go", "0s"), event("Go", "1s")) == ["a", "b", "b"]


def test_the_rule_that_wins_keeps_earlier_ones_from_moving_also_when_it_moves_nothing() -> None:
    text = one_track("b: {enter: [{on: Back}]}", "c: {enter: [{on: [Go, Back]}]}")
    assert way(text, event("Go", "0s"), event("Back", "1s")) == ["a", "c"]


FOLLOWS = """
tracks:
  first: {stages: {off: {start: true}, on: {enter: [{on: Go}]}}}
  second: {stages: {off: {start: true}, on: {enter: [{on: Go, when: stages.first == "on"}]}}}
"""


def test_a_track_sees_the_new_stages_of_earlier_ones() -> None:
    assert see(event("Go"), by=model(FOLLOWS)).stage("second") == "on"


def test_a_track_sees_the_old_stages_of_later_ones() -> None:
    swapped = """
tracks:
  second: {stages: {off: {start: true}, on: {enter: [{on: Go, when: stages.first == "on"}]}}}
  first: {stages: {off: {start: true}, on: {enter: [{on: Go}]}}}
"""
    assert see(event("Go", "0s"), by=model(swapped)).stage("second") == "off"
    assert see(event("Go", "0s"), event("Go", "1s"), by=model(swapped)).stage("second") == "on"


@pytest.mark.parametrize(
    "condition", ["event.score >= 9", "event.score == 9", "event.score != 9", "event.a.b.c < 1", "event.kind in ['x']"]
)
def test_a_missing_property_makes_a_comparison_false_not_an_error(condition: str) -> None:
    assert way(one_track(f'b: {{enter: [{{on: Go, when: "{condition}"}}]}}'), event("Go")) == ["a"]


def test_a_fact_that_is_not_known_yet_makes_a_comparison_false() -> None:
    text = "facts: {last: {latest: Come}, said: {last: Come, of: x}}\n" + one_track(
        'b: {enter: [{on: Go, when: facts.last > timestamp("2000-01-01T00:00:00Z") || facts.said == 1}]}'
    )
    assert way(text, event("Go")) == ["a"]


def test_conditions_see_traits_a_servers_before_a_browsers() -> None:
    text = one_track('b: {enter: [{on: Go, when: traits.tier == "gold"}]}')
    assert way(text, event("Go", by="browser", traits={"tier": "gold"})) == ["a", "b"]
    tin = event("Come", "0s", traits={"tier": "tin"})
    assert way(text, tin, event("Go", "1s", by="browser", traits={"tier": "gold"})) == ["a"]


def test_a_message_event_moves_a_customer() -> None:
    text = one_track("b: {enter: [{on: Message Clicked}]}")
    assert way(text, event("Come", "0s"), event("Message Clicked", "1s")) == ["a", "b"]


def test_a_message_event_begins_nobody() -> None:
    assert way(one_track("b: {enter: [{on: Message Clicked}]}"), event("Message Clicked")) == []


def test_the_customers_first_event_begins_every_track_of_theirs_whatever_it_is() -> None:
    seen = see(event("Cup Of Tea Drunk", "5s"))
    assert seen.went() == ["awareness"]
    assert seen.moves[0].transition.from_stage is None
    assert seen.moves[0].transition.reason == "first Cup Of Tea Drunk"


def test_a_final_stage_is_left_by_nothing() -> None:
    text = one_track("b: {enter: [{on: Go}], final: true}", "c: {enter: [{on: Far}, {after: 1h}]}")
    assert way(text, event("Go", "0s"), event("Far", "1s"), until="9d") == ["a", "b"]


def test_every_move_says_why_with_the_facts_that_its_rule_looked_at() -> None:
    move = see(ordered()).moves_of()[1].transition
    assert move.rule == "lifecycle.purchase[0]"
    assert move.reason == "Order Completed, and facts.orders == 1"
    assert move.facts == {"orders": 1}


def test_money_among_those_facts_is_text() -> None:
    text = (
        "facts: {spent: {sum: Order Completed, of: total, once_per: order_id}}\n"
        "tracks: {way: {stages: {a: {start: true}, b: {enter: [{on: Order Completed, when: facts.spent > 5}]}}}}"
    )
    assert see(ordered(total="12.5"), by=model(text)).moves[-1].transition.facts == {"spent": "12.50"}
