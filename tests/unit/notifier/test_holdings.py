"""What is held of instances when a join stands on several streams and they are read in any order."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest
from msgspec.structs import replace

from notifier.holdings import Customer, Instance, apply
from notifier.plan import plan
from services.contracts.changes import CustomerChange, CustomerTable, InstanceRow, Profile, Transition
from tests.unit.notifier.builders import FOLLOW_UPS, changed, retracted, transition, uid

BEFORE = transition("awareness", cause="late", instance="life", track="lifecycle")
NOW = transition("purchase", cause="order", instance="life", track="lifecycle", minutes=1)


def table(customer: str, sequence: int, number: int, *moves: Transition, part_of: str | None = None) -> CustomerTable:
    rows = [
        InstanceRow(instance=move.instance, track=move.track, key="", stage=move.to_stage, since=move.at, moves=[move])
        for move in moves
    ]
    return CustomerTable(
        storefront="main-shop",
        customer_id=uid(customer),
        sequence=sequence,
        number=number,
        others=[],
        part_of=uid(part_of) if part_of else None,
        profile=Profile(),
        table=rows,
    )


GUEST: list[CustomerChange] = [
    changed(1, BEFORE, customer="guest"),
    table("guest", 2, 25, part_of="account"),
    retracted(3, BEFORE, None, customer="guest"),
]
ACCOUNT: list[CustomerChange] = [table("account", 1, 25, NOW), changed(2, NOW, customer="account")]


FORMER: list[CustomerChange] = [
    changed(1, BEFORE, customer="former"),
    table("former", 2, 41),
    retracted(3, BEFORE, None, customer="former"),
    table("former", 4, 43),
]
LATER: list[CustomerChange] = [table("later", 1, 41, NOW), changed(2, NOW, customer="later")]


def read(order: tuple[str, ...], streams: dict[str, list[CustomerChange]]) -> dict[UUID, Instance]:
    waiting = {name: iter(changes) for name, changes in streams.items()}
    customers: dict[UUID, Customer] = {}
    held: dict[UUID, Instance] = {}
    for name in order:
        customer = customers.get(uid(name)) or Customer(id=uid(name), storefront="main-shop")
        applied = apply(next(waiting[name]), customer, held)
        assert applied is not None
        customers[uid(name)] = applied.customer
        held |= {instance.instance: instance for instance in applied.instances}
    return held


@pytest.mark.parametrize("order", sorted(set(permutations(["guest"] * 3 + ["account"] * 2))))
def test_a_join_that_also_retracts_a_move_leaves_its_instance_where_the_table_showed_it(order: tuple[str, ...]) -> None:
    instance = read(order, {"guest": GUEST, "account": ACCOUNT})[uid("life")]
    assert (instance.customer_id, instance.stage) == (uid("account"), "purchase")


@pytest.mark.parametrize("order", sorted(set(permutations(["former"] * 4 + ["later"] * 2))))
def test_what_a_split_took_away_comes_to_its_new_holder_whatever_else_happens_to_the_former(
    order: tuple[str, ...],
) -> None:
    instance = read(order, {"former": FORMER, "later": LATER})[uid("life")]
    assert (instance.customer_id, instance.stage) == (uid("later"), "purchase")


def test_what_was_retracted_everywhere_may_come_back_with_whoever_took_part_in_the_join() -> None:
    guest = Customer(id=uid("guest"), storefront="main-shop", table_number=25)
    applied = apply(changed(9, BEFORE, customer="guest"), guest, {})
    assert applied is not None
    gone = apply(retracted(10, BEFORE, None, customer="guest"), applied.customer, {uid("life"): applied.instances[0]})
    assert gone is not None
    account = Customer(id=uid("account"), storefront="main-shop", table_number=25)
    back = apply(changed(4, NOW, customer="account"), account, {uid("life"): gone.instances[0]})
    assert back is not None
    assert [(i.customer_id, i.stage) for i in back.instances] == [(uid("account"), "purchase")]


def test_a_move_that_comes_late_leaves_its_instance_where_the_change_says_that_it_stands() -> None:
    """Shops' clocks have whole seconds: by its time alone the late move could as well be the last."""
    now = transition("interest", cause="view", instance="life", track="lifecycle")
    late = transition("awareness", cause="earlier", instance="life", track="lifecycle")
    ada = Customer(id=uid("ada"), storefront="main-shop")
    applied = apply(changed(1, now), ada, {})
    assert applied is not None
    change = replace(changed(2, late), stage="interest", since=now.at)
    applied = apply(change, applied.customer, {uid("life"): applied.instances[0]})
    assert applied is not None
    assert [instance.stage for instance in applied.instances] == ["interest"]


