"""GA4's Measurement Protocol: Google's names become ours, its items our products, and sending again is safe."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platforms import decided

from ingest.decide import Decision, record_bytes
from ingest.dialects import ga4
from ingest.dialects.ga4 import MOST_ITEMS, NAMES
from services.contracts.events import Event
from services.contracts.identity import Who
from services.contracts.vocabulary import NAMES as VOCABULARY

MICROS = 1_795_339_790_000_123
AT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=MICROS)
MUG = {"item_id": "p-17", "item_name": "Mug", "item_brand": "B", "item_category": "Cups", "item_variant": "red",
       "index": 3, "price": "12.50", "quantity": 2}  # fmt: skip
OUR_MUG = {"product_id": "p-17", "name": "Mug", "brand": "B", "category": "Cups", "variant": "red",
           "position": 3, "price": 12.5, "quantity": 2}  # fmt: skip

Events = Callable[..., list[Event]]


def body(*events: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401  any JSON
    return {"client_id": "c.1", "timestamp_micros": MICROS, "events": list(events), **more}


def test_every_name_of_google_s_leads_to_one_of_ours(events: Events) -> None:
    assert set(NAMES.values()) <= VOCABULARY
    found = events(body(*({"name": name} for name in NAMES)), "ga4")
    assert [event.name for event in found] == list(NAMES.values())


def test_a_name_that_is_not_known_is_kept_with_all_that_it_says(events: Events) -> None:
    (event,) = events(body({"name": "level_up", "params": {"level": 5, "score": "7"}}), "ga4")
    assert (event.name, event.properties) == ("level_up", {"level": 5, "score": 7})


def test_who_and_when(events: Events) -> None:
    own = {"name": "search", "timestamp_micros": str(MICROS - 1), "params": {"search_term": "mug"}}
    first, second = events(body(own, {"name": "view_cart"}, user_id=7), "ga4")
    assert first.who == second.who == Who(user_id="7", anonymous_id="c.1")
    assert (first.occurred_at, second.occurred_at) == (AT - timedelta(microseconds=1), AT)
    assert first.properties == {"query": "mug"}


def test_an_app_s_instance_names_its_device(events: Events) -> None:
    (event,) = events({"app_instance_id": "abc", "events": [{"name": "screen_view"}]}, "ga4")
    assert event.who == Who(anonymous_id="abc")


def test_without_a_time_it_happened_when_it_came(events: Events, received: datetime) -> None:
    (event,) = events({"client_id": "c", "events": [{"name": "view_cart"}]}, "ga4")
    assert event.occurred_at == received


@pytest.mark.parametrize("name", ["view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist", "select_item"])
def test_an_event_about_products_is_one_of_ours_for_each_of_them(events: Events, name: str) -> None:
    two = {"currency": "EUR", "value": 30, "items": [MUG, {"item_id": 18}]}
    first, second = events(body({"name": name, "params": two}), "ga4")
    assert {first.name, second.name} == {NAMES[name]}
    assert first.properties == {"currency": "EUR", **OUR_MUG}
    assert second.properties == {"currency": "EUR", "product_id": "18"}
    assert second.id == f"{first.id}/1"
    (alone,) = events(body({"name": name, "params": {"currency": "EUR", "value": 25, "items": [MUG]}}), "ga4")
    assert alone.properties == {"currency": "EUR", "value": 25, **OUR_MUG}


def test_of_one_event_no_more_are_made_than_google_takes_products(
    events: Events, codes: Callable[..., list[tuple[int, str]]]
) -> None:
    assert len(events(body({"name": "view_item", "params": {"items": [{}] * MOST_ITEMS}}), "ga4")) == MOST_ITEMS
    many = {"items": [{}] * (MOST_ITEMS + 1)}
    assert codes(body({"name": "view_item", "params": many}, {"name": "view_cart"}), "ga4") == [(0, "too_large")]
    assert codes(body({"name": "view_item_list", "params": many}), "ga4") == []


def test_a_call_s_events_repeat_what_stands_beside_them_no_further_than_a_call_may_hold(
    take: Callable[..., Decision],
) -> None:
    large = {"name": "view_item", "params": {"x": "y" * 30_000, "items": [{}] * MOST_ITEMS}}
    decision = take(body(large, large, *[large] * 50, {"name": "view_cart"}), "ga4")
    assert {rejected.refusal.code for rejected in decision.rejected} == {"too_large"}
    assert sum(map(record_bytes, decision.records)) < 32 * 1_048_576
    assert len(decision.events) == 4 * MOST_ITEMS + 1


@pytest.mark.parametrize("name", ["view_item_list", "view_cart", "begin_checkout", "add_shipping_info"])
def test_other_events_list_their_products(events: Events, name: str) -> None:
    (event,) = events(body({"name": name, "params": {"items": [MUG, MUG], "item_list_id": 4, "value": 50}}), "ga4")
    assert event.properties == {"list_id": "4", "value": 50, "products": [OUR_MUG, OUR_MUG]}


def test_a_purchase_s_value_is_its_revenue_and_a_refund_s_what_goes_back(events: Events) -> None:
    said = {"transaction_id": 1001, "value": "25.00", "tax": 4, "shipping": "5", "currency": "EUR", "items": [MUG]}
    purchase, refund = events(body({"name": "purchase", "params": said}, {"name": "refund", "params": said}), "ga4")
    common = {"order_id": "1001", "tax": 4, "shipping": 5, "currency": "EUR", "products": [OUR_MUG]}
    assert purchase.properties == {"revenue": 25.0, **common}
    assert refund.properties == {"total": 25.0, **common}


def test_a_promotion_may_stand_in_its_item(events: Events) -> None:
    promotion = {"promotion_id": "s1", "promotion_name": "Summer", "creative_name": "c", "creative_slot": "top"}
    ours = {"promotion_id": "s1", "name": "Summer", "creative": "c", "position": "top"}
    inside, outside = events(
        body(
            {"name": "view_promotion", "params": {"items": [promotion]}},
            {"name": "select_promotion", "params": promotion},
        ),
        "ga4",
    )
    assert {key: inside.properties[key] for key in ours} == ours
    assert outside.properties == ours


def test_properties_of_the_user_are_traits(events: Events) -> None:
    (event,) = events(body({"name": "login"}, user_properties={"tier": {"value": "gold"}, "odd": 3}), "ga4")
    assert event.traits == {"tier": "gold", "odd": 3}


def test_what_is_sent_again_has_the_same_ids_and_another_time_others(events: Events) -> None:
    add, look = {"name": "add_to_cart", "params": {"items": [MUG, MUG]}}, {"name": "view_cart"}
    ids = [event.id for event in events(body(add, look), "ga4")]
    assert len(set(ids)) == 3
    assert [event.id for event in events(body(add, look), "ga4")] == ids
    assert not {event.id for event in events(body(add, look, timestamp_micros=MICROS + 1), "ga4")} & set(ids)
    assert not {event.id for event in events(body(add, look, client_id="c.2"), "ga4")} & set(ids)


def test_two_of_the_same_in_one_body_are_two(events: Events) -> None:
    add = {"name": "add_to_cart", "params": {"items": [MUG]}}
    found = events(body(add, add), "ga4")
    assert len({event.id for event in found}) == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"events": [{"name": "search"}]}, "missing_id"),
        (body({"params": {}}), "missing_name"),
        (body({"name": "search", "params": []}), "invalid"),
        (body({"name": "search", "timestamp_micros": "yesterday"}), "bad_time"),
        (body({"name": "search", "timestamp_micros": -1}), "bad_time"),
        (body({"name": "search", "timestamp_micros": 10**18}), "bad_time"),
    ],
)
def test_a_fault_in_one_costs_no_other(
    codes: Callable[..., list[tuple[int, str]]], said: dict[str, Any], code: str
) -> None:
    assert codes(said, "ga4") == [(0, code)]
    if code != "missing_id":  # which is of the whole body
        assert codes({**said, "events": [{"name": "view_cart"}, *said["events"]]}, "ga4") == [(1, code)]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["item_id", "value"]), inner),
    max_leaves=5,
)


@given(name=st.sampled_from([*NAMES, "x"]), params=st.dictionaries(st.sampled_from(["items", "value", "index"]), ANY))
def test_whatever_the_parameters_are_it_is_taken(name: str, params: dict[str, Any]) -> None:
    said = body({"name": name, "params": params})
    assert decided(ga4.open_body(json.dumps(said).encode())).rejected == ()
