"""Facts `by` a property, points, smallest and largest, what slides and what is taken back."""

from decimal import Decimal
from typing import Any

import pytest

from stage_engine.facts import MOST_KEYS, shown
from stage_engine.state import decode_state, encode_state
from stage_engine.windows import MAX_RECENT
from tests.unit.stage_engine.builders import event, model, ordered, see, when

FACTS = model(
    """
facts:
  views:      {count: Product Viewed, by: product_id}
  views_7d:   {count: Product Viewed, by: product_id, within: 7d}
  wishes:     {latest: Product Added to Wishlist, by: product_id, less: Product Removed from Wishlist}
  held:       {sum: Product Added, of: quantity, by: product_id, less: Product Removed}
  open_cases: {count: Support Case Opened, less: Support Case Closed}
  brands:     {distinct: Product Viewed, of: brand, less: Brand Hidden}
  colours:    {distinct: Product Viewed, of: colour, by: brand}
  bought:     {sum: Order Completed, of: products.quantity, by: products.sku}
  spent:      {sum: Order Completed, of: products.price, by: products.category}
  warmth:     {points: {Product Viewed: 1, Product Added: 5, Email Unsubscribed: -20}}
  warmth_7d:  {points: {Product Viewed: 1, Product Added: 5}, within: 7d}
  largest:    {max: Order Completed, of: total}
  least_7d:   {min: Product Viewed, of: price, within: 7d}
  best_score: {max: Survey Answered, of: score}
  worst:      {min: Survey Answered, of: score, by: kind}
  spent_7d:   {sum: Product Added, of: price, within: 7d}
  brands_7d:  {distinct: Product Viewed, of: brand, within: 7d}
  revenue_7d: {sum: Order Completed, of: revenue, once_per: order_id, less: Order Refunded, within: 7d}
  orders_7d:  {distinct: Order Completed, of: order_id, within: 7d}
  last_brand: {last: Product Viewed, of: brand, by: shop.floor}
  pieces:     {sum: Product Added, of: quantity}
  weighed:    {sum: Product Added, of: weight}
tracks: {way: {stages: {a: {start: true}}}}
"""
)


def fact(name: str, *entries: Any, until: str | None = None) -> Any:  # noqa: ANN401  any fact
    return shown(see(*entries, by=FACTS, until=until).fact(name))


def viewed(after: str = "0s", **said: Any) -> Any:  # noqa: ANN401  any JSON
    return event("Product Viewed", after, **said)


def test_by_a_property_each_of_its_values_is_counted_apart() -> None:
    assert fact("views", *(viewed(product_id=one) for one in ("a", "b", "a"))) == {"a": 2, "b": 1}


def test_a_number_and_the_same_number_in_a_text_are_one_key() -> None:
    assert fact("views", *(viewed(product_id=one) for one in (42, "42", 42.0, " 42 ", 42.5))) == {"42": 4, "42.5": 1}


@pytest.mark.parametrize("said", [None, True, "", "  ", ["a"], {"a": 1}])
def test_what_names_nothing_is_no_key(said: object) -> None:
    assert fact("views", viewed(product_id=said)) == {}


def test_by_a_property_within_a_time_a_key_leaves_with_its_last_event() -> None:
    views = viewed("0s", product_id="a"), viewed("3d", product_id="b"), viewed("3d", product_id="b")
    said = [fact("views_7d", *views, until=until) for until in ("3d", "7d1h", "10d1h")]
    assert said == [{"a": 1, "b": 2}, {"b": 2}, {}]


def test_over_the_most_keys_the_one_touched_longest_ago_leaves() -> None:
    views = [viewed(f"{n}s", product_id=f"p{n}") for n in range(MOST_KEYS)]
    again, more = viewed("1h", product_id="p0"), viewed("2h", product_id="new")
    kept = fact("views", *views, again, more)
    assert (len(kept), kept["p0"], kept["new"]) == (MOST_KEYS, 2, 1)
    assert "p1" not in kept


def test_of_keys_touched_at_one_time_the_first_by_name_leaves() -> None:
    views = [viewed(product_id=f"p{n:03}") for n in range(MOST_KEYS + 1)]
    assert "p000" not in fact("views", *views)
    assert fact("views", *views) == fact("views", *reversed(views))


def test_what_is_taken_off_the_wishlist_is_on_it_no_more() -> None:
    wishes = [event("Product Added to Wishlist", f"{n}h", product_id=p) for n, p in enumerate("aab")]
    assert fact("wishes", *wishes) == {"a": shown(when("1h")), "b": shown(when("2h"))}
    gone = event("Product Removed from Wishlist", "3h", product_id="a")
    assert list(fact("wishes", *wishes, gone)) == ["b"]


