"""What is wrong with one follow-up, each with its place; and what many of its keys share: durations, conditions."""

from collections.abc import Sequence
from datetime import timedelta

from services.conditions import Condition, ConditionError, Names, compile_condition
from services.durations import parse_duration
from services.errors import ShopError
from services.shop import YamlFile

Where = Sequence[str | int]


class Slips:
    """`where` leads on from the follow-up's own name."""

    def __init__(self, source: YamlFile, name: str) -> None:
        self._source = source
        self._name = name
        self.faults: list[ShopError] = []

    def add(self, where: Where, message: str, character: int | None = None) -> None:
        """`character` counts from 1 in the text that stands there."""
        self.faults.append(self._source.fault([self._name, *where], message, character))

    def duration(self, where: Where, text: str) -> timedelta | None:
        try:
            return parse_duration(text)
        except ValueError as error:
            self.add(where, str(error))
            return None

    def condition(self, where: Where, text: str | None, names: Names) -> Condition | None:
        if text is None:
            return None
        try:
            return compile_condition(text, names)
        except ConditionError as error:
            self.add(where, f"in `{text}`: {error}", error.column)
            return None
