"""A condition taken apart: what holds of it and what not."""

import pytest

from services.conditions import Names, compile_condition, explain

NAMES = Names(open=frozenset({"event", "facts"}))


def parts(text: str) -> list[str]:
    return [one.text for one in explain(compile_condition(text, NAMES), {})]


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("facts.orders >= 2", ["facts.orders >= 2"]),
        ("facts.a > 1 && event.b == 'x && y'", ["facts.a > 1", "event.b == 'x && y'"]),
        ("facts.a && (facts.b || facts.c) && facts.d", ["facts.a", "facts.b || facts.c", "facts.d"]),
        ("((facts.a && facts.b)) && !(facts.c && facts.d)", ["facts.a", "facts.b", "!(facts.c && facts.d)"]),
        ("facts.a || facts.b && facts.c", ["facts.a || facts.b && facts.c"]),
        ("facts.a && facts.b ? facts.c : facts.d", ["facts.a && facts.b ? facts.c : facts.d"]),
        ("facts.l.exists(x, x > 1 && x < 3) && facts.a[0]", ["facts.l.exists(x, x > 1 && x < 3)", "facts.a[0]"]),
        ("(facts.a) && (facts.b) == (facts.c)", ["facts.a", "(facts.b) == (facts.c)"]),
        ("facts.a\n  && facts.b", ["facts.a", "facts.b"]),
    ],
)
def test_a_condition_is_taken_apart_at_its_top_level_and(text: str, apart: list[str]) -> None:
    assert parts(text) == apart


def test_each_conjunct_says_whether_it_holds_and_what_it_reads() -> None:
    condition = compile_condition("facts.orders >= 2 && event.score >= 9 && has(facts.nps)", NAMES)
    found = explain(condition, {"facts": {"orders": 1, "nps": 10}, "event": {"score": 9}})
    assert [one.holds for one in found] == [False, True, True]
    assert [set(one.reads) for one in found] == [{("facts", "orders")}, {("event", "score")}, {("facts", "nps")}]
