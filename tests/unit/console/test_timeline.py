"""A customer's story is told in the order in which it happened."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from console.queries import HappenedEvent, Journey, Move
from console.timeline import Entry, in_order, stands, timeline

MINUTE = timedelta(minutes=1)


def told(entries: list[Entry]) -> list[str]:
    return [entry.event.name if entry.event else entry.move.to_stage if entry.move else "" for entry in entries]


def test_a_move_stands_after_the_event_of_its_moment(
    move: Callable[..., Move], event: Callable[..., HappenedEvent], noon: datetime
) -> None:
    found = Journey(
        events=[event("Order Completed", at=noon + MINUTE), event("Product Viewed")],
        moves=[move("purchase", before="interest", at=noon + MINUTE), move("interest", before="awareness")],
        messages=[],
    )
    assert told(timeline(found)) == ["Product Viewed", "interest", "Order Completed", "purchase"]


def test_events_of_one_moment_come_as_the_fold_takes_them(event: Callable[..., HappenedEvent]) -> None:
    names = ["Order Shipped", "Order Completed", "Checkout Started", "Product Added", "Product Viewed"]
    found = Journey(events=[event(name) for name in names], moves=[], messages=[])
    assert told(timeline(found)) == names[::-1]


def test_moves_of_one_moment_follow_each_other(move: Callable[..., Move]) -> None:
    """A shop's clock has whole seconds: a view, an add and an order can share one."""
    way = [None, "awareness", "interest", "consideration", "purchase", "retention"]
    moves = [move(to, before=before) for before, to in pairwise(way) if to]
    for seed in range(20):
        shuffled = random.Random(seed).sample(moves, len(moves))  # noqa: S311  an order, not a secret
        assert [m.to_stage for m in in_order(shuffled)] == way[1:]
        assert [m.to_stage for m in stands(shuffled)] == ["retention"]


def test_a_way_that_goes_in_a_circle_within_a_moment_ends(move: Callable[..., Move], noon: datetime) -> None:
    circle = [move("a", before="b"), move("b", before="a"), move("a"), move("c", before="a", at=noon + MINUTE)]
    assert [m.to_stage for m in in_order(circle)] == ["a", "b", "a", "c"]


def test_every_cart_stands_where_it_went_last(move: Callable[..., Move], noon: datetime) -> None:
    moves = [
        move("active", track="cart", key="c1"),
        move("active", track="cart", key="c2", at=noon + 2 * MINUTE),
        move("ordered", before="active", track="cart", key="c1", at=noon + MINUTE),
        move("interest"),
    ]
    assert [(m.key, m.to_stage) for m in stands(moves)] == [("", "interest"), ("c2", "active"), ("c1", "ordered")]


def test_a_pause_is_said_where_it_is_one(event: Callable[..., HappenedEvent], noon: datetime) -> None:
    at = [timedelta(0), timedelta(seconds=59), timedelta(minutes=3), timedelta(hours=4, minutes=30), timedelta(days=91)]
    found = Journey(events=[event("Product Viewed", at=noon + later) for later in at], moves=[], messages=[])
    assert [entry.later for entry in timeline(found)] == [None, None, "2m", "4h", "90d"]
