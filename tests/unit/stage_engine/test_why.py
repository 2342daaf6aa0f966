"""Why an instance stands where it does, and what could move it next: for each kind of rule."""

from datetime import datetime, timedelta

import pytest

from services.conditions import explain
from stage_engine.model.model import Model, Per
from stage_engine.why import BEFORE_ALL, ByEvent, ByTime, Clock, Instead, Part, Stands, Why, why
from stage_engine.why_words import (
    event_text,
    instance_name,
    next_text,
    part_text,
    rule_place,
    rule_text,
    span,
    timed_text,
    unless_text,
)
from tests.unit.stage_engine.builders import SEVEN, SHOP, Seen, added, event, model, ordered, see, when


def asked(seen: Seen, at: str | None = None, *, known_until: datetime | None = None) -> Why:
    moves = [move.transition for move in seen.moves]
    now = when(at) if at else seen.until
    until = known_until or seen.until
    return why(seen.state, seen.model, moves, now, known_until=until, storefront=SHOP)


def of(found: Why, name: str = "lifecycle") -> Stands:
    return next(stands for stands in found.stands if instance_name(stands) == name)


def timed(found: Why, target: str, name: str = "lifecycle") -> ByTime:
    return next(way for way in of(found, name).ways if isinstance(way, ByTime) and way.rule.target == target)


def by_event(found: Why, rule: str, name: str = "lifecycle") -> ByEvent:
    return next(way for way in of(found, name).ways if isinstance(way, ByEvent) and way.rule.id == rule)


def says(found: Why, by: Model = SEVEN) -> str:
    assert found.next is not None
    return next_text(found.next, found, by)


def test_what_brought_it_here_is_its_last_move_with_the_models_rule() -> None:
    stands = of(asked(see(event("Product Viewed"), ordered("5m"))))
    assert stands.came is not None
    assert (stands.came.to_stage, stands.came.facts) == ("purchase", {"orders": 1})
    assert stands.rule is not None
    assert rule_place(stands.rule.id, "purchase") == "1st `enter` of `purchase`"
    assert rule_text(stands.rule) == "on Order Completed, when facts.orders == 1"


def test_a_beginning_has_no_rule() -> None:
    stands = of(asked(see(event("Moon Landed"))))
    assert (stands.came is not None, stands.rule) == (True, None)
    assert rule_place("lifecycle.awareness.start", "awareness") == "`start` of `awareness`"


def test_a_final_stage_has_no_ways_on() -> None:
    stands = of(asked(see(added(), ordered("5m"))), "cart c1")
    assert (stands.final, stands.ways) == (True, ())


def test_rules_that_lead_elsewhere_from_this_stage_are_named_and_no_others() -> None:
    found = asked(see(event("Product Viewed")))
    assert [way.rule.id for way in of(found).ways] == [
        "lifecycle.consideration[0]",
        "lifecycle.consideration[1]",
        "lifecycle.purchase[0]",
        "lifecycle.retention[0]",
    ]


def test_a_condition_is_told_part_by_part_with_what_it_reads_now() -> None:
    shop = model(
        "facts: {orders: {count: Order Completed}, views: {count: Product Viewed}}\n"
        "tracks: {way: {stages: {a: {start: true}, "
        "b: {enter: [{on: Survey Answered, when: facts.views >= 2 && facts.orders >= 2 && event.score >= 9}]}}}}"
    )
    seen = see(event("Product Viewed"), event("Product Viewed"), ordered(), by=shop)
    parts = by_event(asked(seen), "way.b[0]", "way").parts
    assert [(part_text(part), part.holds) for part in parts] == [
        ("facts.views >= 2: 2 now", True),
        ("facts.orders >= 2: 1 now", False),
        ("the event's score >= 9", None),
    ]


def test_a_fact_that_the_rules_own_event_changes_is_told_as_before_it() -> None:
    (part,) = by_event(asked(see(ordered())), "lifecycle.retention[0]").parts
    assert (part.holds, part.values, part.changes_with) == (False, {"facts.orders": 1}, ("Order Completed",))
    assert part_text(part) == "facts.orders >= 2: 1 now, before the event counts"


def test_the_contents_of_a_cart_are_told_by_their_number() -> None:
    (part,) = timed(asked(see(added(), added("1m", product="p2"))), "abandoned", "cart c1").parts
    assert part_text(part) == "size(cart.items) > 0: 2 items now"


