"""Instances: one run of a track. Carts have keys that nothing changes, are ended by orders, and may begin again."""

import pytest

from stage_engine.instances import MOST, MOST_TIED
from stage_engine.subjects import MAX_COMMENT
from tests.unit.stage_engine.builders import added, event, model, ordered, parallel_carts, see, when

LINE = {"product_id": "p1", "quantity": 1}


def updated(after: str, *lines: dict[str, object], cart: str = "c1"):  # noqa: ANN201  an Entry
    return event("Cart Updated", after, cart_id=cart, products=list(lines))


def key_of_cart(**said: object) -> list[str]:
    return see(added(cart=None, **said)).keys("cart")


# Keys


def test_a_carts_key_is_its_id() -> None:
    assert key_of_cart(cart_id="c9", who={"user_id": "u1", "anonymous_id": "a1", "cart_token": "t1"}) == ["c9"]


def test_without_an_id_it_is_the_token_that_a_checkout_joins_it_by() -> None:
    assert key_of_cart(cart_token="t9", who={"user_id": "u1", "anonymous_id": "a1"}) == ["t9"]
    assert key_of_cart(who={"user_id": "u1", "anonymous_id": "a1", "cart_token": "t1"}) == ["t1"]


def test_without_either_it_is_the_events_device() -> None:
    assert key_of_cart(who={"user_id": "u1", "email": "a@b.c", "anonymous_id": "a1"}) == ["a1"]


def test_without_a_device_it_is_the_events_strongest_identity() -> None:
    assert key_of_cart(who={"user_id": "u1", "email": "a@b.c"}) == ["u1"]


@pytest.mark.parametrize("nobody", ["null", "", "0", None, False, {}, [], "undefined", 0])
def test_an_id_that_names_no_cart_is_none(nobody: object) -> None:
    assert key_of_cart(cart_id=nobody, who={"user_id": "u1", "anonymous_id": "a1"}) == ["a1"]


def test_a_number_and_its_text_are_one_cart() -> None:
    assert see(added("0s", cart=None, cart_id=1001), added("1s", cart="1001")).keys("cart") == ["1001"]


def test_a_login_changes_no_key() -> None:
    device = {"anonymous_id": "a1"}
    seen = see(added("0s", cart=None, who=device), added("1m", cart=None, who={**device, "user_id": "u1"}))
    assert seen.keys("cart") == ["a1"]
    assert seen.instance("cart", "a1").subject.items[0]["quantity"] == 2


def test_an_instance_is_named_after_the_identity_of_its_first_event() -> None:
    guest, known = added("0s", who={"anonymous_id": "a1"}), added("1m")
    alone, joined = see(guest), see(guest, known)
    assert alone.instance("cart", "c1").id == joined.instance("cart", "c1").id
    assert see(known).instance("cart", "c1").id != alone.instance("cart", "c1").id


# Ends


def test_an_order_ends_all_the_carts_opened_before_it() -> None:
    seen = see(added("0s"), added("1m", cart="c2"), added("1m", cart=None), ordered("2m"), until="9h")
    assert {seen.stage("cart", key) for key in ("c1", "c2", "u1")} == {"ordered"}


def test_an_order_ends_an_abandoned_cart() -> None:
    assert see(added("0s"), ordered("5h")).went("cart", "c1") == ["active", "abandoned", "ordered"]


def test_a_cart_opened_after_the_order_goes_on() -> None:
    seen = see(ordered("0s"), added("1m"), until="2h")
    assert seen.went("cart", "c1") == ["active", "abandoned"]


def test_an_order_that_names_a_cart_ends_the_others_too() -> None:
    assert see(added("0s"), added("1s", cart="c2"), ordered("2s", cart_id="c1")).stage("cart", "c2") == "ordered"


def test_where_carts_are_parallel_an_order_ends_the_one_it_names() -> None:
    seen = see(added("0s"), added("1s", cart="c2"), ordered("2s", cart_id="c1"), by=parallel_carts())
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c2")) == ("ordered", "active")


@pytest.mark.parametrize("named", [{}, {"cart_id": None}, {"cart_id": "null"}, {"cart_token": "undefined"}])
def test_where_carts_are_parallel_an_order_that_names_none_ends_all(named: dict[str, object]) -> None:
    seen = see(added("0s"), added("1s", cart="c2"), ordered("2s", **named), by=parallel_carts())
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c2")) == ("ordered", "ordered")


