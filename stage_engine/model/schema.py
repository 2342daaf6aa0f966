"""What `lifecycle.yaml` may say, as it is written; an unknown key is a fault. `load.py` makes a Model of it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.written import Condition, EventName, Span
from stage_engine.model.model import Per

Names = str | list[str]
_Events = EventName | list[EventName]


class FactWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of the first nine says what kind it is."""

    count: Annotated[_Events | None, Meta(description="How many of these events.")] = None
    sum: Annotated[_Events | None, Meta(description="The sum of a property `of` these events.")] = None
    min: Annotated[_Events | None, Meta(description="The least value of a property `of` these events.")] = None
    max: Annotated[_Events | None, Meta(description="The greatest value of a property `of` these events.")] = None
    distinct: Annotated[
        _Events | None, Meta(description="How many different values of a property `of` these events.")
    ] = None
    latest: Annotated[_Events | None, Meta(description="When one of these events happened last.")] = None
    first: Annotated[_Events | None, Meta(description="The first value of a property `of` these events.")] = None
    last: Annotated[_Events | None, Meta(description="The last value of a property `of` these events.")] = None
    points: Annotated[
        dict[str, int] | None,
        Meta(description="What each of these events weighs, added up.", examples=[{"Product Viewed": 1}]),
    ] = None
    of: Annotated[
        str | None, Meta(description="The property that is looked at.", examples=["revenue", "score", "products.sku"])
    ] = None
    by: Annotated[
        str | None, Meta(description="Counted apart for each value of this property.", examples=["product_id"])
    ] = None
    where: Annotated[Condition | None, Meta(description="Only events of which this holds.")] = None
    within: Annotated[Span | None, Meta(description="Only what happened in so long a time before.")] = None
    once_per: Annotated[
        str | None, Meta(description="Each order once, with the amounts of its latest copy.", examples=["order_id"])
    ] = None
    less: Annotated[_Events | None, Meta(description="Events that take back what the others brought.")] = None


class RuleWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way into a stage: by an event (`on`), by time (`after`, `ahead`), or by a condition alone (`when`)."""

    on: Annotated[_Events | None, Meta(description="By one of these events.")] = None
    from_: Annotated[Names | None, Meta(description="Only from these stages; without it from any.")] = msgspec.field(
        default=None, name="from"
    )
    when: Annotated[
        Condition | None, Meta(description="Only if this holds. Without `on` and `after`: when it becomes true.")
    ] = None
    after: Annotated[
        Span | None, Meta(description="So long after the stage before was entered, or after what `since` names.")
    ] = None
    since: Annotated[
        Names | None,
        Meta(
            description="What `after` counts from: a fact that is a time, events, or a trait that is a date.",
            examples=["facts.last_order_at", "Order Delivered", "traits.renewal_on"],
        ),
    ] = None
    ahead: Annotated[Span | None, Meta(description="So long before the date that `of` names.")] = None
    of: Annotated[str | None, Meta(description="The date of `ahead`.", examples=["traits.renewal_on"])] = None
    idle: Annotated[bool, Meta(description="`after` counts from the last own event.")] = False
    again: Annotated[bool, Meta(description="Also when one is in the stage already.")] = False
    cooldown: Annotated[
        Span | None, Meta(description="For so long after it moved somebody it does not move them again.")
    ] = None


class StageWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stage says what brings one into it."""

    start: Annotated[bool, Meta(description="Where it begins; exactly one a track.")] = False
    final: Annotated[bool, Meta(description="Nothing leads out of it.")] = False
    on: Annotated[
        _Events | None,
        Meta(description="At the start: the events that begin an instance, and that bring an open one back here."),
    ] = None
    enter: Annotated[
        list[RuleWritten], Meta(description="The ways into it. Of rules that fit, the last listed of the track wins.")
    ] = []


class TrackWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to go, stage by stage: of each customer, each cart or each order."""

    per: Annotated[Per, Meta(description="What goes it.")] = Per.CUSTOMER
    order_ends: Annotated[
        Literal["all", "named"],
        Meta(description="Which of a customer's carts an order ends: all, or only the one it names."),
    ] = "all"
    stages: dict[str, StageWritten]


class ModelWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which facts are counted, and which ways customers go."""

    extends: Annotated[
        str | None,
        Meta(description="A preset; what stands beside it is laid over it.", examples=["seven-stage"]),
    ] = None
    facts: Annotated[dict[str, FactWritten], Meta(description="What is counted of a customer's events.")] = {}
    tracks: Annotated[
        dict[str, TrackWritten], Meta(description="Of a track's fitting rules the last listed wins.")
    ] = {}


def names(written: Names | None) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    match written:
        case None:
            return ()
        case str():
            return (written,)
        case _:
            return tuple(written)
