"""Whatever is announced, retracted and announced again: at most one message an occasion, and one a cause."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.followups import FollowUp, OncePer, Step
from notifier.holdings import Customer, Instance, apply
from notifier.plan import NOTHING_FORGOTTEN, Changes, Forgotten, Row, Wanted, plan, reconcile
from notifier.status import Status
from services.contracts.changes import CustomerChange, CustomerTable, InstanceRow, Profile, Transition
from tests.unit.notifier.builders import (
    ABANDONED_CART,
    FOLLOW_UPS,
    NOON,
    THANK_YOU,
    changed,
    retracted,
    transition,
    uid,
)

LATER = NOON + timedelta(hours=25)


@dataclass
class World:
    """The notifier's tables in memory: the same pure parts, with its unique indexes checked at every write."""

    follow_ups: dict[str, FollowUp] = field(default_factory=lambda: dict(FOLLOW_UPS))
    customers: dict[UUID, Customer] = field(default_factory=dict)
    instances: dict[UUID, Instance] = field(default_factory=dict)
    rows: dict[UUID, Row] = field(default_factory=dict)
    sequences: dict[UUID, int] = field(default_factory=dict)
    forgotten: Forgotten = NOTHING_FORGOTTEN

    def next(self, customer: str) -> int:
        self.sequences[uid(customer)] = self.sequences.get(uid(customer), 0) + 1
        return self.sequences[uid(customer)]

    def take(self, change: CustomerChange, now: datetime = NOON) -> None:
        customer = self.customers.get(change.customer_id) or Customer(id=change.customer_id, storefront="main-shop")
        applied = apply(change, customer, self.instances)
        if applied is None:
            return
        self.customers[customer.id] = applied.customer
        self.instances |= {instance.instance: instance for instance in applied.instances}
        wanted = [w for instance in applied.instances for w in plan(instance, "main-shop", self.follow_ups)]
        planned = {instance.instance for instance in applied.instances}
        self.write(reconcile(planned, wanted, self.found(planned, wanted), now, self.forgotten))

    def found(self, planned: set[UUID], wanted: Iterable[Wanted]) -> list[Row]:
        keys = {w.occasion for w in wanted} | {w.cause for w in wanted}
        return [
            replace(row, moved_by=self.instances[row.instance].moved_by)
            for row in self.rows.values()
            if row.instance in planned or (row.active and (row.occasion in keys or row.cause in keys))
        ]

    def write(self, changes: Changes) -> None:
        for row_id in changes.cancels:
            assert self.rows[row_id].unsent
            self.rows[row_id] = replace(self.rows[row_id], status=Status.CANCELLED)
        for rewrite in changes.rewrites:
            assert self.rows[rewrite.id].unsent
            self.rows[rewrite.id] = row_of(rewrite.id, rewrite.wanted)
        for want in changes.inserts:
            message = uuid4()
            self.rows[message] = row_of(message, want)
        active = [row for row in self.rows.values() if row.active]
        assert len({(row.follow_up, row.step, row.occasion) for row in active}) == len(active)
        assert len({(row.follow_up, row.step, row.cause) for row in active}) == len(active)

    def statuses(self) -> list[Status]:
        return [row.status for row in self.rows.values()]

    def send_all(self) -> None:
        for row in list(self.rows.values()):
            if row.status is Status.PENDING:
                self.rows[row.id] = replace(row, status=Status.SENT)


def row_of(message: UUID, want: Wanted) -> Row:
    return Row(
        id=message,
        follow_up=want.follow_up,
        step=want.step,
        customer_id=want.customer_id,
        instance=want.instance,
        transition=want.transition,
        occasion=want.occasion,
        cause=want.cause,
        at=want.at,
        status=Status.PENDING,
        unknowns=0,
        moved_by=want.moved_by,
    )


