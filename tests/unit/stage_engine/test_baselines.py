"""A past that is not kept: with a baseline in its place a customer is who they were, and two pasts become one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

import stage_engine.fold as folding
from services.contracts.changes import Address
from services.contracts.events import SaidBy
from stage_engine.baselines import Baseline, Stored, cut_at, merged, merged_order
from stage_engine.facts import shown
from stage_engine.fold import Folded, fold
from stage_engine.history import Entry, Position, in_order
from stage_engine.model.model import Model
from stage_engine.orders import Order
from tests.unit.stage_engine.builders import (
    SEVEN,
    SHOP,
    START,
    Seen,
    added,
    event,
    model,
    ordered,
    parallel_carts,
    said,
    see,
    when,
)
from tests.unit.stage_engine.test_properties import MODELS, histories, models, several, untils

ACCOUNT, DEVICE = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True, scope="module")
def close_checkpoints() -> Iterator[None]:
    kept, folding.CHECKPOINT_EVERY = folding.CHECKPOINT_EVERY, 3
    yield
    folding.CHECKPOINT_EVERY = kept


def cut(history: Sequence[Entry], count: int, by: Model, until: Any, of: UUID = ACCOUNT) -> tuple[Baseline, Folded]:  # noqa: ANN401  a datetime
    """The first `count` events as retention folds them away, and that fold."""
    past = in_order(history)[:count]
    folded = fold(past, by, min(until, past[-1].event.occurred_at), storefront=SHOP)
    book = {order.key: (position, order) for position, order in folded.orders}
    moves = tuple(move.transition for move in folded.moves)
    return Baseline(
        id=of, position=past[-1].position, state=folded.state, orders=tuple(book.values()), moves=moves
    ), folded


@several
@given(histories, models, untils, st.data())
def test_a_fold_from_a_baseline_cut_anywhere_is_the_whole_fold(
    history: list[Entry],
    name: str,
    until: Any,  # noqa: ANN401  a datetime
    data: st.DataObject,
) -> None:
    by = MODELS[name]
    whole = see(history, by=by, until=until).folded
    ordered_ = in_order(history)
    foldable = [entry for entry in ordered_ if whole.waits_from is None or entry.position < whole.waits_from]
    passed = [entry for entry in foldable if entry.event.occurred_at <= until]
    if not passed:
        return
    count = data.draw(st.integers(1, len(passed)))
    baseline, past = cut(history, count, by, until)
    rest = ordered_[count:]
    again = fold(rest, by, until, storefront=SHOP, baselines=[baseline])
    assert again.state == whole.state
    assert (again.next_wake, again.waits_from) == (whole.next_wake, whole.waits_from)
    assert [move.transition for move in again.moves] == [move.transition for move in whole.moves]
    assert again.moves[len(past.moves) :] == whole.moves[len(past.moves) :]
    assert dict(_book(again)) == dict(_book(whole))
    assert again.orders[len(baseline.orders) :] == whole.orders[len(past.orders) :]
    onward = fold(
        rest,
        by,
        until,
        storefront=SHOP,
        start=baseline.state,
        orders={order.key: order for _, order in baseline.orders},
    )
    assert (onward.state, onward.moves) == (whole.state, whole.moves[len(past.moves) :])
    note(f"something is left: {bool(rest)}")


def _book(folded: Folded) -> Iterator[tuple[str, Order]]:
    return ((order.key, order) for _, order in folded.orders)


@several
@given(histories, histories, models, st.randoms(use_true_random=False), st.data())
def test_two_pasts_come_to_the_same_whatever_the_order_in_which_they_are_given(
    one: list[Entry],
    other: list[Entry],
    name: str,
    random: Any,  # noqa: ANN401  hypothesis gives no type
    data: st.DataObject,
) -> None:
    by, until = MODELS[name], START + timedelta(days=400)
    first, _ = cut(one, data.draw(st.integers(1, len(in_order(one)))), by, until)
    second, _ = cut(other, data.draw(st.integers(1, len(in_order(other)))), by, until, DEVICE)
    last = max(first.position, second.position)
    rest = [entry for entry in one if entry.position > last]
    shuffled = random.sample(rest, len(rest))
    folded = fold(rest, by, until, storefront=SHOP, baselines=[first, second])
    assert folded == fold(shuffled, by, until, storefront=SHOP, baselines=[second, first])
    assert folded.state.approximate
    assert folded.state.moves == len(folded.moves)


def whole(
    *pasts: tuple[UUID, Sequence[Entry]], rest: Sequence[Entry] = (), by: Model = SEVEN, until: str = "20d"
) -> Seen:
    """Each past folded away by itself, then joined, and the rest folded on."""
    baselines = [cut(history, len(history), by, when(until), of)[0] for of, history in pasts]
    return Seen(fold(rest, by, when(until), storefront=SHOP, baselines=baselines), by, when(until))


def test_facts_of_two_pasts_add_up_and_an_order_that_both_know_counts_once() -> None:
    seen = whole(
        (DEVICE, [event("Product Viewed", "1d"), ordered("2d", "o1", revenue=10), ordered("3d", "o2", revenue=5)]),
        (ACCOUNT, [event("Product Viewed", "4d"), ordered("5d", "o2", revenue=6), ordered("6d", "o3", revenue=1)]),
    )
    assert (seen.fact("orders"), seen.fact("revenue")) == (3, 17)
    assert seen.fact("last_order_at") == when("6d")
    assert seen.orders["o2"].completed_at == when("3d")
    assert seen.state.approximate
    assert seen.state.events == 6


def test_what_comes_after_a_join_of_two_pasts_folds_on() -> None:
    seen = whole(
        (DEVICE, [ordered("2d", "o1", revenue=10)]),
        (ACCOUNT, [ordered("5d", "o3", revenue=1)]),
        rest=[event("Order Refunded", "6d", order_id="o1", revenue=4), ordered("7d", "o4", revenue=2)],
    )
    assert (seen.fact("orders"), seen.fact("revenue")) == (3, 9)
    assert seen.stage() == "retention"


def test_events_before_a_baseline_that_nobody_folded_away_are_a_past_of_their_own() -> None:
    seen = whole((ACCOUNT, [ordered("5d", "o1", revenue=1)]), rest=[event("Product Viewed", "1d"), ordered("2d", "o2")])
    assert seen.fact("orders") == 2
    assert seen.state.approximate
    after = whole((ACCOUNT, [ordered("5d", "o1", revenue=1)]), rest=[event("Product Viewed", "6d")])
    assert not after.state.approximate, "what comes after it is folded as if everything were kept"


def test_a_customers_track_stands_where_the_later_move_led_and_is_named_after_the_earlier_past() -> None:
    first, second = [event("Product Viewed", "1d")], [ordered("5d", "o1")]
    seen = whole((DEVICE, first), (ACCOUNT, second))
    assert seen.stage() == "purchase"
    assert seen.instance().id == see(first).instance().id
    assert len([i for i in seen.state.instances if i.track == "lifecycle"]) == 1


def test_a_cart_that_an_order_of_the_other_past_would_have_ended_reminds_nobody() -> None:
    cart, order = [added("1d", cart="c1")], [ordered("2d", "o1")]
    seen = whole((DEVICE, cart), (ACCOUNT, order), until="2d")
    assert seen.keys("cart") == []
    again = whole((DEVICE, cart), (ACCOUNT, order), rest=[added("3d", cart="c1")], until="3d")
    assert again.stage("cart", "c1#2") == "active"
    named = whole((DEVICE, cart), (ACCOUNT, order), by=parallel_carts(), until="2d")
    assert named.keys("cart") == ["c1"]
    its_own = [added("1d", cart="c1", order_id="o1")]
    assert whole((DEVICE, its_own), (ACCOUNT, order), by=parallel_carts(), until="2d").keys("cart") == []
    later = whole((DEVICE, [added("3d", cart="c1")]), (ACCOUNT, order), until="3d")
    assert later.keys("cart") == ["c1"]


def test_facts_of_every_kind_are_those_of_both() -> None:
    by = model(
        """
