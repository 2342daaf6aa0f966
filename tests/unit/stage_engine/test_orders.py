"""Orders and money: one row an order, the latest copy gives the amounts, and no cent is lost."""

from decimal import Decimal

import pytest

from tests.unit.stage_engine.builders import event, model, ordered, see

GROSS = model(
    "facts:\n"
    "  gross: {sum: Order Completed, of: total, once_per: order_id}\n"
    "  net: {sum: Order Completed, of: total, once_per: order_id, less: Order Refunded}\n"
    "  times: {count: Order Completed}\n"
    "  last: {last: Order Completed, of: coupon}\n"
    "tracks: {way: {stages: {a: {start: true}}}}"
)


def refund(after: str = "1h", order: str = "o1", **more: object):  # noqa: ANN201  an Entry
    return event("Order Refunded", after, order_id=order, **more)


def revenue(*entries) -> Decimal:  # noqa: ANN002  entries
    return see(*entries).fact("revenue")


def test_the_same_order_from_two_sources_counts_once() -> None:
    seen = see(ordered("0s", id="page"), ordered("5s", id="webhook", who={"user_id": "u1", "email": "a@b.c"}))
    assert (seen.fact("orders"), seen.fact("revenue")) == (1, 10)


def test_a_number_and_its_text_are_one_order() -> None:
    assert see(ordered("0s", order_id=1001), ordered("1s", order_id="1001")).fact("orders") == 1


def test_the_latest_copy_gives_the_amounts_whichever_came_first() -> None:
    copies = [
        ordered("0s", revenue=10),
        ordered("1m", revenue=8),
        event("Order Updated", "2m", order_id="o1", revenue=9),
    ]
    assert revenue(*copies) == revenue(*reversed(copies)) == 9


def test_a_copy_without_amounts_keeps_those_known() -> None:
    assert revenue(ordered("0s"), event("Order Updated", "1m", order_id="o1", status="paid")) == 10


def test_a_later_copy_comes_to_the_rules_as_an_update() -> None:
    seen = see(ordered("0s", coupon="A"), ordered("1m", coupon="B"), by=GROSS)
    assert (seen.fact("times"), seen.fact("last")) == (1, "A")


def test_a_second_order_moves_a_buyer_on_and_a_second_copy_does_not() -> None:
    assert see(ordered("0s"), ordered("1m")).went() == ["awareness", "purchase"]
    assert see(ordered("0s"), ordered("1m", order="o2")).went() == ["awareness", "purchase", "retention"]


def test_an_update_of_an_order_that_is_not_known_counts_as_no_order() -> None:
    seen = see(event("Order Updated", order_id="o1", total=5))
    assert (seen.fact("orders"), seen.fact("revenue"), seen.keys("order")) == (0, 0, [])


def test_refunds_stand_beside_the_amounts() -> None:
    copies = [ordered("0s"), refund("1h", total=3), ordered("2h", revenue=11), refund("3h", total="1.50")]
    assert revenue(*copies) == Decimal("6.5")


def test_a_refund_counts_also_when_it_comes_before_its_order() -> None:
    assert revenue(refund("0s", total=3), ordered("1h")) == 7
    assert see(refund("0s", total=3)).fact("orders") == 0


def test_a_refund_that_names_no_amount_is_of_all_of_it() -> None:
    assert revenue(ordered("0s"), refund("1h")) == 0
    assert revenue(refund("0s"), ordered("1h")) == 0


def test_a_refund_of_products_is_of_their_prices() -> None:
    lines = [{"product_id": "p1", "price": "1.25", "quantity": 2}, {"product_id": "p2"}]
    assert revenue(ordered("0s"), refund("1h", products=lines)) == Decimal("7.5")


def test_a_refund_with_shipping_and_tax_leaves_nothing_never_less() -> None:
    assert revenue(ordered("0s", revenue=10, total=12), refund("1h", total=12)) == 0


def test_a_refund_said_as_a_negative_amount_is_one_all_the_same() -> None:
    assert revenue(ordered("0s"), refund("1h", total=-3)) == 7