def test_what_was_put_in_and_taken_out_is_counted_in_pieces() -> None:
    held = [event("Product Added", product_id="a", quantity="3"), event("Product Added", "1s", product_id="b")]
    some = event("Product Removed", "2s", product_id="a", quantity=1)
    assert fact("held", *held) == {"a": 3, "b": 1}  # a quantity that is not said is one
    assert fact("held", *held, some) == {"a": 2, "b": 1}
    assert fact("held", *held, event("Product Removed", "2s", product_id="a")) == {"b": 1}
    assert fact("held", *held, event("Product Removed", "2s", product_id="a", quantity=9)) == {"b": 1}


def test_what_was_never_put_in_can_not_be_taken_out() -> None:
    assert fact("held", event("Product Removed", product_id="a", quantity=2)) == {}
    assert fact("open_cases", event("Support Case Closed"), event("Support Case Opened", "1s")) == 1


def test_a_count_goes_back_with_what_less_names() -> None:
    cases = [event(f"Support Case {word}", f"{n}s") for n, word in enumerate(("Opened", "Opened", "Closed"))]
    assert fact("open_cases", *cases) == 1


def test_a_value_is_told_apart_no_more_once_it_is_taken_back() -> None:
    views = [viewed(brand="x"), viewed(brand="y"), event("Brand Hidden", "1s", brand="x")]
    assert fact("brands", *views) == 1


def test_values_are_told_apart_under_each_key() -> None:
    views = [viewed(brand=b, colour=c) for b, c in (("x", "red"), ("x", "blue"), ("x", "red"), ("y", "red"))]
    assert fact("colours", *views) == {"x": 2, "y": 1}


def test_of_an_order_each_product_counts() -> None:
    lines = [
        {"sku": "a", "quantity": 2, "price": "9.99", "category": "mugs"},
        {"sku": "b", "price": 1, "category": "mugs"},
    ]
    assert fact("bought", ordered(products=lines)) == {"a": 2, "b": 1}
    assert fact("spent", ordered(products=lines)) == {"mugs": "10.99"}


def test_an_order_of_which_no_products_are_known_counts_for_none() -> None:
    assert fact("bought", ordered(), ordered(order="o2", products="many")) == {}


def test_points_weigh_each_kind_of_event() -> None:
    entries = viewed(), viewed(), event("Product Added"), event("Email Unsubscribed", "1s")
    assert fact("warmth", *entries[:3]) == 7
    assert fact("warmth", *entries) == -13


def test_points_within_a_time_cool_down() -> None:
    entries = event("Product Added"), viewed("3d")
    assert [fact("warmth_7d", *entries, until=until) for until in ("3d", "7d1h", "10d1h")] == [6, 1, 0]


def test_the_largest_is_money_where_the_property_is() -> None:
    orders = [ordered(order=f"o{n}", total=total) for n, total in enumerate(("9.50", 120, "many", None))]
    assert fact("largest", *orders) == "120.00"
    assert see(*orders, by=FACTS).fact("largest") == Decimal(120)


def test_the_largest_and_smallest_are_numbers_where_the_property_is_no_money() -> None:
    scores = [event("Survey Answered", score=score, kind="nps") for score in ("9", 7.5, 8)]
    assert (fact("best_score", *scores), fact("worst", *scores)) == (9, {"nps": 7.5})


def test_nothing_is_the_largest_of_nothing() -> None:
    assert fact("largest") is None
    assert fact("least_7d") is None
    assert fact("worst", event("Survey Answered", kind="nps")) == {}


def test_the_smallest_within_a_time_is_forgotten_with_it() -> None:
    views = viewed(price=1), viewed("3d", price=5), viewed("3d", price="4.50")
    assert [fact("least_7d", *views, until=until) for until in ("3d", "7d1h", "10d1h")] == ["1.00", "4.50", None]


def test_a_sum_within_a_time_slides() -> None:
    entries = event("Product Added", price="10"), event("Product Added", "3d", price="2.50")
    assert [fact("spent_7d", *entries, until=until) for until in ("3d", "7d1h", "10d1h")] == ["12.50", "2.50", "0.00"]


def test_distinct_within_a_time_counts_from_when_a_value_came_last() -> None:
    views = viewed(brand="x"), viewed(brand="y"), viewed("3d", brand="x")
    assert [fact("brands_7d", *views, until=until) for until in ("3d", "7d1h", "10d1h")] == [2, 1, 0]


def test_a_bots_values_within_a_time_are_bounded() -> None:
    assert fact("brands_7d", *(viewed(f"{n}s", brand=n) for n in range(MAX_RECENT + 5))) == MAX_RECENT


