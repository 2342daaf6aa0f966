"""What a condition's author is told: what is wrong, where, and the fix."""

# ruff: noqa: E501  a message stands whole beside the text that it is about

import pytest

from services.conditions import ConditionError, Names, compile_condition, compile_expression
from services.errors import ConfigurationError

NAMES = Names(
    open={"event", "traits"},
    closed={
        "facts": {"orders": "int", "revenue": "money", "last_order_at": "timestamp", "nps": "any"},
        "cart": {"items": "list", "value": "money"},
        "stages": {"lifecycle": "string"},
    },
)


def fault(text: str) -> ConditionError:
    with pytest.raises(ConditionError) as raised:
        compile_condition(text, NAMES)
    return raised.value


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("facts.orders >= 2 &&", 21, "unexpected end: a value is missing after &&; write one"),
        ("facts.orders >=", 16, "unexpected end: a value is missing after >=; write one"),
        ("", 1, "the condition is empty; write one as in facts.orders >= 2"),
        ("== 2", 1, "unexpected `==`: a value is missing at the beginning; write one"),
        ("(event.a", 9, "unexpected end: `)` is missing to close the parenthesis at character 1"),
        ("event.a)", 8, "`)` closes nothing"),
        ("event.a[0", 10, "unexpected end: `]` is missing to close the bracket at character 8"),
        ("event.", 7, "unexpected end: a name is missing after the point"),
        ("event.in", 7, '`in` is a word of the language; write ["in"]'),
        ("event.a = 1", 9, "`=` means nothing here; write `==` to compare"),
        ("event.a === 1", 9, "`===` means nothing here; write `==`"),
        ("event.a <> 1", 9, "`<>` means nothing here; write `!=`"),
        ("event.a & event.b", 9, "`&` means nothing here; write `&&`"),
        ("event.a and event.b", 9, "`and` means nothing here; write &&"),
        ("not event.a", 1, "`not` means nothing here; write !"),
        ("event.a == True", 12, "`True` is written true"),
        ('event.a == "x', 12, 'this text has no end; close it with "'),
        ("event.a == “x”", 12, '`“` means nothing here; write straight quotes: "…"'),
        (r'event.a == "\q"', 13, r"`\q` is no escape; a backslash itself is written \\"),
        (r'event.a == "\ud800"', 13, r"`\u` is no escape; a backslash itself is written \\"),
        ("event.a > 7d", 11, 'a length of time is written duration("7d")'),
        ("event.a > 7x", 11, "`7x` is no number"),
        ("event.a == 9223372036854775808", 12, "9223372036854775808 is too large; whole numbers go up to 9223372036854775807"),
        ("event.a < 1e999", 11, "1e999 is too large"),
        ("event.a event.b", 9, "`event` can't follow a; conditions are joined with && or ||"),
        ("1 < facts.orders < 3", 18, "comparisons can't be chained; write a < b && b < c"),
        ("event.a ? true", 15, "unexpected end: `:` is missing (a choice is written condition ? this : that)"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_says_where_and_what_to_write(text: str, column: int, message: str) -> None:
    error = fault(text)
    assert (error.column, str(error)) == (column, message)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("fact.orders > 1", 1, "`fact` is not known here; did you mean facts?"),
        ("orders > 1", 1, "`orders` is not known here; did you mean facts.orders?"),
        ('kind == "nps"', 1, "`kind` is not known here; did you mean event.kind?"),
        ("true && facts.ordrs > 1", 15, "`facts` has no `ordrs`; did you mean facts.orders?"),
        ("facts.items > 1", 7, "`facts` has no `items`; did you mean cart.items?"),
        ('facts["ordrs"] > 1', 7, "`facts` has no `ordrs`; did you mean facts.orders?"),
        ("has(stages.order)", 12, "`stages` has no `order`; known are: lifecycle"),
        ("len(cart.items) > 0", 1, "there is no function `len` here; there are: size, has, string, int, double, duration, timestamp"),
        ('event.a.startswith("x")', 9, "there is no function `startswith` here; did you mean startsWith?"),
        ('contains(event.a, "x")', 1, "`contains` stands after what it is about: event.name.contains(…)"),
        ("event.a.int() > 1", 9, "`int` stands before what it is about: int(…)"),
        ("has(event)", 1, "`has` takes one property, as in has(event.coupon)"),
        ("size() > 1", 1, "`size` takes one value: size(…)"),
        ("event.a.exists(1, true)", 16, "unexpected `1`: `exists` first takes a name for each value, as in cart.items.exists(item, item.price > 5)"),
        ("event.a.exists(event, true)", 9, "`event` already means something; take another name"),
        ("event.a.exists(x, x > 1) && x", 29, "`x` is not known here; did you mean event.x?"),
    ],
)  # fmt: skip
def test_what_is_not_known_says_what_is(text: str, column: int, message: str) -> None:
    error = fault(text)
    assert (error.column, str(error)) == (column, message)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ('facts.orders == "2"', 17, "a number can't be compared with a text; write 2 without quotes"),
        ("stages.lifecycle == 2", 21, 'a text can\'t be compared with a number; write "2" with quotes'),
        ('facts.orders in [1, "2"]', 21, "a number can't be compared with a text; write 2 without quotes"),
        ('facts.last_order_at > "2026-01-01"', 23, 'a time can\'t be compared with a text; write the time as timestamp("2026-01-31T00:00:00Z")'),
        ("facts.last_order_at - facts.last_order_at > 7", 45, 'a length of time can\'t be compared with a number; write the length of time as duration("7d")'),
        ('event.at > timestamp("2026-01-01")', 22, '"2026-01-01" is no time; write it as in 2026-01-31T00:00:00Z'),
        ('event.at > duration("soon")', 21, '"soon" is no length of time; write it as in 30m, 6h, 7d or 1h30m'),
        ("event.coupon == null", 17, "nothing is ever equal to null; ask has(event.coupon) or !has(event.coupon)"),
        ("facts.orders", 7, "`facts.orders` is a number, where true or false is needed; compare it, as in facts.orders > 0"),
        ("event.a && stages.lifecycle", 19, '`stages.lifecycle` is a text, where true or false is needed; compare it, as in stages.lifecycle == "…"'),
        ("!cart.items", 7, "`cart.items` is a list, where true or false is needed; compare it, as in cart.items.exists(…)"),
        ("cart.items > 0", 14, "a list can't be compared with a number; compare its size(…)"),
        ("cart.items > cart.items", 12, "a list has no order; compare its size(…)"),
        ("cart.items.price > 5", 12, "a list has no `price`; take a value, [0].price, or ask them all, .exists(item, item.price …)"),
        ("facts.orders.x == 1", 14, "a number has no `x`"),
        ('"a" in stages.lifecycle', 5, '`in` looks into lists and maps; whether a text holds another is asked with event.name.contains("shoe")'),
        ('facts.orders + "a" == "2a"', 14, "`+` can't join a number and a text"),
        ("facts.revenue % 2 == 0", 7, "`%` takes whole numbers, and this is an amount"),
        ("-stages.lifecycle == 1", 1, "`-` takes a number, and this is a text"),
        ("size(facts.orders) > 1", 12, "`size` takes a list, a map or a text, and this is a number"),
        ("facts.orders.exists(x, true)", 14, "`exists` goes over a list, and this is a number"),
        ('(event.a ? 1 : "x") == 1', 10, "both sides of a choice must be of one kind, and these are a number and a text"),
    ],
)  # fmt: skip
def test_kinds_that_do_not_go_together_are_refused(text: str, column: int, message: str) -> None:
    error = fault(text)
    assert (error.column, str(error)) == (column, message)


