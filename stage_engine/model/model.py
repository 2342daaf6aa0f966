"""A model as the fold uses it: every name resolved, every condition compiled, every duration a timedelta."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from services.conditions import Condition
from services.durations import spoken


class Per(StrEnum):
    """What one instance of a track stands for."""

    CUSTOMER = "customer"
    CART = "cart"
    ORDER = "order"


class FactKind(StrEnum):
    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"
    LATEST = "latest"
    FIRST = "first"
    LAST = "last"
    POINTS = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An aggregate of a customer's events.

    `of` is the property that is summed, kept or told apart; `path` leads to it, in each product of the event if
    it is `each`. `less` are events that take back what those of `on` brought. `weights` are the points of each of `on`.
    `within` is a sliding window. `by` leads to the property whose values are counted apart. `money` is exact, and only
    in the storefront's currency. `per_order` counts by the order book instead of by event: one order counts once, with
    the amounts of its latest copy, `less_refunds` if so.
    """

    name: str
    kind: FactKind
    on: frozenset[str]
    of: str | None = None
    path: tuple[str, ...] = ()
    by: tuple[str, ...] | None = None
    each: bool = False
    less: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)
    where: Condition | None = None
    within: timedelta | None = None
    money: bool = False
    per_order: bool = False
    less_refunds: bool = False

    @property
    def hears(self) -> frozenset[str]:
        """The events that may change it."""
        return self.on | self.less


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Entered by an event that `on` names. `sources` None: from any stage."""

    id: str
    target: str
    on: frozenset[str]
    sources: frozenset[str] | None = None
    when: Condition | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRule:
    """Entered `after` a time since the fact `since`, since the last own event (`idle`), or since the stage's entry."""

    id: str
    target: str
    after: timedelta
    sources: frozenset[str] | None = None
    since: str | None = None
    idle: bool = False
    when: Condition | None = None

    @property
    def spoken(self) -> str:
        if self.idle:
            return f"{spoken(self.after)} without activity"
        return f"{spoken(self.after)} since {'facts.' + self.since if self.since else 'the stage before began'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`begins_on` None: any event that is the customer's own begins the (one) instance.

    `event_rules` by event name and `timed_rules` by stage are in the order in which they are listed: the last wins.
    """

    name: str
    per: Per
    start: str
    begins_on: frozenset[str] | None
    finals: frozenset[str]
    stages: tuple[str, ...]
    event_rules: Mapping[str, tuple[EventRule, ...]]
    timed_rules: Mapping[str, tuple[TimedRule, ...]]
    named_order_only: bool = False

    def rules(self) -> "tuple[EventRule | TimedRule, ...]":
        """All of them, by the stages that they lead to and in the order in which they are listed there."""
        listed = (rule for by in (self.event_rules, self.timed_rules) for rules in by.values() for rule in rules)
        return tuple(sorted({rule.id: rule for rule in listed}.values(), key=self._place))

    def _place(self, rule: "EventRule | TimedRule") -> tuple[int, int]:
        number = rule.id.rpartition("[")[2].removesuffix("]")
        return self.stages.index(rule.target), int(number) if number.isdigit() else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`facts_on` are the facts that an event name may change, so that others cost nothing."""

    facts: Mapping[str, Fact]
    facts_on: Mapping[str, tuple[Fact, ...]]
    tracks: tuple[Track, ...]

    def track(self, name: str) -> Track:
        return next(track for track in self.tracks if track.name == name)
