"""An operator's word: an event that moves an instance whatever the rules say."""

from typing import Any

import pytest
from msgspec.structs import replace

from services.contracts.events import SaidBy
from tests.unit.stage_engine.builders import added, event, model, ordered, see

WAY = "tracks: {way: {stages: {a: {start: true}, b: {enter: [{on: Go}], final: true}, c: {enter: [{after: 1d}]}}}}"


def told(after: str = "1h", **said: Any) -> Any:  # noqa: ANN401  any JSON
    """`by` is a property here, not whose key it came with."""
    entry = event("Stage Set", after)
    return replace(entry, event=replace(entry.event, properties=said))


def test_an_operator_moves_a_customer_whatever_the_rules_say() -> None:
    seen = see(event("Come"), told(track="lifecycle", stage="advocacy", by="Ann", reason="wrote a book about us"))
    move = seen.moves[-1].transition
    assert (move.from_stage, move.to_stage, move.rule) == ("awareness", "advocacy", "lifecycle.advocacy.set")
    assert move.reason == "set by Ann: wrote a book about us"


@pytest.mark.parametrize(
    ("said", "reason"),
    [({}, "set by an operator"), ({"by": "Ann"}, "set by Ann"), ({"reason": 7, "by": " "}, "set by an operator: 7")],
)
def test_it_says_who_and_why_as_far_as_that_was_said(said: dict[str, Any], reason: str) -> None:
    assert see(event("Come"), told(track="lifecycle", stage="churned", **said)).moves[-1].transition.reason == reason


@pytest.mark.parametrize(
    "said",
    [
        {"track": "lifecycle", "stage": "famous"},
        {"track": "career", "stage": "interest"},
        {"track": "lifecycle", "stage": ["interest"]},
        {"track": ["lifecycle"], "stage": "interest"},
        {"track": "lifecycle"},
        {"stage": "interest"},
        {},
        {"track": "cart", "stage": "ordered"},
        {"track": "cart", "stage": "ordered", "key": "c9"},
    ],
)
def test_what_names_nothing_we_know_moves_nothing_and_breaks_nobody(said: dict[str, Any]) -> None:
    assert see(event("Come"), event("Stage Set", "1h", **said)).went() == ["awareness"]


def test_the_stage_one_is_in_is_no_move() -> None:
    assert see(event("Come"), told(track="lifecycle", stage="awareness")).went() == ["awareness"]


def test_it_begins_who_is_not_known_yet() -> None:
    assert see(told(track="lifecycle", stage="churned")).went() == ["awareness", "churned"]


def test_it_leads_out_of_a_final_stage_too() -> None:
    seen = see(event("Go"), told(track="way", stage="a"), event("Go", "2h"), by=model(WAY))
    assert seen.went("way") == ["a", "b", "a", "b"]


def test_time_counts_from_it_and_it_is_no_activity() -> None:
    seen = see(event("Come"), told("1h", track="way", stage="c"), told("2h", track="way", stage="a"), by=model(WAY))
    assert seen.instance("way").touched_at == seen.moves[0].transition.at
    assert seen.wakes_after is not None
    assert seen.wakes_after.total_seconds() == 26 * 3_600


def test_it_names_a_cart_by_the_key_that_is_shown() -> None:
    runs = added("0s"), ordered("1m"), added("2m", product="p2")
    for key, went in (("c1#2", "ordered"), ("c1", "ordered"), ("c1#1", "active"), ("c1#3", "active")):
        assert see(*runs, told(track="cart", stage="ordered", key=key)).stage("cart", "c1#2") == went


def test_without_a_key_the_open_cart_touched_last_is_meant() -> None:
    carts = added("0s", cart="c1"), added("1m", cart="c2"), added("2m", cart="c1")
    seen = see(*carts, told(track="cart", stage="ordered"))
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c2")) == ("ordered", "active")


def test_an_ended_cart_that_is_set_open_again_stays() -> None:
    ended = added("0s"), ordered("1m"), told("2m", track="cart", stage="abandoned", key="c1")
    assert see(*ended, event("Come", "200d")).stage("cart", "c1") == "abandoned"


def test_no_other_track_hears_it() -> None:
    way = "way: {stages: {a: {start: true}, b: {enter: [{when: 'stages.one == \"y\"'}]}}}"
    text = f"tracks: {{{way}, one: {{stages: {{x: {{start: true}}, y: {{}}}}}}}}"
    assert see(event("Come"), told(track="one", stage="y"), by=model(text)).stage("way") == "a"
    assert see(event("Come"), told(track="one", stage="y"), event("Go", "2h"), by=model(text)).stage("way") == "b"


def test_a_browser_sets_nobodys_stage() -> None:
    told_by_browser = replace(told(track="lifecycle", stage="churned").event, said_by=SaidBy.BROWSER)
    entry = replace(told(), event=told_by_browser)
    assert see(event("Come"), entry).went() == ["awareness"]
