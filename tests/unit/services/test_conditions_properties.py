"""Conditions beside Google's own CEL, and against whatever people and shops may write."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from cel_expr_python import cel
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from services.conditions import (
    MISSING,
    Condition,
    ConditionError,
    Names,
    compile_condition,
    compile_expression,
    explain,
)

SHORT = settings(max_examples=200, deadline=None)  # two cores are shared: a deadline would be chance
NAMES = Names(open={"e", "facts"})
ENV = cel.NewEnv(variables={"e": cel.Type.DYN})

# What every member of `e` holds, by kind. Times come as text: CEL's binding takes no times inside a map.
INTS = ("i", "j")
REALS = ("f", "g")
TEXTS = ("s", "t")
BOOLS = ("a", "b")
MOMENTS = ("u", "v")
LENGTHS = ("x", "y")

small = st.integers(-20, 20)
ints = small | st.integers(-(2**63), 2**63 - 1)
reals = st.floats(-1e6, 1e6, allow_nan=False).map(lambda real: round(real, 3)) | small.map(float)
texts = st.text("abé0\"'\\\n😀", max_size=4)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.isoformat() + "Z")  # noqa: DTZ001
lengths = st.tuples(st.integers(-9, 9), st.sampled_from(["h", "m", "s", "ms"])).map(
    lambda parts: f"{parts[0]}{parts[1]}"
)
data = st.fixed_dictionaries(
    {
        **dict.fromkeys(INTS, ints),
        **dict.fromkeys(REALS, reals),
        **dict.fromkeys(TEXTS, texts),
        **dict.fromkeys(BOOLS, st.booleans()),
        **dict.fromkeys(MOMENTS, moments),
        **dict.fromkeys(LENGTHS, lengths),
        "l": st.lists(ints, max_size=4),
        "k": st.lists(texts, max_size=4),
        "m": st.dictionaries(st.sampled_from(["p", "q"]), ints),
        "r": st.lists(st.fixed_dictionaries({"n": small, "w": texts}), max_size=3),
    }
)

Text = st.SearchStrategy[str]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _joined(operand: Text, signs: list[str]) -> Text:
    """`a + b * c`, now and then with parentheses: what binds stronger is for the oracle to say."""
    sign = st.sampled_from(signs)
    plain = st.lists(st.tuples(sign, operand), max_size=2).flatmap(
        lambda rest: operand.map(lambda first: first + "".join(f" {between} {one}" for between, one in rest))
    )
    return plain | plain.map(lambda inner: f"({inner})")


def _members(names: tuple[str, ...]) -> Text:
    return st.sampled_from([f"e.{name}" for name in names] + [f'e["{names[0]}"]'])


whole_atoms = (
    _members(INTS)
    | ints.map(str)
    | st.sampled_from(["size(e.s)", "size(e.l)", "e.k.size()", "size(e.m)", "int(e.f)", "int('12')"])
    | st.sampled_from(["-e.i", "e.l[0]", "e.m.p", 'e.m["q"]', "e.m[e.k[0]]", "e.m[e.s]"])
    | small.map(lambda number: f"int('{number}')")
)  # fmt: skip
wholes = _joined(whole_atoms, ["+", "-", "*", "/", "%"])
real_atoms = _members(REALS) | reals.map(repr) | st.sampled_from(["double(e.i)", "double('1.5')", "-e.g"])
# No `/` with a variable under it: CEL makes an infinity of a division by 0.0, here it is missing.
reals_text = _joined(real_atoms, ["+", "-", "*"]) | real_atoms.map(lambda one: f"{one} / 3.0")
text_atoms = _members(TEXTS) | texts.map(_quoted) | st.sampled_from(["string(e.i)", "string(e.a)", "e.k[0]", "'it'"])
texts_text = _joined(text_atoms, ["+"])
moments_text = st.sampled_from([f"timestamp(e.{name})" for name in MOMENTS]) | moments.map(
    lambda at: f"timestamp('{at}')"
)
lengths_text = st.sampled_from([f"duration(e.{name})" for name in LENGTHS]) | lengths.map(
    lambda one: f"duration('{one}')"
)


def _compared(operand: Text, other: Text | None = None) -> Text:
    sign = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    return st.tuples(operand, sign, other if other is not None else operand).map(" ".join)


tests = (
    _compared(wholes)
    | _compared(reals_text)
    | _compared(wholes, reals_text)
    | _compared(texts_text)
    | _compared(moments_text)
    | _compared(lengths_text)
    | _compared(st.tuples(moments_text, lengths_text).map(" - ".join), moments_text)
    | _compared(st.tuples(moments_text, moments_text).map(" - ".join), lengths_text)
    | st.tuples(wholes, st.sampled_from([" in e.l", " in [1, 2, e.i]", " in [0]"])).map("".join)
    | st.tuples(texts_text, st.sampled_from([" in e.k", " in ['a', 'b', '']", " in e.m"])).map("".join)
    | st.tuples(text_atoms, st.sampled_from(["startsWith", "endsWith", "contains"]), texts_text).map(
        lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})"
    )
    | st.sampled_from(["has(e.i)", "has(e.no)", "has(e.m.p)", "has(e.m.no)"])
    | st.sampled_from(["e.l == e.l", "e.l == [1, 2]", "e.m != e.m"])
    | _members(BOOLS)
    | st.sampled_from(["true", "false", "e.a == e.b", "e.a < e.b", "e.no", "e.no > 1", "e.l[9] == 0", "1 / 0 == 1"])
)  # fmt: skip


def _larger(test: Text) -> Text:
    macro, over = st.sampled_from(["exists", "all"]), st.sampled_from(["e.l", "[1, 2, 3]"])
    return (
        _joined(test, ["&&", "||"])
        | test.map(lambda inner: f"!({inner})")
        | st.tuples(test, test, test).map(lambda three: "({}) ? ({}) : ({})".format(*three))
        | st.tuples(over, macro, wholes).map(lambda p: f"{p[0]}.{p[1]}(z, z * 2 > {p[2]})")
        | st.tuples(macro, wholes).map(lambda p: f"e.m.{p[0]}(z, e.m[z] > {p[1]})")
        | st.tuples(macro, texts_text).map(lambda p: f"e.m.{p[0]}(z, z != {p[1]} && e.m[z] == e.i)")
        | st.tuples(macro, macro).map(lambda p: f"e.m.{p[0]}(z, e.k.{p[1]}(w, w != z))")
        | st.tuples(macro, wholes, texts_text).map(lambda p: f"e.r.{p[0]}(z, z.n >= {p[1]} || z.w == {p[2]})")
        | st.tuples(macro, macro).map(lambda p: f"e.r.{p[0]}(z, e.l.{p[1]}(w, w < z.n))")
    )


conditions = st.recursive(tests, _larger, max_leaves=8)


def _oracle(text: str, scope: dict[str, Any]) -> Any:  # noqa: ANN401  whatever CEL makes of it
    """What CEL says, MISSING where it says that it is an error."""
    try:
        found = ENV.compile(text).eval(data={"e": scope})
    except RuntimeError:
        return MISSING
    return MISSING if found.type() == cel.Type.ERROR else found.plain_value()


@SHORT
@given(conditions, data)
@example("1 + 2 * 3 - 4 / 2 % 3 == 7 - 2", {})
@example("-7 / 2 == -3 && -7 % 3 == -1", {})
@example("true || false && false", {})
@example("false ? true : false ? false : true", {})
@example("!true == false", {})
@example("2 - 1 - 1 == 0 == true", {})
@example("-9223372036854775808 == -9223372036854775807 - 1", {})
@example("1 in [1] == true", {})
@example(r"'\x41\u00e9\U0001F600\101\a\b\f\n\r\t\v\\\?\"\'' == 'A'", {})
def test_where_cel_has_an_answer_ours_is_the_same(text: str, scope: dict[str, Any]) -> None:
    answer = _oracle(text, scope)
    assume(answer is not MISSING)
    assert compile_condition(text, NAMES).holds({"e": scope}) is answer


@SHORT
@given(wholes | reals_text | texts_text, data)
def test_where_cel_has_a_value_ours_is_the_same(text: str, scope: dict[str, Any]) -> None:
    answer = _oracle(text, scope)
    assume(answer is not MISSING)
    ours = compile_expression(text, NAMES).value({"e": scope})
    assert type(ours) is type(answer)
    assert ours == answer


# Any kinds together. Without `!=`: between kinds CEL says true, here every such comparison is false.
anything = st.sampled_from(
    ["e.i", "e.f", "e.s", "e.a", "e.l", "e.m", "e.no", "1", "1.5", "'a'", "true", "[1]", "size(e.s)"]
)
mixed = st.tuples(anything, st.sampled_from(["==", "<", "<=", ">", ">=", "in"]), anything).map(" ".join)


@SHORT
@given(st.recursive(mixed, _larger, max_leaves=4), data)
def test_kinds_that_cel_can_compare_give_the_same(text: str, scope: dict[str, Any]) -> None:
    answer = _oracle(text, scope)
    assume(answer is not MISSING)
    try:
        condition = compile_condition(text, NAMES)
    except ConditionError:
        assume(False)  # refused before it could run: fewer texts, no other meaning
    assert condition.holds({"e": scope}) is answer


WORDS = """
    e . facts i orders ( ) [ ] , ? : ! - + * / % && || == != < <= > >= in 1 2.5 'a' "b" true null size has string int
    duration timestamp ('7d') exists all startsWith contains = & | { “ \\ ' 7d 0x 1e9 9223372036854775808 é
"""
words = st.sampled_from([*WORDS.split(), "\n", " "])


def _fault(compiling: Any, text: str) -> ConditionError | None:  # noqa: ANN401  either of the two
    try:
        compiling(text, NAMES)
    except ConditionError as error:
        return error
    return None


@SHORT
@given(st.text(max_size=40) | st.lists(words, max_size=14).map(" ".join) | st.lists(words, max_size=14).map("".join))
def test_whatever_is_written_the_only_fault_is_a_condition_error(text: str) -> None:
    for compiling in (compile_condition, compile_expression):
        error = _fault(compiling, text)
        assert error is None or (1 <= error.column <= len(text) + 1 and error.message)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=5)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.timedeltas()
    | st.sampled_from([10**400, timedelta.max, datetime.max.replace(tzinfo=UTC), date(2026, 1, 1)])
    | st.sampled_from([UUID(int=0), b"", object()])
)  # fmt: skip
members = st.sampled_from([*INTS, *REALS, *TEXTS, *BOOLS, *MOMENTS, *LENGTHS, "l", "k", "m", "r", "n", "p"])
anyhow = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner), max_leaves=20
)


def _compiled(text: str) -> Condition | None:
    try:
        return compile_condition(text, NAMES)
    except ConditionError:
        return None


@SHORT
@given(st.recursive(tests | mixed, _larger, max_leaves=6), st.dictionaries(members, anyhow) | anyhow)
def test_whatever_the_scope_holds_the_answer_is_true_or_false(text: str, inside: object) -> None:
    condition = _compiled(text)
    assume(condition is not None)
    assert condition is not None
    assert condition.holds({"e": inside}) in (True, False)


@SHORT
@given(st.lists(conditions, min_size=1, max_size=4).map(" && ".join), st.dictionaries(members, anyhow) | data)
@example("e.a && (e.b && (e.i > 1 || e.j > 1)) && !e.no", {"a": True, "b": True, "i": 2})
@example("e.r.all(z, e.r.all(w, true)) && e.r.all(z, e.r.all(w, true))", {"r": [0] * 80})
def test_all_conjuncts_hold_exactly_when_the_condition_does(text: str, inside: object) -> None:
    condition = compile_condition(text, NAMES)
    found = explain(condition, {"e": inside})
    assert all(one.holds for one in found) is condition.holds({"e": inside})
    assert frozenset[tuple[str, ...]]().union(*(one.reads for one in found)) == condition.reads


numbers = st.integers(-(10**12), 10**12) | st.decimals(-(10**9), 10**9, places=2) | reals


@SHORT
@given(numbers, numbers)
def test_numbers_of_any_kinds_add_and_compare_as_they_are_written(one: float | Decimal, other: float | Decimal) -> None:
    def exact(number: float | Decimal) -> Decimal:
        return Decimal(str(number))

    scope = {"e": {"one": one, "other": other}}
    for sign, compare in (("==", eq), ("<", lt), (">=", ge)):
        condition = compile_condition(f"e.one {sign} e.other", NAMES)
        assert condition.holds(scope) is compare(exact(one), exact(other))
    total = compile_expression("e.one + e.other", NAMES).value(scope)
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        assert total == exact(one) + exact(other)
    else:
        assert math.isclose(total, one + other)