def table(
    sequence: int, number: int, *moves: Transition, customer: str, other: str, part_of: str | None = None
) -> CustomerTable:
    """One row an instance, in the stage of its last move."""
    by_instance: dict[UUID, list[Transition]] = {}
    for move in moves:
        by_instance.setdefault(move.instance, []).append(move)
    return CustomerTable(
        storefront="main-shop",
        customer_id=uid(customer),
        sequence=sequence,
        number=number,
        others=[uid(other)],
        part_of=uid(part_of) if part_of else None,
        profile=Profile(),
        table=[
            InstanceRow(
                instance=instance,
                track=own[-1].track,
                key=own[-1].key,
                stage=own[-1].to_stage,
                since=own[-1].at,
                moves=own,
            )
            for instance, own in by_instance.items()
        ],
    )


ABANDONED = transition("abandoned", cause="add")
ACTIVE = transition("active", cause="view", minutes=5)
ORDERED = transition("ordered", cause="order", minutes=10)


def test_an_abandoned_cart_wants_its_reminder() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    (row,) = world.rows.values()
    assert (row.follow_up, row.status, row.transition) == ("abandoned-cart", Status.PENDING, ABANDONED.id)


def test_an_order_cancels_the_reminder_that_waits() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    world.take(changed(2, ORDERED))
    assert world.statuses() == [Status.CANCELLED]


def test_a_cart_that_is_abandoned_again_before_the_mail_went_out_gets_one_message() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    world.take(changed(2, ACTIVE))
    world.take(changed(3, transition("abandoned", cause="add-2", minutes=90)))
    assert world.statuses() == [Status.PENDING]


def test_a_cart_is_reminded_of_once_for_ever() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    world.send_all()
    world.take(changed(2, ACTIVE))
    world.take(changed(3, transition("abandoned", cause="add-2", minutes=90)))
    assert world.statuses() == [Status.SENT]


def test_a_follow_up_once_per_cause_is_sent_again_for_another_cause() -> None:
    world = World(follow_ups={"abandoned-cart": replace(ABANDONED_CART, once_per=OncePer.CAUSE)})
    world.take(changed(1, ABANDONED))
    world.send_all()
    world.take(changed(2, ACTIVE))
    world.take(changed(3, transition("abandoned", cause="add-2", minutes=90)))
    assert world.statuses() == [Status.SENT, Status.PENDING]


def test_a_retracted_start_cancels_and_its_announcement_brings_the_same_message_back() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    (first,) = world.rows
    world.take(retracted(2, ABANDONED, "active"))
    assert world.statuses() == [Status.CANCELLED]
    world.take(changed(3, ABANDONED))
    assert {row.id: row.status for row in world.rows.values()} == {first: Status.PENDING}


def test_a_correction_to_another_run_of_the_cart_cannot_send_again() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    world.send_all()
    world.take(retracted(2, ABANDONED, None))
    world.take(changed(3, transition("abandoned", cause="add", instance="cart-1-run-2")))
    assert world.statuses() == [Status.SENT]


def test_a_correction_before_the_mail_moves_it_whichever_is_told_first() -> None:
    elsewhere = transition("abandoned", cause="add", instance="cart-1-run-2")
    for news in (
        [retracted(2, ABANDONED, None), changed(3, elsewhere)],
        [changed(2, elsewhere), retracted(3, ABANDONED, None)],
    ):
        world = World()
        world.take(changed(1, ABANDONED))
        for change in news:
            world.take(change)
        (waiting,) = [row for row in world.rows.values() if row.active]
        assert (waiting.instance, waiting.status) == (elsewhere.instance, Status.PENDING)


def test_a_late_event_that_changes_which_rule_an_order_fired_thanks_once() -> None:
    world = World()
    placed = transition("placed", cause="order", track="order", instance="order-1")
    again = Transition(**{**{f: getattr(placed, f) for f in placed.__struct_fields__}, "id": uid("other rule")})
    world.take(changed(1, placed))
    world.send_all()
    world.take(retracted(2, placed, None))
    world.take(changed(3, again))
    assert world.statuses() == [Status.SENT]


def test_a_replay_starts_nothing() -> None:
    world = World()
    world.take(changed(1, ABANDONED, replay=True))
    assert world.statuses() == []


