"""What a plan says of a model: every difference in words, and nothing else."""

from typing import Any

import pytest

from stage_engine.model.differences import differences, file_differences, model_differences


def track(**stages: Any) -> dict[str, Any]:  # noqa: ANN401  any YAML
    return {"tracks": {"lifecycle": {"stages": stages}}}


RISK = {"after": "90d", "since": "facts.last_order_at", "from": ["purchase"]}
BACK = {"on": "Order Completed", "from": "churned"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, []),
        ({"facts": {"orders": {"count": "a"}}}, {"facts": {}}, ["fact `orders` is gone"]),
        (
            {},
            {"facts": {"views": {"count": "Viewed", "within": "7d"}}},
            ["fact `views` is new: {count: Viewed, within: 7d}"],
        ),
        (
            {"facts": {"views": {"count": "Viewed"}}},
            {"facts": {"views": {"count": ["Viewed", "Seen"]}}},
            ["fact `views`: {count: Viewed} → {count: [Viewed, Seen]}"],
        ),
        (
            track(at_risk={"enter": [RISK]}),
            track(at_risk={"enter": [{**RISK, "after": "60d"}]}),
            ["stage `lifecycle.at_risk`, rule 1: `after` 90d → 60d"],
        ),
        (
            track(at_risk={"enter": [RISK]}),
            track(at_risk={"enter": [{**RISK, "when": "true"}]}),
            ["stage `lifecycle.at_risk`, rule 1: `when` nothing → true"],
        ),
        (
            track(at_risk={"enter": [RISK]}),
            track(at_risk={"enter": [BACK, RISK]}),
            ["stage `lifecycle.at_risk`: the rule {on: Order Completed, from: churned} is new"],
        ),
        (
            track(a={"start": True}, b={}),
            track(b={}, a={"start": True, "final": True}, c=None),
            [
                "stage `lifecycle.a`: `final` nothing → true",
                "stage `lifecycle.c` is new",
                "the stages of `lifecycle` are listed in another order: b, a, c",
            ],
        ),
        (
            {"tracks": {"cart": {"per": "cart", "stages": {}}, "b": {"stages": {}}}},
            {"tracks": {"b": {"stages": {}}, "cart": {"per": "order", "stages": {}}}},
            ["track `cart`: `per` cart → order", "the tracks are listed in another order: b, cart"],
        ),
    ],
)
def test_a_model_s_differences_are_said(before: dict[str, Any], after: dict[str, Any], said: list[str]) -> None:
    assert model_differences(before, after) == said


def test_what_has_names_is_told_apart_by_them() -> None:
    before = {"a": {"wait": "1h", "template": "x"}, "b": {"wait": "2h"}}
    after = {"a": {"wait": "3h", "max_age": "1d", "template": "x"}, "c": {}}
    assert differences("follow-up", before, after) == [
        "follow-up `a`: `wait` 1h → 3h",
        "follow-up `a`: `max_age` nothing → 1d",
        "follow-up `b` is gone",
        "follow-up `c` is new",
    ]


def test_of_files_it_is_said_how_much_is_otherwise() -> None:
    before = {"templates/a.mjml": b"one\ntwo\n", "templates/b.mjml": b"x", "same": b"y", "p.png": b"\xff\x00"}
    after = {"templates/a.mjml": b"one\nthree\nfour\n", "same": b"y", "new": b"", "p.png": b"\xff"}
    assert file_differences(before, after) == [
        "new is new",
        "p.png says something else (2 → 1 bytes)",
        "templates/a.mjml says something else (+2, -1 lines)",
        "templates/b.mjml is gone",
    ]