def test_a_later_copy_of_an_order_ends_no_cart_opened_since() -> None:
    seen = see(ordered("0s"), added("1m"), ordered("2m", total=13), event("Order Updated", "3m", order_id="o1"))
    assert seen.stage("cart", "c1") == "active"


def test_an_order_is_not_one_of_a_carts_own_events() -> None:
    seen = see(added("0s"), ordered("10m"))
    assert seen.instance("cart", "c1").touched_at == when("0s")


# Found by a checkout or an order


def started(after: str, /, **said: object):  # noqa: ANN201  an Entry
    return event("Checkout Started", after, **said)


def stepped(after: str, /, **said: object):  # noqa: ANN201  an Entry
    return event("Checkout Step Completed", after, **said)


ELSEWHERE = {"anonymous_id": "phone", "user_id": "u1"}


@pytest.mark.parametrize("by", ["checkout_id", "order_id"])
@pytest.mark.parametrize(
    ("begun", "said", "key"),
    [
        ({"cart_id": "c1"}, {"cart_id": "c1"}, "c1"),
        ({"cart_token": "t1"}, {"cart_token": "t1"}, "t1"),
        ({"who": {"anonymous_id": "a1"}}, {"who": {"anonymous_id": "a1"}}, "a1"),
        ({}, {}, "u1"),
    ],
    ids=["its id", "its token", "the device's", "the customer's"],
)
def test_what_names_only_a_checkout_or_an_order_finds_the_cart_it_was_said_of(
    by: str, begun: dict[str, object], said: dict[str, object], key: str
) -> None:
    seen = see(
        added("0s", cart=None, **begun), started("1m", **said, **{by: "x"}), stepped("50m", who=ELSEWHERE, **{by: "x"})
    )
    assert seen.keys("cart") == [key]
    assert seen.instance("cart", key).touched_at == when("50m")


def test_what_a_checkout_started_calls_its_order_its_steps_call_their_checkout() -> None:
    """As in the e-commerce spec's own payloads."""
    seen = see(added("0s"), started("1m", cart_id="c1", order_id="x"), stepped("2m", checkout_id="x"))
    assert seen.instance("cart", "c1").touched_at == when("2m")


def test_a_product_added_to_a_checkout_lies_in_its_cart() -> None:
    seen = see(
        added("0s"), started("1m", cart_id="c1", order_id="x"), added("2m", cart=None, who=ELSEWHERE, order_id="x")
    )
    assert seen.keys("cart") == ["c1"]
    assert seen.instance("cart", "c1").subject.items[0]["quantity"] == 2


def test_an_id_found_by_one_id_ties_the_other() -> None:
    tied = [
        started("1m", cart_id="c1", checkout_id="x"),
        event("Payment Info Entered", "2m", checkout_id="x", order_id="y"),
    ]
    assert see(added("0s"), tied, stepped("3m", order_id="y")).instance("cart", "c1").touched_at == when("3m")


def test_a_cart_id_goes_before_a_checkout_and_a_checkout_before_a_token() -> None:
    tied = [added("0s"), started("1m", cart_id="c1", checkout_id="x")]
    assert see(tied, added("2m", cart="c2", checkout_id="x")).keys("cart") == ["c1", "c2"]
    assert see(tied, added("2m", cart=None, cart_token="t", checkout_id="x")).keys("cart") == ["c1"]
    assert see(tied, added("2m", cart=None, cart_token="t", checkout_id="y")).keys("cart") == ["c1", "t"]


def test_the_cart_that_a_checkout_was_said_of_last_has_it() -> None:
    said = [started("1m", cart_id="c1", order_id="x"), started("2m", cart_id="c2", order_id="x")]
    seen = see(added("0s"), added("0s", cart="c2"), said, stepped("9m", order_id="x"), until="70m")
    assert (seen.instance("cart", "c1").touched_at, seen.instance("cart", "c2").touched_at) == (when("1m"), when("9m"))
    assert (seen.instance("cart", "c1").tied, seen.instance("cart", "c2").tied) == ((), ("x",))


def test_what_time_does_to_the_other_cart_gives_it_nothing_back() -> None:
    said = [started("1m", cart_id="c1", order_id="x"), started("2m", cart_id="c2", order_id="x")]
    seen = see(added("0s"), added("0s", cart="c2"), said, stepped("61m30s", order_id="x"), until="3h")
    assert seen.stage("cart", "c1") == "abandoned"
    assert (seen.instance("cart", "c1").tied, seen.instance("cart", "c2").tied) == ((), ("x",))
    assert seen.instance("cart", "c2").touched_at == when("61m30s")