def test_a_replay_cancels() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    world.take(changed(2, ORDERED, replay=True))
    assert world.statuses() == [Status.CANCELLED]


def test_a_join_does_not_make_a_replay_start_something() -> None:
    world = World()
    world.take(changed(1, ABANDONED, customer="guest", replay=True))
    world.take(table(2, 1, customer="guest", other="ada", part_of="ada"))
    world.take(table(1, 1, ABANDONED, customer="ada", other="guest"))
    assert world.statuses() == []


def test_what_is_too_old_when_we_hear_of_it_starts_nothing() -> None:
    world = World()
    world.take(changed(1, ABANDONED), now=LATER)
    assert world.statuses() == []


def test_a_thank_you_outlasts_shipping_but_not_a_cancellation() -> None:
    for stage, expected in (("shipped", Status.PENDING), ("cancelled", Status.CANCELLED)):
        world = World()
        world.take(changed(1, transition("placed", track="order", instance="order-1")))
        world.take(changed(2, transition(stage, cause="e2", track="order", instance="order-1", minutes=1)))
        assert world.statuses() == [expected]


def test_a_message_that_may_have_gone_out_is_neither_cancelled_nor_sent_again() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    (row,) = world.rows.values()
    world.rows[row.id] = replace(row, status=Status.RETRY, unknowns=1)
    world.take(retracted(2, ABANDONED, "active"))
    world.take(changed(3, ABANDONED))
    assert world.statuses() == [Status.RETRY]


def test_a_guest_who_was_mailed_and_then_logs_in_is_not_mailed_again_in_any_order_of_the_streams() -> None:
    tables = [
        table(2, 1, customer="guest", other="ada", part_of="ada"),
        table(1, 1, ABANDONED, customer="ada", other="guest"),
    ]
    for joined in (tables, tables[::-1]):
        world = World()
        world.take(changed(1, ABANDONED, customer="guest"))
        world.send_all()
        for change in joined:
            world.take(change)
        assert world.statuses() == [Status.SENT]


def test_a_waiting_message_follows_its_cart_to_the_customer_that_the_guest_turned_out_to_be() -> None:
    tables = [
        table(2, 1, customer="guest", other="ada", part_of="ada"),
        table(1, 1, ABANDONED, customer="ada", other="guest"),
    ]
    for joined in (tables, tables[::-1]):
        world = World()
        world.take(changed(1, ABANDONED, customer="guest"))
        for change in joined:
            world.take(change)
        (row,) = world.rows.values()
        assert (row.status, row.customer_id) == (Status.PENDING, uid("ada"))


def test_a_waiting_message_about_a_time_of_which_all_else_is_forgotten_is_handed_over_and_a_new_one_is_none() -> None:
    elsewhere = transition("abandoned", cause="add", instance="cart-1-run-2")
    for news in (
        [
            table(1, 1, ABANDONED, customer="ada", other="guest"),
            table(2, 1, customer="guest", other="ada", part_of="ada"),
        ],
        [changed(2, elsewhere, customer="guest"), retracted(3, ABANDONED, None, customer="guest")],
    ):
        world = World()
        world.take(changed(1, ABANDONED, customer="guest"))
        world.forgotten = Forgotten(before=NOON + timedelta(seconds=1))
        for change in news:
            world.take(change)
        waiting = [row for row in world.rows.values() if row.active]
        assert [(row.status, row.customer_id) for row in waiting] == [
            (Status.PENDING, world.instances[waiting[0].instance].customer_id)
        ]
    world.take(retracted(4, elsewhere, None, customer="guest"))
    world.take(changed(5, elsewhere, customer="guest"))
    assert not any(row.active for row in world.rows.values()), "what stands no more is not brought back"


def test_what_has_forgotten_its_occasion_is_not_handed_over_to_it() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    elsewhere = transition("abandoned", cause="add", instance="cart-1-run-2")
    (want,) = plan_of(ABANDONED_CART, elsewhere)
    world.forgotten = Forgotten(before=NOON, occasions=frozenset({(want.follow_up, want.step, want.occasion)}))
    world.take(changed(2, elsewhere))
    assert not any(row.active for row in world.rows.values())


