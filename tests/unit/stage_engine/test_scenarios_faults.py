"""Scenarios: what a file may not say, each fault at its line and column, with the fix."""

import msgspec
import pytest
from jsonschema import Draft202012Validator

from stage_engine.scenarios.written import ScenariosWritten
from tests.unit.stage_engine.scenario_builders import faults, reading

EXPECT = "  - expect: {stage: {lifecycle: interest}}"


def step(said: str) -> list[str]:
    return faults(f"a:\n  - {said}\n{EXPECT}")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("{give: {event: Product Viewed}}", "2:6 `give` is not known here; did you mean `given`?"),
        (
            "{given: {event: Product Viewed, prodct_id: p}}",
            "2:37 `prodct_id` is not known here; did you mean `product_id`?",
        ),
        ("{given: {at: 2026-03-01}}", "2:6 `event` is missing; write it, as in `event: …`"),
        ("{given: {event: Product Veiwed}}", "2:14 there is no event `Product Veiwed`; did you mean `Product Viewed`?"),
        ("{given: {event: product_viewed}}", "2:14 there is no event `product_viewed`; did you mean `Product Viewed`?"),
        ("{given: {event: Product Viewed, at: now}}", "2:37 `now` is no time; write it as in 2026-03-01 10:00"),
        (
            "{given: {event: Product Viewed, ago: long}}",
            "2:37 `long` is no duration; write it as in 30m, 6h, 90d or 1h30m",
        ),
        (
            "{given: {event: Product Viewed, at: 2026-03-01, ago: 1h}}",
            "2:53 it happened `at` a time or some time `ago`; say one of the two",
        ),
        (
            "{given: {event: Order Shipped, said_by: browser}}",
            "2:36 a browser may not say Order Shipped: it would be a dead letter; leave `said_by` to the server",
        ),
        ("{given: {event: Product Viewed, said_by: me}}", "2:37 `me` can't be said here; known are: server, browser"),
        ("{advance: soon}", "2:6 `soon` is no duration; write it as in 30m, 6h, 90d or 1h30m"),
        ("{advance: 40000d}", "2:6 `40000d` is too long a time; write at most 36525d"),
        ("{at: 9999-12-31}", "2:6 9999-12-31 is not within 1900 and 2200: no shop reports such a time"),
        (
            "{at: 0001-01-01T00:00:00+14:00}",
            "2:6 `0001-01-01T00:00:00+14:00` is no time; write it as in 2026-03-01 10:00",
        ),
        ("{advance: 7}", "2:6 here should stand a text, not a whole number; write it as in 1h30m, 7d"),
        (
            "{advance: 7d, expect: {customers: 1}}",
            "2:5 a step is one of `given`, `at`, `advance` and `expect`; begin each with its own `-`",
        ),
        ("{expect: {}}", "2:6 nothing is expected here; write, as in `expect: {stage: {lifecycle: interest}}`"),
        ("{expect: {stages: {cart: active}}}", "2:15 `stages` is not known here; did you mean `stage`?"),
        ("{expect: {stage: {carts: active}}}", "2:23 the model has no track `carts`; did you mean `cart`?"),
        (
            "{expect: {stage: {cart: aktive}}}",
            "2:23 `cart` has no stage `aktive`; did you mean `active`?",
        ),
        (
            "{expect: {stage: {cart: {c1: xyz}}}}",
            "2:30 `cart` has no stage `xyz`; there are: active, abandoned, ordered",
        ),
        ("{expect: {changes: [cart: gone]}}", "2:25 `cart` has no stage `gone`; there are: active, abandoned, ordered"),
        ("{expect: {not: {facts: {order: 1}}}}", "2:29 the model has no fact `order`; did you mean `orders`?"),
        ("{expect: {of: {user_id: guest}}}", "2:15 this names nobody; write, as in `of: {user_id: u1}`"),
        (
            "{expect: {next: soon}}",
            "2:15 `soon` is no duration; write it as in 30m, 6h, 90d or 1h30m or a time, or `never`",
        ),
    ],
)
def test_a_step_that_can_not_be_meant_is_refused_at_its_place(said: str, fault: str) -> None:
    assert step(said) == [fault]


def test_a_clock_does_not_go_back() -> None:
    text = f"a:\n  - at: 2026-03-02\n  - at: 2026-03-01\n{EXPECT}"
    assert faults(text) == ["3:5 it is 2026-03-02 00:00 by now; a clock does not go back"]


def test_a_clock_stays_where_shops_are() -> None:
    steps = "\n".join("  - advance: 36000d" for _ in range(2))
    assert faults(f"a:\n{steps}\n{EXPECT}") == [
        "3:5 2223-02-18 is not within 1900 and 2200: no shop reports such a time"
    ]


def test_a_scenario_has_to_expect_something() -> None:
    fault = "nothing is expected here; end it with `- expect: {stage: {…}}`"
    assert faults("a: []\nb:\n  - given: {event: Product Viewed}") == [f"1:1 {fault}", f"2:1 {fault}"]


def test_a_file_that_is_no_mapping_is_refused() -> None:
    assert faults("- given: {event: Product Viewed}") == [
        "1:1 here should stand a mapping (`name: …`), not a list; write a mapping (`name: …`)"
    ]


def test_all_faults_are_told_at_once_by_line_and_the_sound_scenarios_stay() -> None:
    text = (
        f"a:\n  - advance: soon\n  - given: {{event: X, att: 1}}\n{EXPECT}\nb:\n  - given: {{event: X}}\n{EXPECT}\nc: 3"
    )
    assert [fault.split(" ")[0] for fault in faults(text)] == ["2:5", "3:23", "8:1"]
    assert [scenario.name for scenario in reading(text).scenarios] == ["b"]


def test_an_event_that_nobody_knows_is_the_shops_own() -> None:
    assert step("given: {event: Tea Taken}") == []


def test_editors_check_the_same_form() -> None:
    schema = msgspec.json.schema(ScenariosWritten)
    check = Draft202012Validator(schema)
    good = {"a": [{"given": {"event": "X", "order_id": 7}}, {"expect": {"stage": {"cart": {"c1": "active"}}}}]}
    assert check.is_valid(good)
    assert not check.is_valid({"a": [{"given": {"event": "X", "prodct_id": 7}}]})
    assert not check.is_valid({"a": [{"gven": {"event": "X"}}]})