def test_a_refund_of_another_order_changes_nothing() -> None:
    assert revenue(ordered("0s"), refund("1h", order="o2", total=3)) == 10


def test_one_refund_reported_twice_under_one_id_counts_once() -> None:
    assert revenue(ordered("0s"), refund("1h", id="r", total=3), refund("1h", id="r", total=3)) == 7


def test_a_cancelled_order_brings_nothing_and_was_an_order() -> None:
    seen = see(ordered("0s"), event("Order Cancelled", "1h", order_id="o1"), ordered("2h"))
    assert (seen.fact("revenue"), seen.fact("orders"), seen.stage("order", "o1")) == (0, 1, "cancelled")


def test_only_what_says_less_is_less_refunds() -> None:
    seen = see(ordered("0s", total=12), refund("1h", total=3), by=GROSS)
    assert (seen.fact("gross"), seen.fact("net")) == (12, 9)


# Currencies


def test_another_currency_is_kept_apart_and_never_added() -> None:
    seen = see(ordered("0s"), ordered("1s", order="o2", revenue=99, currency="USD"))
    assert (seen.fact("orders"), seen.fact("revenue")) == (2, 10)
    assert (seen.orders["o2"].currency, seen.orders["o2"].revenue) == ("USD", 99)


def test_a_currency_is_the_same_in_small_letters() -> None:
    assert revenue(ordered(currency=" eur ")) == 10


def test_an_amount_without_a_currency_is_in_the_storefronts() -> None:
    assert see(ordered()).orders["o1"].currency == "EUR"


def test_an_order_whose_latest_copy_is_in_another_currency_no_longer_counts() -> None:
    assert revenue(ordered("0s"), ordered("1s", revenue=11, currency="USD")) == 0


def test_a_copy_that_names_another_currency_but_no_amount_changes_nothing() -> None:
    assert revenue(ordered("0s"), event("Order Updated", "1s", order_id="o1", currency="USD")) == 10


@pytest.mark.parametrize("first", ["0s", "2h"])
def test_a_refund_in_another_currency_than_its_order_is_left_out(first: str) -> None:
    assert revenue(refund(first, total=3, currency="USD"), ordered("1h", currency="EUR")) == 10


def test_a_sum_over_events_leaves_other_currencies_out() -> None:
    tips = model("facts: {tips: {sum: Tip Given, of: value}}\ntracks: {way: {stages: {a: {start: true}}}}")
    given = [
        event("Tip Given", value="0.10"),
        event("Tip Given", value=5, currency="usd"),
        event("Tip Given", value=0.2),
    ]
    assert see(given, by=tips).fact("tips") == Decimal("0.3")


# Amounts


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"revenue": 10, "total": 12}, 10),
        ({"revenue": "10.01"}, "10.01"),
        ({"revenue": 0.1}, "0.1"),
        ({"total": 12, "shipping": "1.50", "tax": 0.5}, 10),
        ({"total": "12"}, 12),
        ({"value": 12}, 12),
        ({"products": [{"price": 2.5, "quantity": 3}, {"price": "1"}, "junk"]}, "8.5"),
        ({}, 0),
        ({"revenue": "free"}, 0),
        ({"revenue": "NaN"}, 0),
        ({"revenue": True}, 0),
        ({"revenue": "1e300"}, 0),
        ({"revenue": {"amount": 1}}, 0),
    ],
)
def test_revenue_leaves_shipping_and_tax_out_and_is_worked_out_where_it_is_missing(said, meant) -> None:  # noqa: ANN001
    assert revenue(event("Order Completed", order_id="o1", **said)) == Decimal(meant)


def test_cents_add_up_exactly() -> None:
    assert revenue([ordered(f"{n}s", order=f"o{n}", revenue=0.1) for n in range(1000)]) == Decimal(100)


def test_an_order_id_of_any_length_has_a_key_that_an_index_can_hold() -> None:
    seen = see(ordered(order="é" * 10_000))
    assert all(len(key.encode()) < 2_000 for key in (*seen.orders, *seen.keys("order")))
