"""Scenarios: what a story may say, how its clock goes, and what an `expect` compares."""

import time
from pathlib import Path

from stage_engine.scenarios.play import play
from stage_engine.scenarios.read import read_file
from tests.unit.stage_engine.builders import SEVEN, SHOP, model, trusting
from tests.unit.stage_engine.scenario_builders import failing, holds, reading, unmet

DOCS = Path(__file__).resolve().parents[3] / "docs" / "scenarios.md"
ADDED = "given: {event: Product Added, cart_id: c1, product_id: p1, price: 5}"
ORDERED = "given: {event: Order Completed, order_id: o1, revenue: 10}"


def test_what_the_documentation_shows_holds() -> None:
    blocks = [block.split("```")[0] for block in DOCS.read_text(encoding="utf-8").split("```yaml\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        found = reading(block)
        assert found.faults == ()
        assert [play(scenario, SEVEN, SHOP).failed for scenario in found.scenarios] == [None] * len(found.scenarios)


def test_a_stage_is_expected_by_its_track() -> None:
    assert holds(ADDED, "expect: {stage: {lifecycle: consideration, cart: active}}")
    assert unmet(ADDED, "expect: {stage: {lifecycle: interest, order: placed}}") == [
        ("lifecycle: interest", "is consideration"),
        ("order: placed", "there is none"),
    ]


def test_of_several_carts_one_is_named_by_its_key() -> None:
    two = (ADDED, "given: {event: Product Added, cart_id: c2, product_id: p1}")
    assert holds(*two, "expect: {stage: {cart: {c1: active, c2: active}}}")
    assert unmet(*two, "expect: {stage: {cart: active}}") == [
        ("cart: active", "there are several (c1 active, c2 active): say which, as in {c1: active}")
    ]
    assert unmet(*two, "expect: {stage: {cart: {c3: active}}}") == [
        ("cart c3: active", "there is none; there are c1, c2")
    ]


def test_a_further_run_of_a_cart_is_named_by_its_number() -> None:
    again = "given: {event: Product Added, cart_id: c1, product_id: p2}"
    assert holds(ADDED, ORDERED, again, "expect: {stage: {cart: {c1: ordered, c1#2: active}}}")


def test_facts_are_compared_by_what_they_are_worth() -> None:
    assert holds(
        "given: {event: Order Completed, at: 2026-03-01 10:00, order_id: o1, revenue: 10}",
        "expect: {facts: {orders: 1, revenue: 10.00, last_order_at: 2026-03-01T11:00:00+01:00, csat: null}}",
    )
    assert unmet(ORDERED, "expect: {facts: {orders: 2, revenue: 9.99, csat: 1}}") == [
        ("orders: 2", "is 1"),
        ("revenue: 9.99", "is 10.00"),
        ("csat: 1", "is not known"),
    ]
    assert not holds(ORDERED, "expect: {facts: {orders: true}}")


def test_time_goes_by_and_moves_what_is_due() -> None:
    assert holds(
        ADDED, "advance: 59m", "expect: {stage: {cart: active}}", "advance: 1m", "expect: {stage: {cart: abandoned}}"
    )
    assert holds(ADDED, "at: 2026-01-01 01:00", "expect: {stage: {cart: abandoned}}")


def test_changes_in_a_list_are_all_of_them_in_order() -> None:
    assert holds(ORDERED, "expect: {changes: [lifecycle: awareness, lifecycle: purchase, order: {o1: placed}]}")
    assert unmet(ORDERED, "expect: {changes: [lifecycle: purchase]}") == [
        (
            "changes: lifecycle: purchase",
            "were lifecycle: awareness; lifecycle: purchase; order o1: placed",
        )
    ]


def test_changes_by_track_are_those_of_that_track() -> None:
    assert holds(ORDERED, "expect: {changes: {lifecycle: [awareness, purchase]}}")
    assert holds(ORDERED, "expect: {changes: {order: {o1: placed}, cart: []}}")
    assert not holds(ORDERED, "expect: {changes: {lifecycle: [purchase, awareness]}}")


def test_changes_are_those_since_the_last_expect() -> None:
    looked = (ADDED, "expect: {stage: {cart: active}}")
    assert holds(*looked, "expect: {changes: []}")
    assert holds(*looked, "advance: 1h", "expect: {changes: [cart: abandoned]}")


def test_reasons_are_parts_of_the_changes_reasons_in_their_order() -> None:
    assert holds(ADDED, "advance: 1h", "expect: {reasons: [Product Added, without activity]}")
    assert holds(ADDED, "advance: 1h", "expect: {reasons: without activity}")
    assert not holds(ADDED, "advance: 1h", "expect: {reasons: [without activity, first Product Added]}")
    assert unmet(ADDED, "expect: {stage: {cart: active}}", "expect: {reasons: anything}") == [
        ("because: anything", "the reasons were: nothing changed")
    ]


def test_the_next_wake_is_a_span_a_time_or_never() -> None:
    assert holds(ADDED, "advance: 20m", "expect: {next: 40m}", "expect: {next: 2026-01-01 01:00}")
    assert holds("given: {event: Product Viewed}", "expect: {next: never}")
    assert unmet(ADDED, "expect: {next: never}") == [("next: never", "is in 1h (2026-01-01 01:00)")]
    assert unmet("given: {event: Product Viewed}", "expect: {next: 1d}") == [
        ("next: in 1d (2026-01-02 00:00)", "is never")
    ]


def test_what_may_not_be_is_said_with_not() -> None:
    never = (
        "expect: {not: {stage: {lifecycle: [churned, purchase]}, facts: {revenue: 10},"
        " changes: {cart: ordered}, reasons: orders == 1}}"
    )
    assert holds(ADDED, never)
    assert unmet(ADDED, ORDERED, never) == [
        ("not lifecycle: purchase", "it is"),
        ("no change of cart: ordered", "there was"),
        ("not because: orders == 1", "a reason was: Order Completed, and facts.orders == 1"),
        ("not revenue: 10", "it is"),
    ]


def test_the_first_expect_that_does_not_hold_ends_the_story() -> None:
    met = failing(ADDED, "expect: {stage: {cart: ordered}}", ORDERED, "expect: {stage: {cart: active}}")
    assert met.expected.place.endswith("story.yaml:3:5")


def test_an_event_that_comes_late_takes_back_what_it_makes_untrue() -> None:
    late = "given: {event: Order Completed, order_id: o1, revenue: 10, ago: 90m}"
    assert holds(
        ADDED,
        "advance: 2h",
        late,
        "expect: {stage: {cart: ordered}, taken_back: [cart: abandoned],"
        " changes: {cart: [active, abandoned, ordered]}}",
    )
    assert not holds(ADDED, "advance: 2h", late, "expect: {taken_back: []}")


def test_an_at_that_is_over_comes_late_and_leaves_the_clock() -> None:
    assert holds(
        ADDED,
        "advance: 2h",
        "given: {event: Order Completed, at: 2026-01-01 00:30, order_id: o1}",
        "expect: {taken_back: [cart: abandoned], next: 2026-04-01 00:30}",
    )


def test_events_that_say_no_time_come_in_the_order_in_which_they_are_written() -> None:
    assert holds(
        "given: [{event: Order Completed, order_id: o1}, {event: Product Viewed}]",
        "expect: {changes: {lifecycle: [awareness, purchase]}, reasons: first Order Completed}",
    )


def test_events_of_one_instant_come_in_the_order_of_their_ranks() -> None:
    assert holds(
        "given: [{event: Order Completed, order_id: o1, at: 2026-03-01}, {event: Product Viewed, at: 2026-03-01}]",
        "expect: {reasons: first Product Viewed}",
    )


def test_the_first_time_that_is_said_sets_the_clock() -> None:
    assert holds(
        "given: {event: Product Viewed, at: 1999-01-01}", "expect: {stage: {lifecycle: interest}, taken_back: []}"
    )
    assert holds("at: 1999-01-01", ADDED, "expect: {next: 1999-01-01 01:00}")


def test_the_same_event_twice_counts_once() -> None:
    assert holds(
        "given: {event: Product Viewed, id: v}",
        "given: {event: Product Viewed, id: v}",
        "expect: {facts: {views_7d: 1}}",
    )
    assert holds("given: {event: Product Viewed}", "given: {event: Product Viewed}", "expect: {facts: {views_7d: 2}}")


def test_who_is_not_named_is_who_came_last() -> None:
    assert holds(
        "given: {event: Product Viewed, email: ann@example.com}",
        "given: {event: Product Viewed}",
        "expect: {customers: 1}",
    )
    assert holds(
        "given: {event: Product Viewed}",
        "given: {event: Product Viewed, email: ann@example.com}",
        "expect: {customers: 1}",
    )


def test_two_customers_are_told_apart_by_of() -> None:
    two = ("given: {event: Product Viewed, user_id: ann}", "given: {event: Order Completed, user_id: bob}")
    assert holds(
        *two,
        "expect: {of: {user_id: ann}, stage: {lifecycle: interest}}",
        "expect: {of: {user_id: bob}, changes: {lifecycle: [awareness, purchase]}, customers: 2}",
    )
    assert unmet(*two, "expect: {stage: {lifecycle: interest}}") == [
        ("one customer", "there are several (user_id ann; user_id bob): say which with `of`")
    ]
    assert unmet(*two, "expect: {of: {user_id: eve}, customers: 2}") == [("of user_id eve", "nobody was named so")]


def test_a_login_joins_what_a_device_did_and_announces_nothing_twice() -> None:
    assert holds(
        "given: {event: Product Viewed, anonymous_id: a1}",
        "expect: {stage: {lifecycle: interest}}",
        "given: {event: Customer Identified, anonymous_id: a1, user_id: ann}",
        "expect: {of: {anonymous_id: a1}, customers: 1, changes: [], taken_back: []}",
    )


def test_one_device_and_two_accounts_are_two_customers() -> None:
    assert holds(
        "given: {event: Product Viewed, user_id: ann, anonymous_id: a1}",
        "given: {event: Product Viewed, user_id: bob, anonymous_id: a1}",
        "expect: {customers: 2, of: {user_id: bob}}",
    )


def test_what_a_browser_reports_counts_where_browsers_are_trusted() -> None:
    said = "given: {event: Order Completed, order_id: o1, said_by: browser}"
    assert holds(said, "expect: {facts: {orders: 0}}")
    assert holds(said, "expect: {facts: {orders: 1}}", shop=trusting())


def test_an_event_of_a_shops_own_with_properties_of_its_own_is_played() -> None:
    own = model(
        "extends: seven-stage\ntracks: {lifecycle: {stages: {vip: {enter: [{on: Tea Taken, when: event.cups > 1}]}}}}"
    )
    assert holds("given: {event: Tea Taken, properties: {cups: 2}}", "expect: {stage: {lifecycle: vip}}", by=own)


def test_nothing_given_is_no_customer() -> None:
    assert unmet("expect: {stage: {lifecycle: interest}}") == [("a customer", "nothing was given yet")]


def test_hundreds_of_scenarios_take_seconds(tmp_path: Path) -> None:
    steps = "\n".join(
        f"  - {step}"
        for step in (ADDED, "advance: 2h", ORDERED, "advance: 100d", "expect: {stage: {lifecycle: at_risk}}")
    )
    path = tmp_path / "many.yaml"
    path.write_text("\n".join(f"story {n}:\n{steps}" for n in range(300)), encoding="utf-8")
    began = time.process_time()
    found = read_file(path, SEVEN, SHOP)
    assert all(play(scenario, SEVEN, SHOP).failed is None for scenario in found.scenarios)
    assert len(found.scenarios) == 300
    assert time.process_time() - began < 6  # about one on a free machine; several times that is a fault of ours
