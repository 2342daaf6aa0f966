"""Checkouts: which an event is about, what ends one, and that nobody who bought has one open."""

from typing import Any

from tests.unit.stage_engine.builders import event, model, ordered, see

CHECKOUTS = """
tracks:
  checkout:
    per: checkout
    stages:
      begun:     {start: true, on: [Checkout Started]}
      failed:    {enter: [{on: Payment Failed}]}
      abandoned: {enter: [{after: 1h, idle: true, from: [begun, failed], when: size(checkout.items) > 0}]}
      completed: {enter: [{on: [Order Completed, Order Reported]}], final: true}
"""
LINES = [{"product_id": "p1", "price": 5, "quantity": 2}]
DEVICE = {"anonymous_id": "a1", "user_id": "u1"}


def started(after: str = "0s", **said: Any) -> Any:  # noqa: ANN401  see `event`
    return event("Checkout Started", after, products=LINES, **said)


def look(*entries: Any, until: str | None = None, text: str = CHECKOUTS) -> Any:  # noqa: ANN401  what was seen
    return see(*entries, by=model(text), until=until)


def test_a_checkout_is_known_by_its_id_else_its_orders_else_its_carts_else_the_device() -> None:
    by_all = {"checkout_id": "k1", "order_id": "o1", "cart_id": "c1", "who": DEVICE}
    keys = []
    for left_out in (None, "checkout_id", "order_id", "cart_id"):
        by_all.pop(left_out or "", None)
        keys += look(started(**by_all)).keys("checkout")
    assert keys == ["k1", "o1", "c1", "a1"]


def test_its_steps_are_its_own_events() -> None:
    steps = event("Checkout Step Viewed", "10m", checkout_id="k1"), event("Payment Failed", "20m", checkout_id="k1")
    assert look(started(checkout_id="k1"), *steps, until="70m").went("checkout", "k1") == ["begun", "failed"]
    assert look(started(checkout_id="k1"), *steps, until="80m").stage("checkout", "k1") == "abandoned"


def test_what_happens_in_the_cart_is_no_event_of_the_checkout() -> None:
    cart = event("Product Added", "50m", product_id="p2", checkout_id="k1")
    assert look(started(checkout_id="k1"), cart, until="61m").stage("checkout", "k1") == "abandoned"


def test_a_step_alone_begins_none() -> None:
    assert look(event("Checkout Step Viewed", checkout_id="k1")).keys("checkout") == []


def test_conditions_and_moves_see_its_contents_and_its_link() -> None:
    link = "https://shop.example/pay/k1"
    move = look(started(checkout_id="k1", checkout_url=link), until="2h").moves[-1]
    assert move.transition.to_stage == "abandoned"
    assert (move.subject.items[0]["product_id"], move.subject.value, move.subject.url) == ("p1", "10.00", link)


def test_an_order_ends_all_of_them_that_began_before() -> None:
    two = started(checkout_id="k1"), started("1s", checkout_id="k2")
    seen = look(*two, ordered("1m"), started("2m", checkout_id="k3"), until="3h")
    assert [seen.stage("checkout", key) for key in ("k1", "k2", "k3")] == ["completed", "completed", "abandoned"]


PARALLEL = CHECKOUTS.replace("per: checkout", "per: checkout\n    order_ends: named")


def test_where_they_are_parallel_an_order_ends_the_one_it_names() -> None:
    two = started(checkout_id="k1"), started("1s", order_id="o2")
    for named, ended in (({"checkout_id": "k1"}, "k1"), ({"order": "o2"}, "o2")):
        seen = look(*two, ordered("1m", **named), text=PARALLEL)
        assert {key: seen.stage("checkout", key) for key in ("k1", "o2")}[ended] == "completed"
        assert [seen.stage("checkout", key) for key in ("k1", "o2")].count("completed") == 1


def test_where_they_are_parallel_an_order_that_names_none_ends_all() -> None:
    two = started(checkout_id="k1"), started("1s", checkout_id="k2")
    seen = look(*two, ordered("1m", order="other"), text=PARALLEL)
    assert [seen.stage("checkout", key) for key in ("k1", "k2")] == ["completed", "completed"]


def test_one_with_an_id_has_one_run_and_one_without_begins_again() -> None:
    named = started(checkout_id="k1"), ordered("1m"), started("2m", checkout_id="k1")
    assert look(*named).keys("checkout") == ["k1"]
    unnamed = started(who=DEVICE), ordered("1m"), started("2m", who=DEVICE)
    assert look(*unnamed).keys("checkout") == ["a1", "a1#2"]
    late = started(who=DEVICE), ordered("1m"), event("Checkout Step Viewed", "2m", who=DEVICE)
    assert look(*late).keys("checkout") == ["a1"]


def test_an_ended_one_leaves_after_ninety_days() -> None:
    seen = look(started(checkout_id="k1"), ordered("1m"), event("Come", "91d"))
    assert seen.keys("checkout") == []