def test_a_waiting_message_counts_from_the_corrected_time_of_its_move() -> None:
    world = World()
    world.take(changed(1, ABANDONED))
    (first,) = world.rows
    world.take(changed(2, msgspec.structs.replace(ABANDONED, at=NOON - timedelta(minutes=10))))
    assert {row.id: (row.status, row.at) for row in world.rows.values()} == {
        first: (Status.PENDING, NOON - timedelta(minutes=10))
    }
    world.send_all()
    world.take(changed(3, ABANDONED))
    assert world.statuses() == [Status.SENT]


def test_old_news_on_the_guests_stream_does_not_undo_what_the_join_showed() -> None:
    world = World()
    world.take(table(1, 1, ABANDONED, ORDERED, customer="ada", other="guest"))
    world.take(changed(1, ABANDONED, customer="guest"))
    assert world.statuses() == []


TWICE = replace(
    ABANDONED_CART,
    steps=(
        Step(number=1, after=timedelta(hours=1), template="abandoned-cart"),
        Step(number=2, after=timedelta(hours=24), channels=("webhook",), endpoint="e"),
    ),
)


def test_every_step_has_a_message_of_its_own_whose_time_and_age_count_from_its_turn() -> None:
    first, second = plan_of(TWICE, ABANDONED)
    assert (first.step, first.due_at, first.expires_at) == (1, NOON + timedelta(hours=1), NOON + timedelta(hours=25))
    assert (second.step, second.due_at) == (2, NOON + timedelta(hours=24))
    assert second.expires_at == NOON + timedelta(hours=48)
    assert (first.channel, second.channel) == ("email", "webhook")
    assert (first.occasion, first.cause) == (second.occasion, second.cause)


def test_an_order_cancels_all_steps_that_have_not_gone() -> None:
    world = World(follow_ups={"abandoned-cart": TWICE})
    world.take(changed(1, ABANDONED))
    first = next(row for row in world.rows.values() if row.step == 1)
    world.rows[first.id] = replace(first, status=Status.SENT)
    world.take(changed(2, ORDERED))
    assert {row.step: row.status for row in world.rows.values()} == {1: Status.SENT, 2: Status.CANCELLED}


def test_leaving_a_stage_starts_what_says_so() -> None:
    left = replace(ABANDONED_CART, stage="abandoned", leaving=True, until=None)
    world = World(follow_ups={"abandoned-cart": left})
    world.take(changed(1, ABANDONED))
    assert world.statuses() == []
    world.take(changed(2, ACTIVE))
    assert [row.transition for row in world.rows.values()] == [ACTIVE.id]


# The worlds of the properties: two customers, two runs of a cart, joins and splits of the two.
def moves(*, shared_causes: bool) -> list[Transition]:
    return [
        transition(stage, cause=cause if shared_causes else f"{instance} {cause}", instance=instance, minutes=minutes)
        for instance in ("cart-1", "cart-1-run-2")
        for minutes, (stage, cause) in enumerate(
            [("abandoned", "a"), ("active", "v"), ("abandoned", "b"), ("ordered", "o")]
        )
    ]


def steps_with(moves: list[Transition]) -> st.SearchStrategy[list[tuple[object, ...]]]:
    announce = st.tuples(st.just("announce"), st.sampled_from(moves), st.booleans())
    retract = st.tuples(st.just("retract"), st.sampled_from(moves))
    others = st.sampled_from([("send",), ("join",), ("split",)])
    return st.lists(announce | retract | others, max_size=25)