def test_a_checkout_is_one_customers() -> None:
    """The same checkout said by somebody else finds nothing: ids of other people lead nowhere."""
    mine = see(added("0s"), started("1m", cart_id="c1", checkout_id="x"))
    others = see(stepped("2m", checkout_id="x", who={"user_id": "u2"}))
    assert mine.keys("cart") == ["c1"]
    assert others.keys("cart") == []


@pytest.mark.parametrize("nobody", ["null", "", "0", None, {}])
def test_an_id_that_names_no_checkout_ties_nothing(nobody: object) -> None:
    assert see(added("0s"), started("1m", cart_id="c1", checkout_id=nobody)).instance("cart", "c1").tied == ()


def test_a_handful_of_checkouts_lead_to_one_cart() -> None:
    many = [started(f"{n + 1}s", cart_id="c1", checkout_id=f"x{n}") for n in range(MOST_TIED + 2)]
    assert see(added("0s"), many).instance("cart", "c1").tied == tuple(f"x{n}" for n in range(2, MOST_TIED + 2))


def test_the_checkout_of_a_cart_that_was_bought_touches_no_later_one() -> None:
    bought = [added("0s"), started("1m", cart_id="c1", checkout_id="x"), ordered("2m")]
    seen = see(bought, added("3m"), stepped("30m", checkout_id="x"))
    assert seen.keys("cart") == ["c1", "c1#2"]
    assert seen.instance("cart", "c1#2").touched_at == when("3m")
    assert see(bought, stepped("30m", checkout_id="x")).keys("cart") == ["c1"]


def test_what_fills_a_cart_again_under_its_old_checkout_is_of_the_current_run() -> None:
    bought = [added("0s"), started("1m", cart_id="c1", order_id="x"), ordered("2m")]
    assert see(bought, added("3m", cart=None, order_id="x")).keys("cart") == ["c1", "c1#2"]
    seen = see(bought, added("3m"), added("4m", cart=None, order_id="x"))
    assert seen.instance("cart", "c1#2").subject.items[0]["quantity"] == 2


@pytest.mark.parametrize("name", ["Order Completed", "Order Reported"])
@pytest.mark.parametrize("by", ["checkout_id", "order_id"])
def test_where_carts_are_parallel_an_order_ends_the_one_that_its_checkout_was_said_of(name: str, by: str) -> None:
    carts = [added("0s"), added("1s", cart="c2"), started("1m", cart_id="c2", **{by: "x"})]
    seen = see(carts, event(name, "2m", **{"order_id": "o1", by: "x"}), by=parallel_carts())
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c2")) == ("active", "ordered")


def test_where_carts_are_parallel_an_order_of_a_cart_that_is_over_ends_no_other() -> None:
    bought = [added("0s"), added("1s", cart="c2"), started("1m", cart_id="c1", order_id="o1"), ordered("2m")]
    seen = see(bought, added("3m"), event("Order Reported", "4m", order_id="o1"), by=parallel_carts())
    assert (seen.stage("cart", "c1#2"), seen.stage("cart", "c2")) == ("active", "active")


def test_where_carts_are_parallel_an_order_nothing_was_said_of_ends_all() -> None:
    carts = [added("0s"), added("1s", cart="c2"), started("1m", cart_id="c2", order_id="other")]
    seen = see(carts, ordered("2m"), by=parallel_carts())
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c2")) == ("ordered", "ordered")


def test_where_carts_are_not_parallel_an_order_ends_all_whatever_it_names() -> None:
    carts = [added("0s"), added("1s", cart="c2"), started("1m", cart_id="c2", order_id="o1")]
    assert see(carts, ordered("2m")).stage("cart", "c1") == "ordered"


def test_a_tie_changes_no_key_and_no_name() -> None:
    carts = [added("0s"), added("1s", cart=None, who={"anonymous_id": "a1"})]
    ties = [started("2s", cart_id="c1", order_id="x"), started("3s", who={"anonymous_id": "a1"}, order_id="y")]
    tied = [i.id for i in see(carts, ties).state.instances if i.track != "checkout"]
    assert tied == [i.id for i in see(carts).state.instances]


# Beginning again


def test_a_product_added_to_an_ended_cart_begins_it_again() -> None:
    end = ordered("1m")
    seen = see(added("0s"), end, added("2m"))
    assert seen.keys("cart") == ["c1", "c1#2"]
    assert (seen.stage("cart", "c1"), seen.stage("cart", "c1#2")) == ("ordered", "active")
    assert seen.instance("cart", "c1#2").run == f"{end.identity}:{end.event.id}"
    assert seen.instance("cart", "c1#2").subject.items == [{"product_id": "p1", "quantity": 1}]


