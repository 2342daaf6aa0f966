"""What can be told of a condition before anything has happened."""

import pytest

from services.conditions.never import always, claims, why_never

COUNTS = {("facts", "n")}


@pytest.mark.parametrize(
    "text",
    [
        "facts.n > 5 && facts.n < 3",
        "facts.n > 5 && facts.n < 6",
        "3 > facts.n && facts.n > 2.5",
        "facts.n < 0",
        "facts.n <= -1",
        "facts.n == 1 && facts.n >= 2",
        "facts.n == 1 && event.x && facts.n == 2",
        "event.x > 3 && event.x <= 3",
        'event.kind == "nps" && event.kind == "csat"',
        'event.kind == "nps" && event.kind != "nps"',
        'event.kind != "nps" && event.kind == "nps"',
    ],
)
def test_what_rules_itself_out_is_told(text: str) -> None:
    assert why_never(text, COUNTS) is not None


@pytest.mark.parametrize(
    "text",
    [
        "facts.n > 5 && facts.n < 7",
        "event.x > 5 && event.x < 6",
        "event.x >= 3 && event.x <= 3",
        "facts.n == 1 || facts.n == 2",
        "event.x < 0",
        "facts.n == 1 && event.n == 2",
        'event.kind == "nps" && event.score >= 9',
        'event.kind != "nps" && event.kind != "csat"',
        "!(facts.n == 1) && facts.n == 1",
    ],
)
def test_what_may_hold_or_is_not_cheap_to_tell_is_left_alone(text: str) -> None:
    assert why_never(text, COUNTS) is None


@pytest.mark.parametrize(
    ("text", "said"), [("facts.n >= 0", ["facts.n >= 0"]), ("facts.n > 0", []), ("event.x >= 0", [])]
)
def test_a_count_is_never_below_nothing(text: str, said: list[str]) -> None:
    assert [str(claim) for claim in always(text, COUNTS)] == said


def test_every_comparison_with_a_value_is_found() -> None:
    text = 'stages.way in ["a", "b"] || !(stages.way == "c") || event.items.exists(i, "d" != stages.way)'
    assert [claim.value for claim in claims(text)] == ["a", "b", "c", "d"]
