"""All that does not fit a shape is told at once, and the rest can still be read."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest

from services.shapes import fit


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Leaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size: int
    wait: Annotated[str, msgspec.Meta(examples=["30m", "7d"])] = "0s"
    on: str | list[str] | None = None
    kind: Literal["big", "small"] = "big"
    colour: Colour = Colour.RED


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    leaves: dict[str, Leaf] = {}
    row: list[Leaf] = []


def slips(node: object) -> list[str]:
    return [f"{'.'.join(map(str, slip.where))}: {slip.message}" for slip in fit(node, Tree).slips]


def leaf(**said: object) -> list[str]:
    return [slip.removeprefix("leaves.a") for slip in slips({"leaves": {"a": {"size": 1, **said}}})]


def test_what_fits_is_read() -> None:
    found = fit({"leaves": {"a": {"size": 1, "on": ["x"], "colour": "green"}}, "row": [{"size": 2}]}, Tree)
    assert found.value == Tree(leaves={"a": Leaf(size=1, on=["x"], colour=Colour.GREEN)}, row=[Leaf(size=2)])
    assert (found.slips, found.torn) == ((), frozenset())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"sizes": 1}, ".sizes: `sizes` is not known here; did you mean `size`?"),
        ({"q": 1}, ".q: `q` is not known here; known are: size, wait, on, kind, colour"),
        ({"size": "3"}, ".size: here should stand a whole number, not a text; write a whole number"),
        ({"size": True}, ".size: here should stand a whole number, not `true` or `false`; write a whole number"),
        ({"wait": 7}, ".wait: here should stand a text, not a whole number; write it as in 30m, 7d"),
        ({"wait": None}, ".wait: here should stand a text, not nothing; write it as in 30m, 7d"),
        ({"on": 7}, ".on: here should stand a text or a list, not a whole number; write a text or a list"),
        ({"on": ["x", 7]}, ".on.1: here should stand a text, not a whole number; write a text"),
        ({"kind": "bigger"}, ".kind: `bigger` can't be said here; did you mean `big`?"),
        ({"colour": "blue"}, ".colour: `blue` can't be said here; known are: red, green"),
        ({"colour": 3}, ".colour: here should stand one of red, green, not a whole number; write one of red, green"),
    ],
)
def test_a_slip_says_what_should_stand_there(said: dict[str, object], told: str) -> None:
    assert leaf(**said) == [told]


def test_what_is_missing_is_told_of_where_it_should_stand() -> None:
    assert slips({"leaves": {"a": {}}}) == ["leaves.a: `size` is missing; write it, as in `size: …`"]


def test_all_slips_are_told_and_the_rest_is_read() -> None:
    found = fit({"leaves": {"a": {"size": 1, "q": 1}, "b": {"size": "x"}, "c": {"size": 3}}, "row": 7}, Tree)
    assert [slip.where for slip in found.slips] == [("leaves", "a", "q"), ("leaves", "b", "size"), ("row",)]
    assert found.value == Tree(leaves={"a": Leaf(size=1), "c": Leaf(size=3)})
    assert found.torn == {("leaves", "a"), ("leaves", "b"), ("leaves",), ()}


def test_of_a_list_with_a_faulty_part_nothing_is_read_because_the_others_are_known_by_number() -> None:
    found = fit({"row": [{"size": "x"}, {"size": 2}]}, Tree)
    assert found.value == Tree()
    assert [slip.where for slip in found.slips] == [("row", 0, "size")]