def test_values_that_are_unknown_or_true_or_several_are_said_so() -> None:
    def part(**values: object) -> Part:
        return Part(text="…", holds=False, values={f"traits.{name}": value for name, value in values.items()})

    assert part_text(part(vip=None)) == "…: unknown now"
    assert part_text(part(vip=True)) == "…: true now"
    assert part_text(part(visits=1, vip=False)) == "…: visits 1, vip false now"


def test_a_rule_since_a_fact_says_what_it_counts_from_and_when_it_is_due() -> None:
    way = timed(asked(see(ordered("10m", id="o-event")), at="30d"), "at_risk")
    assert (way.clock, way.armed_at, way.due) == (Clock.RUNNING, when("10m"), when("90d10m"))
    assert way.armed_by is not None
    assert way.armed_by.event_id == "o-event"


def test_unless_names_what_arms_it_anew_and_not_what_leads_to_where_it_comes_due_all_the_same() -> None:
    assert says(asked(see(ordered()), at="80d")) == "at_risk in 10 d unless an Order Completed"


def test_a_rule_that_counts_from_entry_is_prevented_by_all_that_leads_away() -> None:
    found = asked(see(ordered(), until="90d"), at="100d")
    assert timed(found, "churned").unless == (
        Instead(events=("Order Completed",), to="purchase", when="facts.orders == 1"),
        Instead(events=("Order Delivered", "Order Shipped", "Support Case Opened"), to="post_purchase"),
        Instead(events=("Order Completed",), to="retention", when="facts.orders >= 2"),
        Instead(events=("Loyalty Joined",), to="retention"),
    )
    assert says(found) == "churned in 80 d unless an Order Completed that fits, an Order Delivered or 3 more"


def test_idle_is_prevented_by_the_instances_own_events_and_by_what_ends_it() -> None:
    found = asked(see(added()), at="2m")
    unless = timed(found, "abandoned", "cart c1").unless
    assert unless == (Instead(events=()), Instead(events=("Order Completed", "Order Reported"), to="ordered"))
    assert says(found) == (
        "cart c1 abandoned in 58 min unless something done with this cart, an Order Completed or an Order Reported"
    )


GUARDED = model(
    "facts: {n: {count: Go}, week: {count: Go, within: 7d}, last: {latest: Go, where: event.far == true}}\n"
    "tracks: {way: {stages: {a: {start: true}, b: {enter: [{after: 1h, idle: true, when: facts.n >= 2}]}, "
    "c: {enter: [{after: 30d, when: facts.week >= 1}]}, d: {enter: [{after: 1d, since: facts.last}]}}}}"
)


def test_a_rule_that_came_due_while_its_condition_was_false_is_spent_and_says_what_arms_it() -> None:
    found = asked(see(event("Go"), by=GUARDED, until="2h"))
    way = timed(found, "b", "way")
    assert (way.clock, way.due, way.unless) == (Clock.SPENT, None, (Instead(events=()),))
    assert timed_text(way, found, Per.CUSTOMER) == "came due and moved nothing; armed again by anything they do"


def test_a_rule_whose_fact_is_unknown_says_what_it_counts_from() -> None:
    found = asked(see(event("Go"), by=GUARDED))
    way = timed(found, "d", "way")
    assert (way.clock, way.unless) == (Clock.UNARMED, (Instead(events=("Go",), when="event.far == true"),))
    assert timed_text(way, found, Per.CUSTOMER) == "counts from a Go that fits"


def test_a_condition_that_holds_now_and_no_longer_when_it_is_due_is_said() -> None:
    way = timed(asked(see(event("Go"), by=GUARDED)), "c", "way")
    assert ([part.holds for part in way.parts], way.holds_then) == ([True], False)


def test_next_is_what_the_fold_does_and_not_what_merely_comes_due() -> None:
    """Of these, b comes due after an hour and its condition is false; c after 30 days, when the window has slid on."""
    assert asked(see(event("Go"), by=GUARDED)).next is None
    found = asked(see(event("Go", far=True), by=GUARDED))
    assert says(found, GUARDED) == "d in 1 d unless a Go that fits"