def test_runs_of_one_cart_have_names_of_their_own() -> None:
    seen = see(added("0s"), ordered("1m"), added("2m"), ordered("3m", order="o2"), added("4m"))
    assert len({i.id for i in seen.state.instances if i.track == "cart"}) == 3
    assert seen.keys("cart") == ["c1", "c1#2", "c1#3"]


def test_a_cart_updated_that_repeats_the_ended_contents_begins_nothing() -> None:
    seen = see(updated("0s", LINE), ordered("1m"), updated("2m", LINE), updated("3m"), until="9h")
    assert seen.keys("cart") == ["c1"]


def test_a_cart_updated_with_less_than_the_ended_contents_begins_nothing() -> None:
    seen = see(updated("0s", {**LINE, "quantity": 3}), ordered("1m"), updated("2m", LINE, LINE))
    assert seen.keys("cart") == ["c1"]


@pytest.mark.parametrize("more", [{"product_id": "p2"}, {**LINE, "quantity": 2}, {**LINE, "variant": "blue"}])
def test_a_cart_updated_holding_what_the_ended_run_did_not_begins_again(more: dict[str, object]) -> None:
    seen = see(updated("0s", LINE), ordered("1m"), updated("2m", LINE, more), until="9h")
    assert seen.went("cart", "c1#2") == ["active", "abandoned"]


def test_one_product_in_two_lines_is_more_than_in_one() -> None:
    assert see(updated("0s", LINE), ordered("1m"), updated("2m", LINE, LINE)).keys("cart") == ["c1", "c1#2"]


@pytest.mark.parametrize("name", ["Product Removed", "Cart Viewed", "Checkout Started"])
def test_nothing_else_begins_a_cart_again(name: str) -> None:
    assert see(added("0s"), ordered("1m"), event(name, "2m", cart_id="c1", product_id="p2")).keys("cart") == ["c1"]


def test_an_order_id_has_one_run_for_ever() -> None:
    text = "extends: seven-stage\ntracks: {order: {stages: {cancelled: {final: true}}}}"
    seen = see(
        ordered("0s"), event("Order Cancelled", "1m", order_id="o1"), ordered("2m"), ordered("3m"), by=model(text)
    )
    assert seen.keys("order") == ["o1"]
    assert seen.went("order", "o1") == ["placed", "cancelled"]


def test_an_order_without_an_id_is_one_of_its_own() -> None:
    seen = see(*(event("Order Completed", id=id_, order_id=said) for id_, said in (("x", None), ("y", "null"))))
    assert seen.keys("order") == ["x", "y"]
    assert seen.fact("orders") == 2


# Leaving


def test_over_200_instances_the_one_touched_longest_ago_leaves() -> None:
    carts = [added(f"{n}s", cart=f"c{n}") for n in range(MOST)]
    seen = see(carts, added("5m", cart="c0"), added("6m", cart="new"))
    assert len(seen.keys("cart")) == MOST == 200
    assert "c1" not in seen.keys("cart")
    assert {"c0", "c2", "new"} <= set(seen.keys("cart"))


def test_the_customers_own_tracks_never_leave() -> None:
    seen = see(event("Product Viewed", "0s"), [added(f"{n + 1}s", cart=f"c{n}") for n in range(MOST + 5)])
    assert seen.stage() == "consideration"


def test_an_order_that_left_does_not_begin_again() -> None:
    text = "extends: seven-stage\ntracks: {order: {stages: {placed: {on: [Order Completed, Order Updated]}}}}"
    orders = [ordered(f"{n}s", order=f"o{n}") for n in range(MOST + 1)]
    seen = see(orders, event("Order Updated", "1h", order_id="o0"), by=model(text))
    assert "o0" not in seen.keys("order")


def test_a_final_cart_leaves_with_the_first_event_90_days_later() -> None:
    bought = [added("0s"), ordered("1m")]
    assert see(bought, until="200d").keys("cart") == ["c1"]
    assert see(bought, event("A", "90d")).keys("cart") == ["c1"]
    assert see(bought, event("A", "90d1m")).keys("cart") == []


def test_a_cart_that_is_not_final_stays() -> None:
    assert see(added("0s"), event("A", "300d")).keys("cart") == ["c1"]


