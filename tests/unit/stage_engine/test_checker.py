"""The model checker: what it doubts, and what it leaves alone because somebody may mean it."""

import pytest

from stage_engine.model.checker import doubts
from stage_engine.model.load import presets
from tests.unit.stage_engine.builders import model


def doubted(text: str) -> list[str]:
    """`b.enter.0: message; fix`, without what every place begins with; notes are left out."""
    found = [
        f"{'.'.join(map(str, doubt.where)).removeprefix('tracks.way.stages.')}: {doubt.message}; {doubt.fix}"
        for doubt in doubts(model(text))
        if not doubt.note
    ]
    return sorted(found)


def way(stages: str, rest: str = "") -> list[str]:
    return doubted(f"{rest}\ntracks: {{way: {{stages: {{{stages}}}}}}}")


def cart(stages: str) -> list[str]:
    return doubted(f"tracks: {{way: {{per: cart, stages: {{{stages}}}}}}}")


@pytest.mark.parametrize("preset", presets())
def test_nothing_is_doubted_of_a_preset(preset: str) -> None:
    assert list(doubts(model(f"extends: {preset}"))) == []


class TestReach:
    def test_a_stage_that_nothing_leads_into(self) -> None:
        assert way("a: {start: true}, b: {}") == ["b: nothing leads into `b`; give it `enter:`, or take it out"]

    def test_a_stage_whose_rules_lead_from_where_nobody_can_be(self) -> None:
        said = way("a: {start: true}, b: {}, c: {enter: [{on: Product Viewed, from: b}]}")
        assert said == [
            "b: nothing leads into `b`; give it `enter:`, or take it out",
            (
                "c: nobody can come to `c`: its rules lead from `b`, where nobody can be;"
                " widen `from`, or let a rule lead there"
            ),
        ]

    def test_stages_that_lead_only_to_each_other(self) -> None:
        said = way(
            "a: {start: true, enter: [{on: Order Shipped, from: c}]},"
            " b: {enter: [{on: Product Viewed, from: c}]}, c: {enter: [{on: Product Clicked, from: b}]}"
        )
        assert [line.split(":")[0] for line in said] == ["b", "c"]

    def test_what_time_leads_to_is_reached(self) -> None:
        assert way("a: {start: true}, b: {final: true, enter: [{after: 1d, from: a}]}") == []

    def test_nothing_leads_out_of_a_final_stage(self) -> None:
        said = way(
            "a: {start: true}, b: {final: true, enter: [{on: Product Viewed}]},"
            " c: {final: true, enter: [{on: Order Shipped, from: [a, b]}]}"
        )
        assert said == [
            "c.enter.0.from: `b` is final: nothing leads out of it; take it out of `from`, or `final: true` off"
        ]

    def test_a_rule_from_a_stage_to_itself_is_no_move(self) -> None:
        said = way("a: {start: true, enter: [{on: Product Viewed, from: a}]}")
        assert said == [
            (
                "a.enter.0.from: this leads from `a` to `a`, which is no move;"
                " name other stages, or write `again: true` if it is to count as one"
            )
        ]
        assert way("a: {start: true, enter: [{on: Product Viewed, from: a, again: true}]}") == []

    def test_a_trap_is_a_stage_that_nothing_leaves_though_it_is_not_final(self) -> None:
        assert way("a: {start: true}, b: {enter: [{on: Product Viewed}]}") == [
            (
                "b: nothing leads out of `b`, and it is not final;"
                " write `final: true` if it is an end, else a rule that leads on"
            )
        ]
        assert way("a: {start: true}") == []

    def test_an_order_begins_once_so_its_start_is_no_way_out(self) -> None:
        said = doubted(
            "tracks: {way: {per: order, stages:"
            " {a: {start: true, on: Order Completed}, b: {enter: [{on: Order Shipped}]}}}}"
        )
        assert [line.split(";")[0] for line in said] == ["b: nothing leads out of `b`, and it is not final"]

    def test_a_condition_alone_leads_somewhere_and_out(self) -> None:
        stages = "a: {start: true}, b: {enter: [{when: facts.n >= 3}]}, c: {final: true, enter: [{when: facts.n >= 9}]}"
        assert way(stages, "facts: {n: {count: Order Completed}}") == []