@pytest.mark.parametrize(
    ("known_until", "said"),
    [
        (when("59m"), "due since 13:00:00, waiting for the watermark at 12:59:00"),
        (BEFORE_ALL, "due since 13:00:00, waiting for the watermark, which is not known yet"),
        (when("1h"), "due since 13:00:00, and next in line"),
    ],
)
def test_what_is_due_waits_for_the_watermark_and_says_where_that_is(known_until: datetime, said: str) -> None:
    found = asked(see(added()), at="1h5s", known_until=known_until)
    way = timed(found, "abandoned", "cart c1")
    assert (way.clock, timed_text(way, found, Per.CART)) == (Clock.WAITING, said)
    assert says(found) == f"cart c1 abandoned {said}"


def test_an_order_is_completed_once_so_nothing_leads_back_to_placed() -> None:
    found = asked(see(ordered(), event("Order Shipped", "1h", order_id="o1")))
    assert [way.rule.target for way in of(found, "order o1").ways] == ["delivered", "refunded", "cancelled"]


def test_an_abandoned_cart_is_active_again_by_what_begins_one() -> None:
    found = asked(see(added(), until="2h"))
    assert [way.rule.id for way in of(found, "cart c1").ways] == ["cart.active.on", "cart.ordered[0]"]
    assert rule_place("cart.active.on", "active") == "`on` of `active`"


ALONE = model(
    "facts: {n: {count: Go}}\ntracks: {way: {stages: {a: {start: true}, "
    "b: {enter: [{when: facts.n >= 2, from: [a, c], cooldown: 10d}]}, c: {enter: [{on: Back, from: b, cooldown: 5d}]}, "
    "d: {enter: [{after: 30d}]}, e: {enter: [{ahead: 7d, of: traits.renewal_on}]}}}}"
)


def test_a_rule_by_condition_alone_says_what_its_condition_lacks() -> None:
    found = asked(see(event("Go"), by=ALONE))
    way = by_event(found, "way.b[0]", "way")
    assert event_text(way) == "once its condition becomes true"
    assert [(part_text(part), part.holds) for part in way.parts] == [("facts.n >= 2: 1 now", False)]
    assert says(found, ALONE) == "d in 30 d unless facts.n >= 2"


def test_a_condition_that_was_true_already_and_a_rule_that_cools_down_say_so() -> None:
    back = [event("Go"), event("Go", "1s"), event("Back", "2s")]
    way = by_event(asked(see(*back, by=ALONE)), "way.b[0]", "way")
    assert event_text(way) == (
        "once its condition becomes true, cooling down until 2026-03-12 12:00:01,"
        " which it was already: first it has to be false"
    )
    assert by_event(asked(see(*back, by=ALONE), at="11d"), "way.b[0]", "way").cools_until is None


def test_a_rule_by_a_date_says_what_it_counts_from() -> None:
    unknown = asked(see(event("Go"), by=ALONE))
    way = timed(unknown, "e", "way")
    assert timed_text(way, unknown, Per.CUSTOMER) == "counts from traits.renewal_on, which is not known"
    known = asked(see(event("Customer Identified", traits={"renewal_on": "2026-03-22"}), by=ALONE))
    assert says(known, ALONE) == "e in 12 d 11 h unless a Customer Identified that fits"


def test_a_rule_of_an_earlier_model_is_named_by_its_id_alone() -> None:
    seen = see(ordered())
    later = model("extends: seven-stage\ntracks: {lifecycle: {stages: {purchase: {enter: []}}}}")
    moves = [move.transition for move in seen.moves]
    stands = of(why(seen.state, later, moves, seen.until, known_until=seen.until, storefront=SHOP))
    assert stands.came is not None
    assert (stands.came.rule, stands.rule) == ("lifecycle.purchase[0]", None)


def test_parts_and_the_rule_agree() -> None:
    rule = by_event(asked(see(ordered())), "lifecycle.advocacy[0]").rule
    assert rule.when is not None
    scope = {"event": {"kind": "nps", "score": 9}}
    assert all(one.holds for one in explain(rule.when, scope)) is rule.when.holds(scope) is True


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=12, hours=4, minutes=59), "12 d 4 h"),
        (timedelta(days=89, hours=23), "89 d"),
        (timedelta(hours=3), "3 h"),
        (timedelta(minutes=3, seconds=20), "3 min 20 s"),
        (timedelta(milliseconds=300), "0 s"),
    ],
)
def test_a_span_is_said_by_its_two_largest_units(length: timedelta, said: str) -> None:
    assert span(length) == said


def test_of_many_events_the_first_are_named() -> None:
    events = tuple("ABCDE")
    assert unless_text([Instead(events=events, to="x")], Per.CUSTOMER) == "an A, a B or 3 more"