def test_an_order_stands_in_a_window_where_it_was_completed() -> None:
    orders = ordered(order="o1", revenue=10), ordered("3d", order="o2", revenue=5)
    assert [fact("revenue_7d", *orders, until=until) for until in ("3d", "7d1h", "10d1h")] == ["15.00", "5.00", "0.00"]
    assert [fact("orders_7d", *orders, until=until) for until in ("3d", "7d1h", "10d1h")] == [2, 1, 0]


def test_a_refund_takes_from_the_window_in_which_its_order_stands() -> None:
    orders = ordered(order="o1", revenue=10), ordered("3d", order="o2", revenue=5)
    late = event("Order Refunded", "8d", order_id="o1", revenue=10)
    assert fact("revenue_7d", *orders, late) == "5.00"
    assert fact("revenue_7d", *orders, event("Order Refunded", "4d", order_id="o2", revenue=2)) == "13.00"


def test_an_orders_later_copy_does_not_move_it_in_the_window() -> None:
    orders = ordered(order="o1", revenue=10), ordered("6d", order="o1", revenue=12)
    assert [fact("revenue_7d", *orders, until=until) for until in ("6d", "7d1h")] == ["12.00", "0.00"]


def test_a_path_leads_into_what_a_property_holds() -> None:
    assert fact("last_brand", viewed(brand="x", shop={"floor": 2})) == {"2": "x"}
    assert fact("last_brand", viewed(brand="x", shop="floor")) == {}


def test_what_is_kept_under_a_key_is_small() -> None:
    assert fact("last_brand", viewed(brand="x" * 999, shop={"floor": 2})) == {"2": "x" * 200}
    assert fact("last_brand", viewed(brand=["x"], shop={"floor": 2})) == {}


def test_money_in_another_currency_is_never_added_but_pieces_are() -> None:
    entries = [event("Product Added", price=1, quantity=2, currency=currency) for currency in ("EUR", "USD", "eur")]
    assert (fact("spent_7d", *entries), fact("pieces", *entries)) == ("2.00", 6)


def test_sums_of_what_is_no_money_are_plain_numbers() -> None:
    assert fact("weighed", *(event("Product Added", weight=weight) for weight in (0.1, "0.2", 0.3))) == 0.6
    assert fact("weighed", event("Product Added", weight=2.5), event("Product Added", weight="1.5")) == 4


def test_all_of_them_survive_being_stored() -> None:
    lines = [{"sku": "a", "price": 1, "category": "c"}]
    said = {"product_id": "a", "brand": "x", "price": 2, "colour": "red", "shop": {"floor": 2}, "quantity": 2}
    entries = [
        viewed(**said),
        event("Product Added", **said),
        ordered(products=lines),
        event("Survey Answered", score=1),
    ]
    state = see(*entries, by=FACTS).state
    assert decode_state(encode_state(state)) == state


ASKS = """
facts:
  views: {count: Product Viewed, by: product_id}
  spent: {sum: Product Added, of: price, by: product_id}
tracks: {way: {stages: {a: {start: true}, b: {enter: [{on: Product Viewed, when: '%s'}]}}}}
"""


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("facts.views[event.product_id] >= 2", True),
        ("facts.views[event.product_id] >= 3", False),
        ('facts.views["q"] == 1', True),
        ("facts.views.q == 1", True),
        ("facts.views.none >= 0", False),
        ("facts.views[event.none] >= 0", False),
        ("has(facts.views.q) && !has(facts.views.none)", True),
        ("event.product_id in facts.views", True),
        ("event.product_id in facts.spent", False),
        ("size(facts.views) == 2", True),
        ("size(facts.spent) == 0", True),
        ("facts.views.exists(p, facts.views[p] >= 2)", True),
        ("facts.views.all(p, facts.views[p] >= 2)", False),
        ("facts.views.exists(p, p == string(event.product_id) && facts.views[p] == 2)", True),
    ],
)
def test_a_condition_asks_a_map_by_its_key(condition: str, holds: bool) -> None:  # noqa: FBT001  what is expected
    views = viewed(product_id="q"), viewed("1s", product_id=7), viewed("2s", product_id=7)
    text = ASKS.replace("b: {enter: [{on: Product Viewed", "b: {enter: [{on: Asked") % condition
    seen = see(*views, event("Asked", "3s", product_id=7), by=model(text)).stage("way")
    assert (seen == "b") is holds


def test_a_move_says_what_the_map_held() -> None:
    move = see(viewed(product_id="q"), by=model(ASKS % "facts.views.q == 1")).moves[-1].transition
    assert move.facts == {"views": {"q": 1}}
