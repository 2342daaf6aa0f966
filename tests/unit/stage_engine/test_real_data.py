"""Real input, folded purely: the events of the e-commerce spec, and 20 visitors of a real shop."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stage_engine.history import Entry
from stage_engine.model.model import Model
from tests.unit.stage_engine.builders import SEVEN, SHOP, START, event, parallel_carts, see

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SPEC = DATA / "webhooks" / "segment_ecommerce_spec_v2__all_events.json"
OTTO = DATA / "otto" / "train_20_sessions.jsonl"
needs_spec = pytest.mark.skipif(not SPEC.exists(), reason=f"the shared data are not here: {SPEC}")
needs_otto = pytest.mark.skipif(not OTTO.exists(), reason=f"the shared data are not here: {OTTO}")
DOLLARS = replace(SHOP, currency="USD")


def visit(items: list[dict[str, Any]], pause: timedelta) -> list[Entry]:
    """The spec's events as one visitor's history, in the order given."""
    return [
        event(item["event"], START + n * pause, id=f"e{n:02}", who={"anonymous_id": "a1"}, **item["properties"])
        for n, item in enumerate(items)
    ]


@needs_spec
def test_the_specs_23_events_are_one_order_of_a_buyer() -> None:
    items = json.loads(SPEC.read_text())
    assert len(items) == 23
    seen = see(visit(items, timedelta(minutes=1)), shop=DOLLARS)
    assert seen.fact("orders") == 1
    assert seen.went()[:5] == ["awareness", "interest", "consideration", "purchase", "advocacy"]
    assert seen.stage("order", "50314b8e9bcf000000000000") == "cancelled"
    assert seen.fact("revenue") == 0


@needs_spec
def test_the_specs_checkout_is_of_the_devices_cart_and_so_is_its_order() -> None:
    """Its `Checkout Started` and its `Order Completed` say as `order_id` what its steps say as `checkout_id`."""
    wanted = ("Product Added", "Checkout Started", "Order Completed")
    items = [item for item in json.loads(SPEC.read_text()) if item["event"] in wanted]
    for item in items:
        item["properties"].pop("cart_id", None)
    other = event("Product Added", START, who={"anonymous_id": "a1"}, cart_id="another", product_id="p")
    seen = see(other, visit(items, timedelta(minutes=1)), shop=DOLLARS, by=parallel_carts())
    assert (seen.stage("cart", "a1"), seen.stage("cart", "another")) == ("ordered", "active")


@needs_spec
@settings(max_examples=100, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from([0, 1, 59, 61, 600]),
    st.sampled_from([SEVEN, parallel_carts()]),
    st.booleans(),
)
def test_whatever_the_order_of_the_specs_events_nobody_who_bought_has_a_cart_opened_before(
    random: Any,  # noqa: ANN401
    minutes: int,
    model: Model,
    with_cart_ids: bool,  # noqa: FBT001  what hypothesis draws
) -> None:
    """Without its `cart_id`s it is one cart, the device's, and the checkout's steps and the order find it."""
    items = json.loads(SPEC.read_text())
    if not with_cart_ids:
        for item in items:
            item["properties"].pop("cart_id", None)
    random.shuffle(items)
    history = visit(items, timedelta(minutes=minutes))
    (bought,) = [entry for entry in history if entry.event.name == "Order Completed"]
    seen = see(history, shop=DOLLARS, until=START + timedelta(days=60), by=model)
    carts = [i for i in seen.state.instances if i.track == "cart"]
    assert {i.stage for i in carts if i.opened < bought.position} <= {"ordered"}
    assert all(i.stage in ("active", "abandoned") for i in carts if i.opened > bought.position)
    late = [m.transition for m in seen.moves if m.transition.to_stage == "abandoned"]
    ended = {i.id for i in carts if i.stage == "ordered"}
    assert all(t.at <= bought.event.occurred_at for t in late if t.instance in ended)


def sessions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in OTTO.read_text().splitlines()]


def visitor(session: dict[str, Any]) -> list[Entry]:
    """Rows of one time with type orders are one order."""
    who, history = {"anonymous_id": f"otto-{session['session']}"}, []
    for (ts, kind), group in groupby(session["events"], key=lambda row: (row["ts"], row["type"])):
        at = datetime.fromtimestamp(ts / 1000, UTC)
        rows = list(group)
        if kind == "orders":
            order = f"{session['session']}-{ts}"
            products = [{"product_id": str(row["aid"])} for row in rows]
            history.append(event("Order Completed", at, who=who, order_id=order, products=products))
        else:
            name = {"clicks": "Product Viewed", "carts": "Product Added"}[kind]
            history += [event(name, at, who=who, product_id=str(row["aid"])) for row in rows]
    return history


@needs_otto
def test_the_visitors_are_who_they_are_said_to_be() -> None:
    names = [entry.event.name for session in sessions() for entry in visitor(session)]
    assert len(sessions()) == 20
    assert [names.count(n) for n in ("Product Viewed", "Product Added", "Order Completed")] == [800, 52, 5]


@needs_otto
def test_every_visitors_stage_as_of_their_last_event_is_what_plain_counting_says() -> None:
    stages: list[str] = []
    for session in sessions():
        rows = session["events"]
        orders = len({row["ts"] for row in rows if row["type"] == "orders"})
        carts = sum(row["type"] == "carts" for row in rows)
        looks = Counter(row["aid"] for row in rows if row["type"] == "clicks")
        compares = carts or max(looks.values(), default=0) > 2
        expected = "retention" if orders > 1 else "purchase" if orders else "consideration" if compares else "interest"
        seen = see(reversed(visitor(session)))
        assert (seen.stage(), seen.fact("orders")) == (expected, orders)
        stages.append(expected)
    assert len(set(stages)) >= 3


@needs_otto
def test_a_visitors_cart_is_abandoned_exactly_when_an_hour_passed_without_it_and_without_an_order() -> None:
    checked = 0
    for session in sessions():
        history = visitor(session)
        seen = see(history)
        adds = [e.event.occurred_at for e in history if e.event.name == "Product Added"]
        buys = [e.event.occurred_at for e in history if e.event.name == "Order Completed"]
        last = history[-1].event.occurred_at
        hour = timedelta(hours=1)
        silent = [
            add + hour
            for add in adds
            if add + hour <= last
            and not any(add < later < add + hour for later in adds)
            and not any(add <= buy < add + hour for buy in buys)
        ]
        told = [m.transition.at for m in seen.moves if m.transition.to_stage == "abandoned"]
        assert told == silent
        checked += len(told)
    assert checked > 0
