"""Order: a customer's events have one order for ever, whatever order and however many copies came."""

from itertools import permutations

from services.contracts.events import Rank, rank_of
from stage_engine.history import Position, in_order
from tests.unit.stage_engine.builders import START, added, event, ordered, see, when


def ids(*entries):  # noqa: ANN002, ANN201  entries to texts
    return [entry.event.id for entry in in_order(entries)]


def test_events_sort_by_when_they_occurred_not_by_when_they_were_received() -> None:
    assert ids(event("A", "2s", id="a", received="3s"), event("B", "1s", id="b", received="9s")) == ["b", "a"]


def test_microseconds_tell_events_apart() -> None:
    first, second = START.replace(microsecond=1), START.replace(microsecond=2)
    assert ids(event("A", second, id="a"), event("B", first, id="b")) == ["b", "a"]


def test_of_one_instant_the_rank_decides_before_the_id() -> None:
    names = {
        "z1": "Product Viewed",
        "y2": "Product Added",
        "x3": "Checkout Started",
        "w4": "Order Completed",
        "v5": "Order Shipped",
        "u6": "Order Refunded",
    }
    entries = [event(name, id=id_) for id_, name in names.items()]
    assert all(ids(*shuffled) == list(names) for shuffled in permutations(entries))


def test_ranks_rise_from_views_to_refunds() -> None:
    assert sorted(Rank) == [Rank.VIEW, Rank.CART, Rank.CHECKOUT, Rank.ORDER, Rank.SHIPMENT, Rank.REFUND]


def test_an_unknown_event_ranks_with_the_views() -> None:
    assert rank_of("Cup Of Tea Drunk") is Rank.VIEW


def test_of_one_instant_and_rank_the_bytes_of_the_id_decide() -> None:
    assert ids(*(event("A", id=id_) for id_ in ("é", "a", "Z", "😀", "\ufffd"))) == ["Z", "a", "é", "\ufffd", "😀"]


def test_what_is_due_at_a_time_stands_before_its_events_and_after_all_earlier_ones() -> None:
    assert event("A", "1s", id="~").position < Position.due(when("2s")) < event("A", "2s", id="").position


def test_an_order_of_the_same_second_ends_the_cart() -> None:
    assert see(ordered(id="a"), added(id="b"), until="2h").stage("cart", "c1") == "ordered"


def test_of_copies_with_one_id_only_the_one_received_first_is_folded() -> None:
    late, early = (event("Product Viewed", "0s", id="x", received=at, sku=at) for at in ("9s", "5s"))
    assert [e.event.properties["sku"] for e in in_order([late, early])] == ["5s"]
    assert see(late, early, late).fact("views_7d") == 1


def test_copies_are_told_by_their_id_also_when_they_name_others_and_other_times() -> None:
    first = event("Product Viewed", "5s", id="x", received="6s", who={"anonymous_id": "a1"})
    copy = event("Product Viewed", "1s", id="x", received="7s")
    assert in_order([copy, first]) == [first]


def test_copies_received_at_one_time_are_told_apart_by_their_bodies() -> None:
    copies = [event("Product Viewed", id="x", sku=sku) for sku in "abcd"]
    held = {in_order(shuffled)[0].event.properties["sku"] for shuffled in permutations(copies)}
    assert held == {min(copies, key=lambda copy: copy.body).event.properties["sku"]}


def test_a_body_is_the_same_whenever_it_was_received_and_whatever_the_order_of_its_keys() -> None:
    one = event("A", id="x", received="1s", a=1, b={"c": 1, "d": 2})
    other = event("A", id="x", received="9s", b={"d": 2, "c": 1}, a=1)
    assert one.body == other.body
    assert one.body != event("A", id="x", a=1, b={"c": 1, "d": 3}).body
    assert one.body != event("A", id="x", a=1, b={"c": 1, "d": 2}, by="browser").body
