"""What conditions mean, by example."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from services.conditions import MISSING, Names, compile_condition, compile_expression

NAMES = Names(
    open={"event", "traits"},
    closed={
        "facts": {"orders": "int", "revenue": "money", "last_order_at": "timestamp", "nps": "any"},
        "cart": {"items": "list", "value": "money"},
        "stages": {"lifecycle": "string"},
    },
)
SCOPE: dict[str, Any] = {
    "event": {
        "kind": "nps",
        "score": 9,
        "rating": 4.5,
        "text": "9",
        "gift": True,
        "coupon": None,
        "zero": 0,
        "empty": "",
        "First Name": "Ada",
        "tags": ["new", "sale", None],
        "address": {"city": "Köln", "lines": ["a", "b"]},
        "at": "2026-01-08T00:00:00Z",
        "big": 2**63 - 1,
        "huge": 1e308,
    },
    "facts": {"orders": 2, "revenue": Decimal("19.90"), "last_order_at": datetime(2026, 1, 1, tzinfo=UTC), "nps": None},
    "cart": {"items": [{"price": 5, "n": 1}, {"price": 120.5, "n": 2}], "value": Decimal("246.00")},
    "stages": {"lifecycle": "purchase"},
}


def holds(text: str, scope: dict[str, Any] | None = None) -> bool:
    return compile_condition(text, NAMES).holds(SCOPE if scope is None else scope)


def value(text: str) -> Any:  # noqa: ANN401  whatever the text comes to
    return compile_expression(text, NAMES).value(SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "facts.orders == 2",
        "facts.orders == 2.0",
        "2 <= facts.orders",
        'event.kind == "nps" && event.score >= 9',
        "event.kind == 'nps'",
        'event.kind in ["csat", "nps"]',
        "event.score in [1, 9.0]",
        'event["First Name"] == "Ada"',
        'event.address.city == "Köln"',
        'event.address.lines[1] == "b"',
        'event.tags == ["new", "sale", null]',
        "event.gift",
        "!(event.score > 9)",
        "event.gift ? event.score == 9 : false",
        "size(cart.items) > 0",
        "cart.items.size() == 2",
        'size("Köln") == 4',
        'event.kind.startsWith("n") && event.kind.endsWith("s") && event.kind.contains("p")',
        "cart.items.exists(item, item.price > 100)",
        "cart.items.all(item, item.n > 0)",
        "cart.items[1].price == 120.5",
        "false || false || event.score == 9",
        '"city" in event.address',
        'stages.lifecycle != "churned"',
        "-event.score < 0",
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9",
        "7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1",
        "0x10 == 16 && .5 == 0.5 && 1e3 == 1000",
        r'"a\tb\x41é\"" == "a	bA\u00e9\""',
        'int(event.text) == 9 && double("4.5") == event.rating && string(event.score) == event.text',
        'string(true) == "true" && string(1.0) == "1" && int(-1.9) == -1',
    ],
)
def test_what_is_so_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text", ["9 {} event.score", "event.score {} 9", "event.score {} event.rating * 2", "'x' {} 'x'"]
)
def test_each_sign_means_the_same_on_either_side(text: str) -> None:
    signs = ("==", "!=", "<", "<=", ">", ">=")
    assert [sign for sign in signs if holds(text.format(sign))] == ["==", "<=", ">="]
    below = text.replace("9 {}", "8 {}").replace("{} 9", "{} 10").replace("* 2", "* 3").replace("{} 'x'", "{} 'y'")
    assert [sign for sign in signs if holds(below.format(sign))] == ["!=", "<", "<="]


class TestMissing:
    @pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
    @pytest.mark.parametrize(
        "missing",
        [
            "event.no",
            "event.no.more",
            "event.coupon",
            "facts.nps",
            "event.tags[3]",
            "event.tags[2]",
            "event.tags[-1]",
            'traits["x"]',
            "event.score.x",
            "event.kind[0]",
            "event.no + 1",
            "-event.no",
            "size(event.no)",
            'event["no"].size()',
            "(event.gift ? event.no : 1)",
        ],
    )
    def test_every_comparison_with_what_is_missing_is_false(self, missing: str, sign: str) -> None:
        assert not holds(f"{missing} {sign} 1")
        assert not holds(f"1 {sign} {missing}")
        assert not holds(f"{missing} {sign} {missing}")

    def test_not_of_a_false_comparison_is_true(self) -> None:
        assert holds("!(event.no > 1)")

    def test_where_true_or_false_is_needed_what_is_missing_is_false(self) -> None:
        assert not holds("event.no")
        assert holds("!event.no")
        assert holds("event.no ? false : true")
        assert holds("event.no || true")
        assert not holds("event.no && true")

    def test_a_text_or_a_number_is_not_true(self) -> None:
        assert not holds("event.kind")
        assert not holds("event.score")

    def test_has_says_what_is_there(self) -> None:
        assert holds("has(event.zero) && has(event.empty) && has(event.address.city)")
        assert holds('has(event["First Name"])')
        assert not holds("has(event.no)")
        assert not holds("has(event.no.more)")
        assert not holds("has(event.coupon)")  # a null is as good as missing

    def test_an_empty_scope_is_all_missing(self) -> None:
        assert not holds("facts.orders == 2", {})
        assert not holds('event.kind in ["nps"]', {})
        assert not holds("cart.items.all(item, true)", {})

    def test_what_is_missing_is_in_nothing_and_nothing_is_in_it(self) -> None:
        assert not holds("event.no in event.tags")
        assert not holds("1 in event.no")
        assert not holds("event.no in [event.no]")

    def test_a_list_that_names_something_missing_is_missing(self) -> None:
        assert not holds("event.score in [9, event.no]")

    def test_an_expression_says_that_it_is_missing(self) -> None:
        assert value("event.no") is MISSING
        assert value("event.coupon") is MISSING
        assert value("null") is MISSING
        assert not MISSING


class TestKinds:
    @pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
    @pytest.mark.parametrize(
        ("left", "right"),
        [
            ("event.text", "9"),
            ("event.score", '"9"'),
            ("event.gift", "1"),
            ("event.gift", '"true"'),
            ("event.at", 'timestamp("2026-01-08T00:00:00Z")'),
            ("event.tags", "event.address"),
            ("event.score", 'duration("9s")'),
        ],
    )
    def test_what_can_not_be_compared_is_false(self, left: str, right: str, sign: str) -> None:
        if sign in ("==", "!=") or "event.tags" not in left:
            assert not holds(f"{left} {sign} {right}")
            assert not holds(f"{right} {sign} {left}")

    def test_true_is_not_one(self) -> None:
        assert not holds("1 in [event.gift]")
        assert not holds("event.tags[event.gift] == 'sale'")

    def test_lists_and_maps_have_no_order(self) -> None:
        assert not holds("event.tags < event.tags")
        assert not holds("event.address >= event.address")

    def test_lists_are_equal_by_what_they_hold(self) -> None:
        assert holds("event.address.lines == ['a', 'b']")
        assert holds("event.address.lines != ['a', 1]")
        assert holds("[event.score, [1.0]] == [9.0, [1]]")

    def test_what_is_nested_beyond_reason_can_not_be_compared(self) -> None:
        deep: list[Any] = []
        for _ in range(500):
            deep = [deep]
        scope = {"event": {"a": deep, "b": [*deep]}}
        assert not holds("event.a == event.b", scope)
        assert not holds("event.a != event.b", scope)

    def test_a_time_without_an_offset_is_none(self) -> None:
        scope = {"facts": {"last_order_at": datetime(2026, 1, 1)}}  # noqa: DTZ001  the point of it
        assert not holds('facts.last_order_at >= timestamp("0001-01-01T00:00:00Z")', scope)

    def test_any_mapping_serves_as_scope(self) -> None:
        scope = MappingProxyType({"event": MappingProxyType({"a": {"b": 1}})})
        assert compile_condition("event.a.b == 1", NAMES).holds(scope)


class TestMoney:
    @pytest.mark.parametrize(
        "text",
        [
            "facts.revenue == 19.9",
            "facts.revenue == 19.90",
            "19.9 == facts.revenue",
            "facts.revenue > 19",
            "facts.revenue < 20",
            "facts.revenue in [1, 19.9]",
            "facts.revenue + 0.1 == 20",
            "facts.revenue * 3 == 59.7",
            "facts.revenue / facts.orders == 9.95",
            "facts.revenue - cart.value == -226.1",
            "0.1 + 0.2 != 0.3",
            "facts.revenue - facts.revenue + 0.1 + 0.2 == 0.3",
            "double(facts.revenue) == 19.9",
            "int(facts.revenue) == 19",
            'string(facts.revenue) == "19.90"',
        ],
    )
    def test_money_is_exact(self, text: str) -> None:
        assert holds(text)

    @pytest.mark.parametrize("odd", ["NaN", "sNaN", "Infinity", "1E+999999", "1E-999999", "-0"])
    def test_odd_amounts_never_raise(self, odd: str) -> None:
        scope = {"event": {"a": Decimal(odd), "f": float("nan"), "i": 10**400}}
        for sign in ("==", "!=", "<", "<=", ">", ">="):
            for other in ("1", "1.5", "event.a", "event.f", "event.i", "event.a * event.i", "event.a / event.a"):
                holds(f"event.a {sign} {other}", scope)
        holds('string(event.a) == "" || int(event.a) == 1 || double(event.a) == 1.0 || int(event.f) == 1', scope)

    def test_what_is_no_number_equals_no_amount(self) -> None:
        assert not holds("event.a != 1", {"event": {"a": Decimal("NaN")}})


class TestBeyondNumbers:
    @pytest.mark.parametrize(
        "nothing",
        [
            "event.score / event.zero",
            "event.score % event.zero",
            "event.rating / event.zero",
            "facts.revenue / event.zero",
            "event.big + 1",
            "event.huge * 10",
            "event.rating % 2",
            'int("many")',
            'int("99999999999999999999")',
            "int(event.huge)",
            'double("inf")',
            "duration(event.kind)",
            "timestamp(event.kind)",
            "event.kind - event.kind",
            "event.score + event.kind",
        ],
    )
    def test_what_can_not_be_worked_out_is_missing(self, nothing: str) -> None:
        assert value(nothing) is MISSING

    def test_joined_texts_and_lists_have_a_limit(self) -> None:
        scope = {"event": {"a": "x" * 60_000, "l": [1] * 600}}
        assert compile_expression("event.a + event.a", NAMES).value(scope) is MISSING
        assert compile_expression("event.l + event.l", NAMES).value(scope) is MISSING


class TestTimes:
    @pytest.mark.parametrize(
        "text",
        [
            'facts.last_order_at == timestamp("2026-01-01T01:00:00+01:00")',
            'facts.last_order_at > timestamp("2025-12-31T23:59:59.999999Z")',
            'timestamp(event.at) - facts.last_order_at == duration("7d")',
            'timestamp(event.at) - facts.last_order_at >= duration("168h")',
            'facts.last_order_at + duration("7d") == timestamp(event.at)',
            'timestamp(event.at) - duration("1w") == facts.last_order_at',
            'duration("1h30m") == duration("1.5h") && duration("-5m") < duration("0")',
            'duration("90s") + duration("500ms") == duration("1m30.5s")',
            'string(facts.last_order_at) == "2026-01-01T00:00:00Z"',
            'string(duration("1.5s")) == "1.500s"',
            "int(facts.last_order_at) == 1767225600",
        ],
    )
    def test_times_and_lengths_of_time(self, text: str) -> None:
        assert holds(text)

    def test_an_expression_gives_them_as_python_has_them(self) -> None:
        assert value('timestamp("2026-01-01T00:00:00Z")') == datetime(2026, 1, 1, tzinfo=UTC)
        assert value('duration("1h30m")') == timedelta(hours=1, minutes=30)

    @pytest.mark.parametrize(
        "text", ["2026-01-01", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00", "٢٠٢٦"]
    )
    def test_a_text_that_is_no_time_is_missing(self, text: str) -> None:
        assert not holds('timestamp(event.t) > timestamp("0001-01-01T00:00:00Z")', {"event": {"t": text}})


class TestBounds:
    def test_more_than_a_thousand_values_are_not_looked_at(self) -> None:
        for count, so in ((1000, True), (1001, False)):
            scope = {"event": {"l": [1] * count}}
            assert holds("event.l.exists(x, x == 1)", scope) is so
            assert holds("event.l.all(x, x == 1)", scope) is so

    def test_nested_macros_share_one_allowance(self) -> None:
        text = "event.l.all(x, event.l.all(y, x + y == 2))"
        assert holds(text, {"event": {"l": [1] * 90}})
        assert not holds(text, {"event": {"l": [1] * 200}})

    def test_every_evaluation_has_its_own_allowance(self) -> None:
        condition = compile_condition("event.l.all(x, event.l.all(y, x == y))", NAMES)
        assert [condition.holds({"event": {"l": [1] * 90}}) for _ in range(5)] == [True] * 5

    def test_the_scope_is_left_as_it_was(self) -> None:
        scope = {"event": {"l": [1, 2]}}
        holds("event.l.exists(x, event.l.exists(y, y > x))", scope)
        assert scope == {"event": {"l": [1, 2]}}


class TestReads:
    @pytest.mark.parametrize(
        ("text", "reads"),
        [
            ("facts.orders >= 2", {("facts", "orders")}),
            ("cart.items.exists(i, i.price > facts.orders)", {("cart", "items"), ("facts", "orders")}),
            ("cart.items[0].price > 1", {("cart", "items")}),
            (
                'event["First Name"] == "Ada" && has(event.address.city)',
                {("event", "First Name"), ("event", "address", "city")},
            ),
            ("size(traits) > 0", {("traits",)}),
            ("true", set()),
        ],
    )
    def test_the_paths_that_a_text_reads(self, text: str, reads: set[tuple[str, ...]]) -> None:
        assert compile_condition(text, NAMES).reads == reads
        assert compile_expression(text, NAMES).reads == reads

    def test_conditions_of_one_text_are_equal(self) -> None:
        assert compile_condition("facts.orders > 1", NAMES) == compile_condition("facts.orders > 1", NAMES)