def played(steps: list[tuple[object, ...]], moves: list[Transition]) -> World:
    """Ada's stream until a join or split makes the guest the one who holds it all."""
    world, number, (holds, other) = World(follow_ups={"abandoned-cart": TWICE}), 0, ("ada", "guest")
    for step in steps:
        match step:
            case ("announce", Transition() as move, bool() as replay):
                world.take(changed(world.next(holds), move, customer=holds, replay=replay))
            case ("retract", Transition() as move):
                held = world.instances.get(move.instance)
                left = [m.to_stage for m in held.moves if m.id != move.id] if held else []
                world.take(retracted(world.next(holds), move, left[-1] if left else None, customer=holds))
            case ("send",):
                world.send_all()
            case ("join" | "split" as what,):
                number, holds, other = number + 1, other, holds
                surviving = {m.id for i in world.instances.values() for m in i.moves if i.stage is not None}
                shown = [move for move in moves if move.id in surviving]
                told = [
                    table(world.next(holds), number, *shown, customer=holds, other=other),
                    table(world.next(other), number, customer=other, other=holds, part_of=holds),
                ]
                for change in told if what == "join" else told[::-1]:
                    world.take(change)
    return world


SHARED, OWN = moves(shared_causes=True), moves(shared_causes=False)


@settings(max_examples=300, deadline=None)
@given(steps_with(SHARED))
def test_any_order_of_announcements_retractions_and_joins_mails_an_occasion_and_a_cause_once(
    steps: list[tuple[object, ...]],
) -> None:
    world = played(steps, SHARED)
    sent = [row for row in world.rows.values() if row.status is Status.SENT]
    assert len({(row.step, row.occasion) for row in sent}) == len(sent)
    assert len({(row.step, row.cause) for row in sent}) == len(sent)


@settings(max_examples=300, deadline=None)
@given(steps_with(OWN))
def test_what_is_wanted_in_the_end_has_its_message_and_what_is_not_has_none_waiting(
    steps: list[tuple[object, ...]],
) -> None:
    world = played(steps, OWN)
    wanted = {
        (want.step, want.occasion): want
        for instance in world.instances.values()
        for want in plan(instance, "main-shop", world.follow_ups)
    }
    active = {(row.step, row.occasion): row for row in world.rows.values() if row.active}
    assert wanted.keys() <= active.keys()
    for key, row in active.items():
        if row.status is Status.PENDING:
            assert (row.cause, row.customer_id) == (wanted[key].cause, wanted[key].customer_id)


def test_the_thank_you_is_of_the_order_track() -> None:
    assert plan_of(THANK_YOU, transition("placed", track="cart")) == ()


def plan_of(follow_up: FollowUp, move: Transition) -> tuple[Wanted, ...]:
    applied = apply(changed(1, move), Customer(id=uid("ada"), storefront="main-shop"), {})
    assert applied is not None
    return plan(applied.instances[0], "main-shop", {follow_up.name: follow_up})


def test_a_follow_up_is_started_by_moves_since_it_is_in_force_and_by_none_before() -> None:
    """Else whoever is touched by a new revision would be mailed what that revision brought, about long ago."""
    for since, rows in ((NOON, 1), (NOON + timedelta(seconds=1), 0)):
        world = World(follow_ups={"abandoned-cart": replace(ABANDONED_CART, since=since)})
        world.take(changed(1, transition("abandoned")))
        assert len(world.rows) == rows


def test_what_a_new_revision_says_of_the_past_starts_nothing_and_cancels() -> None:
    world = World()
    world.take(changed(1, transition("abandoned"), replay=True))
    assert world.rows == {}
    world = World()
    world.take(changed(1, transition("abandoned")))
    world.take(retracted(2, transition("abandoned"), "active"))
    assert [row.status for row in world.rows.values()] == [Status.CANCELLED]


def test_a_join_s_table_says_which_moves_are_replays() -> None:
    said = transition("abandoned")
    row = InstanceRow(
        instance=said.instance, track=said.track, key=said.key, stage="abandoned", since=said.at, moves=[said]
    )
    for replays, rows in (([], 1), ([said.id], 0)):
        world = World()
        table = CustomerTable(
            storefront="main-shop",
            customer_id=uid("ada"),
            sequence=1,
            number=1,
            others=[uid("bob")],
            part_of=None,
            profile=Profile(),
            table=[row],
            replays=replays,
        )
        world.take(table)
        assert len(world.rows) == rows
