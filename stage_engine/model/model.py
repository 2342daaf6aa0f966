"""A model as the fold uses it: every name resolved, every condition compiled, every duration a timedelta."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from services.conditions import Condition
from services.contracts.events import Name
from services.durations import spoken


class Per(StrEnum):
    """What one instance of a track stands for."""

    CUSTOMER = "customer"
    CART = "cart"
    CHECKOUT = "checkout"
    ORDER = "order"


ON: Final = "on "
"""Before an event in `TimedRule.since`: no fact is called so."""
TRAITS: Final = "traits."


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
    the amounts of its latest copy, `less_refunds` if so. `dated`: a rule counts from the date that it keeps.
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
    dated: bool = False

    @property
    def hears(self) -> frozenset[str]:
        """The events that may change it."""
        return self.on | self.less


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Entered by an event that `on` names; where it names none, by any of the instance's own when `when` becomes true.

    `sources` None: from any stage. For the time of `cooldown` after it moved an instance it does not move that again.
    """

    id: str
    target: str
    on: frozenset[str]
    sources: frozenset[str] | None = None
    when: Condition | None = None
    again: bool = False
    cooldown: timedelta | None = None

    @property
    def becoming(self) -> bool:
        return not self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRule:
    """Entered `after` a time since what `since` names, since the last own event (`idle`), or since the stage's entry.

    `since` is a fact, an event (`on Order Delivered`) or a trait (`traits.renewal_on`). Where it is a `date`, `after`
    may be negative: that long before it. `of_instance`: of such an event only the instance's own counts.
    """

    id: str
    target: str
    after: timedelta
    sources: frozenset[str] | None = None
    since: str | None = None
    date: bool = False
    of_instance: bool = False
    idle: bool = False
    when: Condition | None = None
    cooldown: timedelta | None = None

    @property
    def counts_from(self) -> str:
        """As one says it: `facts.last_order_at`, `Order Delivered`, `traits.renewal_on`."""
        if self.since is None:
            return "the stage before began"
        if self.since.startswith(ON):
            return self.since.removeprefix(ON)
        return self.since if self.since.startswith(TRAITS) else f"facts.{self.since}"

    @property
    def spoken(self) -> str:
        if self.idle:
            return f"{spoken(self.after)} without activity"
        if self.date and self.after <= timedelta():
            return f"{spoken(-self.after)} ahead of {self.counts_from}"
        return f"{spoken(self.after)} since {self.counts_from}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`begins_on` None: any event that is the customer's own begins the (one) instance.

    `event_rules` by event name and `timed_rules` by stage are in the order in which they are listed: the last wins.
    `becoming` are the rules by condition alone; `in_turn` are both kinds for an event name, as they are looked at.
    `remembered` are what timed rules count from of an instance's own events, by event name.
    """

    name: str
    per: Per
    start: str
    begins_on: frozenset[str] | None
    finals: frozenset[str]
    stages: tuple[str, ...]
    event_rules: Mapping[str, tuple[EventRule, ...]]
    timed_rules: Mapping[str, tuple[TimedRule, ...]]
    becoming: tuple[EventRule, ...] = ()
    in_turn: Mapping[str, tuple[EventRule, ...]] = field(default_factory=dict)
    remembered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    named_order_only: bool = False

    def rules(self) -> "tuple[EventRule | TimedRule, ...]":
        """All of them, by the stages that they lead to and in the order in which they are listed there."""
        listed = (rule for by in (self.event_rules, self.timed_rules) for rules in by.values() for rule in rules)
        return tuple(sorted({rule.id: rule for rule in (*listed, *self.becoming)}.values(), key=self._place))

    def _place(self, rule: "EventRule | TimedRule") -> tuple[int, int]:
        number = rule.id.rpartition("[")[2].removesuffix("]")
        return self.stages.index(rule.target), int(number) if number.isdigit() else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`facts_on` are the facts that an event name may change, so that others cost nothing.

    `clocks` are what timed rules count from beside the declared facts, kept like facts; `dated_traits` lead to the
    traits whose dates they count from.
    """

    facts: Mapping[str, Fact]
    facts_on: Mapping[str, tuple[Fact, ...]]
    tracks: tuple[Track, ...]
    clocks: Mapping[str, Fact] = field(default_factory=dict)
    dated_traits: tuple[str, ...] = ()
    by_name: Mapping[str, Track] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {track.name: track for track in self.tracks})  # asked for at every event

    def armed_by(self, rule: TimedRule) -> tuple[frozenset[str], Condition | None]:
        """The events that set what a rule with `since` counts from, and the condition on them.

        Any event may bring a trait; most come by this one.
        """
        if rule.since is not None and rule.since.startswith(ON):
            return frozenset(rule.counts_from.split(" or ")), None
        fact = self.facts.get(rule.since or "")
        return (frozenset({Name.CUSTOMER_IDENTIFIED}), None) if fact is None else (fact.on, fact.where)

    def track(self, name: str) -> Track:
        return self.by_name[name]