def test_the_run_after_one_that_left_is_told_apart_from_it() -> None:
    first, end = added("0s"), ordered("1m")
    there, gone = see(first, end, added("2d", id="x")), see(first, end, event("A", "91d"), added("92d", id="x"))
    assert gone.keys("cart") == ["c1#2"]
    assert gone.instance("cart", "c1#2").id == there.instance("cart", "c1#2").id


def test_a_cart_that_left_begins_again_only_by_what_is_in_it() -> None:
    old = [added("0s"), ordered("1m"), event("A", "91d")]
    assert see(old, event("Product Removed", "92d", cart_id="c1", product_id="p1")).keys("cart") == []
    assert see(old, updated("92d")).keys("cart") == []
    assert see(old, updated("92d", LINE)).keys("cart") == ["c1#2"]


# Contents


def contents(*entries) -> list[tuple[str, int]]:  # noqa: ANN002  entries
    return [(i["product_id"], i["quantity"]) for i in see(*entries).instance("cart", "c1").subject.items]


def test_products_add_up() -> None:
    assert contents(added("0s"), added("1s", quantity="2"), added("2s", product="p2")) == [("p1", 3), ("p2", 1)]


def test_an_id_with_blanks_around_it_is_the_same_product() -> None:
    assert contents(added("0s", product=" p1"), added("1s"), added("2s", product="p2")) == [("p1", 2), ("p2", 1)]


def test_a_product_removed_without_a_quantity_goes() -> None:
    out = event("Product Removed", "2s", cart_id="c1", product_id="p1")
    assert contents(added("0s", quantity=3), added("1s", product="p2"), out) == [("p2", 1)]


def test_a_product_removed_with_a_quantity_becomes_less() -> None:
    out = event("Product Removed", "2s", cart_id="c1", product_id="p1", quantity=2)
    assert contents(added("0s", quantity=3), out) == [("p1", 1)]


def test_a_product_removed_by_its_number_matches_its_text() -> None:
    out = event("Product Removed", "2s", cart_id="c1", product_id=7)
    assert contents(added("0s", product="7", variant="blue"), out) == []


def test_an_empty_cart_is_not_abandoned() -> None:
    out = event("Product Removed", "1s", cart_id="c1", product_id="p1")
    assert see(added("0s"), out, until="9h").went("cart", "c1") == ["active"]


def test_a_cart_updated_lists_the_whole_of_it() -> None:
    assert contents(added("0s"), updated("1s", {"product_id": "p2"}, LINE, LINE)) == [("p2", 1), ("p1", 2)]


def test_wishlists_are_no_carts() -> None:
    assert see(event("Product Added to Wishlist", product_id="p1", cart_id="c1")).keys("cart") == []


def test_a_parcel_can_be_followed_where_the_shop_says_and_not_where_a_page_does() -> None:
    parcel = {"order_id": "o1", "tracking_url": "https://parcels.example/7"}
    shipped = event("Order Shipped", "1m", **parcel)
    after = event("Order Delivered", "2m", order_id="o1")
    page = event("Order Shipped", "1m", by="browser", **parcel)
    assert see(ordered(), shipped, after).instance("order", "o1").subject.tracking_url == "https://parcels.example/7"
    assert see(ordered(), page, after).instance("order", "o1").subject.tracking_url is None


def test_what_they_said_last_is_what_a_track_of_their_answers_is_about() -> None:
    broken = event("Survey Answered", "1s", kind="csat", score=1, comment=" It came broken. ")
    silent = event("Survey Answered", "2s", kind="csat", score=2)
    case = event("Support Case Opened", "3s", case_id="k1", subject="Where is my parcel?")
    closed = event("Support Case Closed", "4s", case_id="k1")

    def said(*events: object) -> str | None:
        return see(*events).instance("satisfaction", "").subject.comment

    assert said(broken) == "It came broken."
    assert said(broken, silent) is None
    assert said(broken, silent, case, closed) == "Where is my parcel?"
    assert said(broken, added("2s")) == "It came broken."


def test_what_a_page_says_that_they_said_is_kept_by_nobody() -> None:
    forged = event("Survey Answered", by="browser", kind="csat", score=1, comment="Call +49 900 1.")
    assert see(forged).instance("satisfaction", "").subject.comment is None


def test_of_a_book_of_complaints_its_beginning_is_kept() -> None:
    book = event("Survey Answered", kind="csat", score=1, comment="no " * 9_000)
    assert len(see(book).instance("satisfaction", "").subject.comment or "") <= MAX_COMMENT