extends: seven-stage
facts:
  recent:  {count: Product Viewed, within: 30d}
  seen:    {distinct: Product Viewed, of: product_id}
  lately:  {distinct: Product Viewed, of: product_id, within: 30d}
  views:   {count: Product Viewed}
  worth:   {sum: Product Viewed, of: price}
  spent:   {sum: Product Viewed, of: price, within: 30d}
  least:   {min: Product Viewed, of: price}
  most:    {max: Product Viewed, of: price, within: 30d}
  score:   {points: {Product Viewed: 3}}
  first:   {first: Product Viewed, of: product_id}
  last:    {last: Product Viewed, of: product_id}
  by_kind: {count: Product Viewed, by: product_id}
  kind_at: {last: Product Viewed, of: price, by: product_id}
  bought:  {sum: Order Completed, of: revenue, once_per: order_id, within: 30d}
"""
    )

    def viewed(at: str, product: str, price: int) -> Entry:
        return event("Product Viewed", at, product_id=product, price=price)

    one = [viewed("1d", "a", 5), ordered("2d", "o1", revenue=4), viewed("4d", "b", 3)]
    other = [viewed("2d", "b", 4), ordered("3d", "o1", revenue=5), viewed("5d", "c", 1)]
    seen = whole((ACCOUNT, one), (DEVICE, other), by=by)
    kept_whole = see(one, other, by=by, until="20d")
    alike = by.facts.keys() - {"last_order_at"}  # to each of them it was the first they heard of the order
    assert {name: shown(seen.fact(name)) for name in alike} == {name: shown(kept_whole.fact(name)) for name in alike}
    assert seen.fact("last_order_at") == when("3d")
    assert (seen.fact("bought"), seen.fact("first"), seen.fact("last")) == (5, "a", "c")


def test_withdrawn_consent_and_a_servers_address_hold() -> None:
    def past(at: str, by: Any, name: str, email: str) -> list[Entry]:  # noqa: ANN401
        return [said(name, at, by=by, who={"user_id": "u1", "email": email}, traits={"tier": at}).entry]

    seen = whole(
        (DEVICE, past("1d", "server", "Email Unsubscribed", "a@b.c")),
        (ACCOUNT, past("2d", "browser", "Product Viewed", "x@y.z")),
    )
    assert seen.state.profile.consent == {"email": False}
    assert seen.state.profile.addresses == {"email": Address(value="a@b.c", said_by=SaidBy.SERVER)}
    later = whole(
        (DEVICE, past("1d", "server", "Email Unsubscribed", "a@b.c")),
        (ACCOUNT, past("2d", "server", "Email Subscribed", "x@y.z")),
    )
    assert later.state.profile.consent == {"email": False}
    assert later.state.profile.addresses["email"].value == "x@y.z"
    assert later.state.profile.traits == {"tier": "2d"}


def test_a_checkout_that_two_pasts_tied_to_a_cart_finds_the_one_touched_last() -> None:
    def checkout(at: str, cart: str) -> Entry:
        return added(at, cart=cart, checkout_id="k1")

    seen = whole((DEVICE, [checkout("1d", "c1")]), (ACCOUNT, [checkout("2d", "c2")]), until="2d")
    assert {cart: len(seen.instance("cart", cart).tied) for cart in ("c1", "c2")} == {"c1": 0, "c2": 1}
    again = whole((DEVICE, [checkout("3d", "c1")]), (ACCOUNT, [checkout("2d", "c1")]), until="3d")
    assert len(again.instance("cart", "c1").tied) == 1


def test_refunds_that_two_pasts_were_told_add_up() -> None:
    one = Order(key="o", completed_at=START, currency="EUR", revenue=10, total=12, refunded=3)
    other = Order(key="o", currency="EUR", refunded=4, cancelled=True)
    both = merged_order(one, other)
    assert (both.revenue, both.refunded, both.cancelled, both.completed_at) == (10, 7, True, START)
    assert merged_order(other, one) == both


def test_two_states_as_one_hold_each_run_once() -> None:
    one, other = see(added("1d", cart="c1"), ordered("2d")), see(added("3d", cart="c1"), ordered("4d", "o2"))
    both = merged(one.state, other.state, SEVEN)
    slots = [instance.slot for instance in both.instances]
    assert len(set(slots)) == len(slots)
    assert [i.opened for i in both.instances] == sorted(i.opened for i in both.instances)


def test_a_past_goes_on_under_a_model_that_knows_other_tracks_and_stages() -> None:
    past, _ = cut([added("1d"), ordered("2d", "o1")], 2, SEVEN, when("9d"))
    other = model("tracks: {lifecycle: {stages: {new: {start: true}, buyer: {enter: [{on: Order Completed}]}}}}")
    folded = fold([event("Product Viewed", "3d")], other, when("9d"), storefront=SHOP, baselines=[past])
    assert [(i.track, i.stage) for i in folded.state.instances] == [("lifecycle", "new")]
    assert folded.state.approximate
    onward = fold([ordered("4d", "o2")], other, when("9d"), storefront=SHOP, baselines=[past])
    assert [i.stage for i in onward.state.instances] == ["buyer"]


# How far a cut reaches


def row(second: int, *, received: int | None = None, last_copy: int | None = None) -> Stored:
    def at(n: int) -> Position:
        return Position(START + timedelta(seconds=n), 1, "e")

    received_at = START + timedelta(seconds=second if received is None else received)
    return Stored(at(second), received_at, at(second if last_copy is None else last_copy))


def reaches(*rows: Stored, before: int = 100, waits_from: int = 100, more: bool = False) -> int | None:
    limit, end = START + timedelta(seconds=before), row(waits_from).position
    found = cut_at(rows, received_before=limit, waits_from=end, more=more)
    return None if found is None else int((found.occurred_at - START).total_seconds())


def test_a_cut_reaches_as_far_as_all_was_received_long_ago() -> None:
    assert reaches(row(1), row(2), row(3)) == 3
    assert reaches(row(1), row(2), row(3), before=3) == 2
    assert reaches(row(1), row(2, received=150), row(3)) == 1, "what sorts after a late one stays a little longer"
    assert reaches(row(1, received=150), row(2)) is None
    assert reaches() is None


def test_a_cut_never_reaches_what_is_not_folded_yet() -> None:
    assert reaches(row(1), row(2), row(3), waits_from=3) == 2


def test_a_cut_parts_neither_copies_nor_events_of_one_position() -> None:
    assert reaches(row(1), row(2, last_copy=4), row(3), row(4), row(5)) == 5
    assert reaches(row(1), row(2, last_copy=4), row(3), row(4, received=150)) == 1
    assert reaches(row(1), row(2), row(2, received=150)) == 1
    assert reaches(row(1), row(2), more=True) == 1, "the next may sort where the last one does"
    assert reaches(row(1), row(2, last_copy=9), more=True) == 1


def test_a_baseline_of_a_baseline_is_a_baseline() -> None:
    history = [event("Product Viewed", "1d"), added("2d"), ordered("3d"), event("Product Viewed", "4d")]
    first, _ = cut(history, 2, SEVEN, when("9d"))
    folded = fold(history[2:3], SEVEN, when("3d"), storefront=SHOP, baselines=[first])
    moves = tuple(move.transition for move in folded.moves)
    second = replace(first, position=history[2].position, state=folded.state, orders=folded.orders, moves=moves)
    again = fold(history[3:], SEVEN, when("9d"), storefront=SHOP, baselines=[second])
    assert again.state == see(history, until="9d").state