class TestBounds:
    def test_a_text_has_at_most_two_thousand_characters(self) -> None:
        text = "event.a || " * 181 + "event.abc"
        assert len(text) == 2000
        assert compile_condition(text, NAMES).holds({"event": {"abc": True}})
        assert "2,000 characters" in str(fault(text + " "))

    @pytest.mark.parametrize(
        "deep",
        ["(" * 41, "[" * 41, "!" * 41 + "true", "event" + ".a" * 41, "1" + "+1" * 41 + " > 1", "true ? true : " * 41 + "true", "size(" * 41],
    )  # fmt: skip
    def test_nesting_has_a_limit(self, deep: str) -> None:
        assert "nested more than 40 deep" in str(fault(deep))

    def test_forty_deep_is_no_fault(self) -> None:
        assert compile_condition("(" * 39 + "true" + ")" * 39, NAMES).holds({})
        assert compile_condition("!" * 38 + "true", NAMES).holds({})

    def test_a_list_has_at_most_a_hundred_values(self) -> None:
        assert compile_condition(f"1 in [{', '.join(['1'] * 100)}]", NAMES).holds({})
        assert "at most 100 values" in str(fault(f"1 in [{', '.join(['1'] * 101)}]"))

    def test_macros_nest_two_deep(self) -> None:
        assert "nested 2 deep" in str(fault("event.a.all(x, x.all(y, y.all(z, z)))"))

    def test_every_name_is_checked_once_however_deep(self) -> None:
        class Counted(frozenset[str]):
            asked = 0

            def __contains__(self, name: object) -> bool:
                type(self).asked += 1
                return super().__contains__(name)

        compile_expression("event.a in [" * 12 + "event.a" + "]" * 12, Names(open=Counted({"event"})))
        assert Counted.asked < 100  # twice at each level would be thousands


def test_an_expression_may_be_of_any_kind() -> None:
    assert compile_expression("facts.orders", NAMES).kind == "int"
    assert compile_expression("facts.revenue * 2", NAMES).kind == "money"
    assert compile_expression("event.a", NAMES).kind == "any"


def test_a_fault_is_one_of_the_configuration() -> None:
    assert isinstance(fault("facts."), ConfigurationError)
