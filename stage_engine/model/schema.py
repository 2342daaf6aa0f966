"""What `lifecycle.yaml` may say, as it is written; an unknown key is a fault. `load.py` makes a Model of it."""

from typing import Literal

import msgspec

from stage_engine.model.model import Per

Names = str | list[str]


class FactWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of the first nine says what kind it is."""

    count: Names | None = None
    sum: Names | None = None
    min: Names | None = None
    max: Names | None = None
    distinct: Names | None = None
    latest: Names | None = None
    first: Names | None = None
    last: Names | None = None
    points: dict[str, int] | None = None
    of: str | None = None
    by: str | None = None
    where: str | None = None
    within: str | None = None
    once_per: str | None = None
    less: Names | None = None


class RuleWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way into a stage: by an event (`on`), by time (`after`, `ahead`), or by a condition alone (`when`)."""

    on: Names | None = None
    from_: Names | None = msgspec.field(default=None, name="from")
    when: str | None = None
    after: str | None = None
    since: Names | None = None
    ahead: str | None = None
    of: str | None = None
    idle: bool = False
    again: bool = False
    cooldown: str | None = None


class StageWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`on` of a start stage names the events that begin an instance, and that bring an open one back here."""

    start: bool = False
    final: bool = False
    on: Names | None = None
    enter: list[RuleWritten] = []


class TrackWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per: Per = Per.CUSTOMER
    order_ends: Literal["all", "named"] = "all"
    stages: dict[str, StageWritten]


class ModelWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    extends: str | None = None
    facts: dict[str, FactWritten] = {}
    tracks: dict[str, TrackWritten] = {}


def names(written: Names | None) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    match written:
        case None:
            return ()
        case str():
            return (written,)
        case _:
            return tuple(written)