@pytest.mark.parametrize("told", ["in a change", "in a table"])
def test_a_move_that_turns_out_to_be_of_another_time_is_of_that_time_and_starts_what_it_started(told: str) -> None:
    """By a join another copy of its cause may come to light; its retraction then stands on the other stream."""
    move = transition("placed", instance="order-1", track="order")
    ada = Customer(id=uid("ada"), storefront="main-shop")
    first = apply(changed(1, move, replay=True), ada, {})
    assert first is not None
    earlier = replace(move, at=move.at - timedelta(hours=1))
    change = changed(2, earlier) if told == "in a change" else table("ada", 2, 25, earlier)
    applied = apply(change, first.customer, {uid("order-1"): first.instances[0]})
    assert applied is not None
    (held,) = applied.instances[0].moves
    assert (held.at, held.starts) == (earlier.at, False)


def test_after_a_retraction_it_stands_where_the_change_says_and_since_when() -> None:
    """A table that was too large shows last moves only: what led there may be none that is held."""
    over = transition("delivered", instance="order-1", track="order", minutes=5)
    ada = Customer(id=uid("ada"), storefront="main-shop")
    first = apply(table("ada", 1, 25, over), ada, {})
    assert first is not None
    change = replace(retracted(2, over, "shipped"), since=over.at - timedelta(minutes=1))
    applied = apply(change, first.customer, {uid("order-1"): first.instances[0]})
    assert applied is not None
    assert [(one.stage, one.since) for one in applied.instances] == [("shipped", change.since)]


def test_a_move_that_is_told_again_keeps_its_place_among_those_of_its_instant() -> None:
    begun, over = (transition(stage, cause=stage) for stage in ("active", "ordered"))
    rows = table("ada", 1, 25, over).table
    whole = replace(table("ada", 1, 25), table=[replace(rows[0], moves=[begun, over])])
    applied = apply(whole, Customer(id=uid("ada"), storefront="main-shop"), {})
    assert applied is not None
    again = replace(changed(2, begun), stage="ordered")
    applied = apply(again, applied.customer, {uid("cart-1"): applied.instances[0]})
    assert applied is not None
    assert [move.to_stage for move in applied.instances[0].moves] == ["active", "ordered"]


@pytest.mark.parametrize("told", ["in a change", "in a table"])
def test_what_is_historical_starts_nothing_however_it_is_told(told: str) -> None:
    """The table of a join may be the first that is heard of an imported customer."""
    imported = replace(transition("placed", instance="order-1", track="order"), historical=True)
    change = changed(1, imported, replay=True) if told == "in a change" else table("ada", 1, 25, imported)
    applied = apply(change, Customer(id=uid("ada"), storefront="main-shop"), {})
    assert applied is not None
    (instance,) = applied.instances
    assert instance.stage == "placed"
    assert plan(instance, "main-shop", FOLLOW_UPS) == ()
    live = replace(imported, historical=False)
    applied = apply(table("ada", 1, 25, live), Customer(id=uid("ada"), storefront="main-shop"), {})
    assert applied is not None
    assert [wanted.follow_up for wanted in plan(applied.instances[0], "main-shop", FOLLOW_UPS)] == ["thank-you"]


def test_what_is_historical_ends_what_was_started_live() -> None:
    live = transition("abandoned", cause="e1")
    imported = replace(transition("ordered", cause="e2", minutes=5), historical=True)
    held: dict[UUID, Instance] = {}
    customer = Customer(id=uid("ada"), storefront="main-shop")
    wanted = []
    for change in (changed(1, live), changed(2, imported, replay=True)):
        applied = apply(change, customer, held)
        assert applied is not None
        customer, held = applied.customer, {i.instance: i for i in applied.instances}
        wanted.append([w.follow_up for w in plan(held[uid("cart-1")], "main-shop", FOLLOW_UPS)])
    assert wanted == [["abandoned-cart"], []]