class TestContests:
    LOSES = "this rule can never win"

    def test_a_rule_that_a_later_one_always_beats(self) -> None:
        said = way(
            "a: {start: true}, b: {final: true, enter: [{on: Product Viewed, from: a}]},"
            " c: {final: true, enter: [{on: Product Viewed}]}"
        )
        assert said == [
            (
                "b.enter.0: this rule can never win: the one into `c` ({beside}) is listed later, with no `when`;"
                " the last listed wins: give that one a `when` or a narrower `from`, or list this one later"
            )
        ]

    def test_the_same_condition_does_not_help_it_and_another_does(self) -> None:
        stages = (
            "a: {start: true}, b: {final: true, enter: [{on: Product Viewed, when: event.x == 1}]},"
            " c: {final: true, enter: [{on: Product Viewed, when: event.x == %d}]}"
        )
        (said,) = way(stages % 1)
        assert said.startswith("b.enter.0: this rule can never win")
        assert "with the same `when`" in said
        assert way(stages % 2) == []

    def test_for_which_of_its_events_is_said(self) -> None:
        (said,) = way(
            "a: {start: true}, b: {final: true, enter: [{on: [Product Viewed, Product Clicked]}]},"
            " c: {final: true, enter: [{on: Product Viewed}]}"
        )
        assert said.startswith("b.enter.0: this rule can never win for `Product Viewed`: ")

    def test_several_may_beat_it_together(self) -> None:
        (said,) = way(
            "a: {start: true, enter: [{on: Order Shipped}]}, b: {enter: [{on: Product Viewed}]},"
            " c: {enter: [{on: Product Viewed, from: a}]},"
            " d: {enter: [{on: Product Viewed, from: [c, d]}, {on: Order Delivered, from: b}]}"
        )
        assert said.startswith("b.enter.0: this rule can never win")

    def test_a_later_rule_with_a_narrower_from_leaves_it_room(self) -> None:
        stages = (
            "a: {start: true, enter: [{on: Order Shipped}]}, b: {enter: [{on: Product Viewed}]},"
            " c: {final: true, enter: [{on: Product Viewed, from: b}]}"
        )
        assert way(stages) == []

    def test_of_two_times_by_one_clock_the_longer_never_comes(self) -> None:
        (said,) = way(
            "a: {start: true}, b: {final: true, enter: [{after: 90d, from: a}]},"
            " c: {final: true, enter: [{after: 30d, from: a}]}"
        )
        assert said.startswith("b.enter.0: this rule can never win: the one into `c` ({beside}) is always due before")

    def test_times_by_different_clocks_may_both_come(self) -> None:
        stages = (
            "a: {start: true}, b: {final: true, enter: [{after: 90d, from: a}]},"
            " c: {final: true, enter: [{after: 30d, idle: true, from: a}]}"
        )
        assert way(stages) == []

    def test_an_event_that_sends_back_and_forth(self) -> None:
        (said,) = way(
            "a: {start: true, enter: [{on: Product Viewed, from: b}]}, b: {enter: [{on: Product Viewed, from: a}]}"
        )
        assert said == (
            "a.enter.0: every further `Product Viewed` moves on and back again: `a` → `b` → `a`;"
            " say in `when` or `from` which way it leads, or give one a `cooldown`"
        )

    def test_conditions_that_can_not_both_hold_send_nobody_back_and_forth(self) -> None:
        stages = (
            "a: {start: true, enter: [{on: Survey Answered, when: event.score < 9}]},"
            " b: {enter: [{on: Survey Answered, when: event.score >= 9}]}"
        )
        assert way(stages) == []

    def test_a_cool_down_ends_it(self) -> None:
        stages = (
            "a: {start: true, enter: [{on: Product Viewed, from: b, cooldown: 1d}]},"
            " b: {enter: [{on: Product Viewed, from: a}]}"
        )
        assert way(stages) == []

    def test_a_rule_that_cools_down_leaves_room_to_one_listed_before(self) -> None:
        stages = (
            "a: {start: true}, b: {final: true, enter: [{on: Product Viewed, from: a}]},"
            " c: {final: true, enter: [{on: Product Viewed, from: a%s}]}"
        )
        assert len(way(stages % "")) == 1
        assert way(stages % ", cooldown: 1d") == []


class TestClocks:
    def test_idle_after_idle_is_due_at_once(self) -> None:
        stages = (
            "a: {start: true, on: Product Added}, b: {enter: [{after: 1h, idle: true, from: a}]},"
            " c: {final: true, enter: [{after: %s, idle: true, from: b}]}"
        )
        assert cart(stages % "30m") == [
            (
                "c.enter.0.after: this is due the moment `b` is entered: 1h without activity have passed by then"
                " ({beside}), and this says 30m; write more than 1h, or leave `idle` out to count from the entry"
            )
        ]
        assert cart(stages % "2h") == []

    def test_since_the_same_fact_is_due_at_once(self) -> None:
        facts = "facts: {last: {latest: Order Completed}}"
        stages = (
            "a: {start: true, enter: [{on: Order Completed}]}, b: {enter: [{after: 90d, since: facts.last, from: a}]},"
            " c: {enter: [{after: %s, since: facts.last, from: b}]}"
        )
        (said,) = way(stages % "60d", facts)
        assert said.startswith("c.enter.0.after: this is due the moment `b` is entered")
        assert way(stages % "180d", facts) == []

    def test_time_since_the_entry_counts_from_there(self) -> None:
        stages = (
            "a: {start: true, on: Product Added}, b: {enter: [{after: 1h, idle: true, from: a}]},"
            " c: {final: true, enter: [{after: 30m, from: b}]}"
        )
        assert cart(stages) == []

    def test_before_one_date_the_longer_comes_first(self) -> None:
        stages = (
            "a: {start: true}, b: {enter: [{ahead: 7d, of: traits.renewal_on, from: a}]},"
            " c: {final: true, enter: [{ahead: %s, of: traits.renewal_on, from: b}]}"
        )
        assert way(stages % "30d") == [
            (
                "c.enter.0.ahead: this is due the moment `b` is entered: that is 7d ahead of traits.renewal_on"
                " ({beside}), and this says 30d ahead of traits.renewal_on;"
                " give the one that is to come first the longer `ahead:`"
            )
        ]
        assert way(stages % "1d") == []

    def test_who_was_idle_did_nothing_since(self) -> None:
        stages = (
            "a: {start: true}, b: {enter: [{after: 90d, idle: true, from: a}]},"
            " c: {final: true, enter: [{after: 30d, since: %s, from: b}]}"
        )
        (said,) = way(stages % "Product Viewed")
        assert said.startswith("c.enter.0.after: this is due the moment `b` is entered: 90d without activity")
        assert way(stages % "Message Sent") == []  # our own mail is nobody's activity


class TestNames:
    STAGES = "a: {start: true}, b: {final: true, enter: [{on: %s}]}"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("Order Complete", "no documented source sends `Order Complete`; did you mean `Order Completed`?"),
            ("Completed Order", "`Completed Order` always arrives as `Order Completed`; write `Order Completed`"),
            ("product_viewed", "`product_viewed` always arrives as `Product Viewed`; write `Product Viewed`"),
        ],
    )
    def test_a_slip_in_an_event_s_name(self, name: str, said: str) -> None:
        assert way(self.STAGES % name) == [f"b.enter.0.on: {said}"]

    def test_a_name_of_the_shop_s_own_is_only_noted(self) -> None:
        (note,) = doubts(model(f"tracks: {{way: {{stages: {{{self.STAGES % 'Terrarium Watered'}}}}}}}"))
        assert note.note
        assert note.message.startswith("`Terrarium Watered` is no documented event")

    @pytest.mark.parametrize("per", ["customer", "order"])
    def test_what_time_counts_from_is_named_too(self, per: str) -> None:
        said = doubted(
            f"tracks: {{way: {{per: {per}, stages: {{a: {{start: true, on: Order Completed}},"
            " b: {final: true, enter: [{after: 3d, since: Order Deliverd, from: a}]}}}}"
        )
        assert said == ["b.enter.0.since: no documented source sends `Order Deliverd`; did you mean `Order Delivered`?"]

    def test_facts_and_starts_name_events_too(self) -> None:
        said = doubted(
            "facts: {n: {count: Prodct Viewed}}\n"
            "tracks: {way: {per: cart, stages: {a: {start: true, on: [Product Aded]},"
            " b: {final: true, enter: [{on: Order Completed}]}}}}"
        )
        assert [line.partition(";")[0] for line in said] == [
            "a.on: `Product Aded` never comes to a track per cart",
            "a.on: no documented source sends `Product Aded`",
            "facts.n.count: no documented source sends `Prodct Viewed`",
        ]

    def test_a_cart_sees_only_events_of_carts_checkouts_and_orders(self) -> None:
        said = cart("a: {start: true, on: Product Added}, b: {final: true, enter: [{on: Product Viewed}]}")
        assert said[0] == (
            "b.enter.0.on: `Product Viewed` never comes to a track per cart;"
            " name events of carts, checkouts and orders, or use a track per customer"
        )


class TestConditions:
    def test_parts_that_rule_each_other_out(self) -> None:
        said = way(
            "a: {start: true}, b: {final: true, enter: [{on: Order Completed, when: facts.n > 5 && facts.n < 3}]}",
            "facts: {n: {count: Order Completed}}",
        )
        assert said == [
            (
                "b.enter.0.when: this can never hold: `facts.n > 5` and `facts.n < 3` can't both be;"
                " take one of them out, or write `||`"
            )
        ]

    def test_what_always_holds_of_a_count(self) -> None:
        said = way(
            "a: {start: true}, b: {final: true, enter: [{on: Order Completed, when: facts.n >= 0}]}",
            "facts: {n: {count: Order Completed}}",
        )
        assert said == [
            "b.enter.0.when: `facts.n >= 0` always holds: a count is never below 0; take it out, or write `> 0`"
        ]

    def test_a_fact_s_own_condition(self) -> None:
        said = way(
            "a: {start: true}",
            'facts: {n: {count: Survey Answered, where: event.kind == "nps" && event.kind == "csat"}}',
        )
        assert said[0].startswith('facts.n.where: this can never hold: `event.kind == "nps"` and `event.kind == "csat"')

    def test_a_stage_that_the_other_track_does_not_have(self) -> None:
        said = way('a: {start: true}, b: {final: true, enter: [{on: Order Completed, when: stages.way == "bb"}]}')
        assert said == ["b.enter.0.when: `way` has no stage `bb`; did you mean `b`?"]

    def test_time_brings_no_event(self) -> None:
        (said,) = way("a: {start: true}, b: {final: true, enter: [{after: 1d, when: event.score > 3}]}")
        assert said.startswith("b.enter.0.when: time brings no event, so `event.score` is always missing here")
