"""What unmodified clients sent, byte for byte, and the spec's own events, as the stage engine will read them."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ingest.decide import decide
from ingest.dialects import segment
from ingest.dialects.reading import Call
from ingest.limits import Limits
from ingest.routes import HOT_ROUTES
from services.contracts.events import Event, SaidBy, decode_event
from services.contracts.identity import Who

LONG_FORM = {"t": "track", "i": "identify", "p": "page", "g": "group", "a": "alias", "b": "batch"}


@pytest.fixture
def sent(shared_data: Callable[[str], str]) -> Callable[[str], list[Event]]:
    """`sent("file")` → the events of all its calls on Segment's paths, each received when it was captured."""

    def read(name: str) -> list[Event]:
        found = []
        for line in shared_data(f"clients/{name}").splitlines():
            capture = json.loads(line)
            if not capture["path"].startswith("/v1/"):
                continue  # other vendors' clients, in the same file
            kind = capture["path"].removeprefix("/v1/")
            kind = LONG_FORM.get(kind, kind)
            raw = capture["body"].encode()
            body = segment.open_batch(raw) if kind == "batch" else segment.open_single(raw, kind=kind)
            received_at = datetime.fromtimestamp(capture["t"], UTC)
            call = Call(storefront="shop", said_by=SaidBy.SERVER, received_at=received_at, new_id=lambda: "made")
            decision = decide(body, call, Limits(), route=capture["path"])
            assert decision.rejected == ()
            found += [decode_event(record.value or b"") for record in decision.events]
        return found

    return read


@pytest.mark.parametrize("name", ["segment-analytics-python-2.4.0.jsonl", "segment-analytics-python-2.4.0-gzip.jsonl"])
def test_every_call_of_segment_s_python_client_arrives(sent: Callable[[str], list[Event]], name: str) -> None:
    events = sent(name)
    assert Counter(event.name for event in events) == {
        "Customer Identified": 1,
        "Order Completed": 1,
        "Product Viewed": 1,
        "Page Viewed": 1,
        "Screen Viewed": 1,
        "Group Joined": 1,
        "Identity Aliased": 1,
    }
    by_name = {event.name: event for event in events}
    assert by_name["Customer Identified"].who == Who(user_id="u1", email="a@b.c")
    assert by_name["Order Completed"].properties == {"order_id": "o1", "products": [{"product_id": "p", "price": 1.5}]}
    assert by_name["Product Viewed"].who == Who(anonymous_id="anon")
    assert by_name["Page Viewed"].properties == {"url": "x", "name": "home", "category": "cat"}
    assert by_name["Identity Aliased"].properties == {"previous_id": "old"}
    assert len({event.id for event in events}) == len(events)


def test_the_clock_of_a_capture_is_believed(sent: Callable[[str], list[Event]]) -> None:
    for event in sent("segment-analytics-python-2.4.0.jsonl"):
        assert event.occurred_at.isoformat(timespec="seconds") == "2026-11-22T05:42:49+00:00"
        assert event.occurred_at <= event.received_at


def test_every_call_of_segment_s_browser_client_arrives(sent: Callable[[str], list[Event]]) -> None:
    events = sent("analytics-next-1.84.3-jsdom.jsonl")
    assert [event.name for event in events] == [
        "Page Viewed",
        "Customer Identified",
        "Product Viewed",
        "Identity Aliased",
        "Group Joined",
        "Product Added",
        "Product Added",
    ]
    assert {event.who.anonymous_id for event in events} == {"49660100-7bd7-4c15-b520-bbe7d40a1ade"}
    assert [event.who.user_id for event in events] == [None, "u1", "u1", "u1", "u1", "u1", "u1"]
    assert events[0].context["campaign"] == {"source": "x"}


def test_every_call_of_node_s_clients_arrives(sent: Callable[[str], list[Event]]) -> None:
    events = sent("node-clients.jsonl")
    assert Counter(event.name for event in events) >= Counter({"Customer Identified": 3, "Order Completed": 2})
    assert all(event.who.user_id or event.who.anonymous_id for event in events)
    original = next(event for event in events if event.context.get("library", {}).get("version") == "3.0.13")
    assert original.occurred_at == datetime(2026, 11, 22, 5, 42, 54, 951000, tzinfo=UTC)


def test_every_call_of_jitsu_s_client_arrives(shared_data: Callable[[str], str]) -> None:
    captures = [json.loads(line) for line in shared_data("clients/node-clients.jsonl").splitlines()]
    routes = {route.path: route for route in HOT_ROUTES}
    found = []
    for capture in captures:
        if capture["path"].startswith("/api/s/"):
            received_at = datetime.fromtimestamp(capture["t"], UTC)
            call = Call(storefront="shop", said_by=SaidBy.SERVER, received_at=received_at, new_id=lambda: "made")
            body = routes[capture["path"]].open_body(capture["body"].encode())
            (record,) = decide(body, call, Limits(), route=capture["path"]).records
            found.append(decode_event(record.value or b""))
    assert [event.name for event in found] == ["Customer Identified", "Order Completed", "Page Viewed"]
    assert {event.who.user_id for event in found} == {"u1"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/t", "Order Completed"),
        ("/v1/i", "Customer Identified"),
        ("/v1/p", "Page Viewed"),
        ("/v1/s", "Screen Viewed"),
        ("/v1/g", "Group Joined"),
        ("/v1/a", "Identity Aliased"),
        ("/api/s/s2s/page", "Page Viewed"),
    ],
)
def test_a_short_path_says_the_type(path: str, name: str) -> None:
    route = next(route for route in HOT_ROUTES if route.path == path)
    said = {"event": "Completed Order", "userId": "u1", "previousId": "u0", "messageId": "m1"}
    call = Call(storefront="shop", said_by=SaidBy.SERVER, received_at=datetime.now(UTC), new_id=lambda: "made")
    (record,) = decide(route.open_body(json.dumps(said).encode()), call, Limits(), route=path).events
    assert decode_event(record.value or b"").name == name


def test_all_events_of_the_spec_arrive_with_typed_properties(
    shared_data: Callable[[str], str], events: Callable[..., list[Event]]
) -> None:
    spec = json.loads(shared_data("webhooks/segment_ecommerce_spec_v2__all_events.json"))
    calls = [{**item, "type": "track", "userId": "u1", "messageId": f"m{n}"} for n, item in enumerate(spec)]
    found = events({"batch": calls}, "batch")
    assert len(found) == 23
    for event, item in zip(found, spec, strict=True):
        expected = dict(item["properties"])
        if item["event"] == "Product Reviewed":
            expected["rating"] = 5
        assert (event.name, event.properties) == (item["event"], expected)


def test_numbers_in_text_arrive_as_numbers_throughout_the_spec(
    shared_data: Callable[[str], str], events: Callable[..., list[Event]]
) -> None:
    """Many shops' templates print every amount as text; the events come out the same."""
    spec = json.loads(shared_data("webhooks/segment_ecommerce_spec_v2__all_events.json"))
    amounts = {"price", "quantity", "value", "revenue", "total", "subtotal", "shipping", "tax", "discount", "step"}

    def as_text(node: object) -> object:
        if isinstance(node, list):
            return [as_text(part) for part in node]
        if isinstance(node, dict):
            return {k: str(v) if k in amounts and isinstance(v, int | float) else as_text(v) for k, v in node.items()}
        return node

    def calls(items: list[dict[str, object]]) -> dict[str, object]:
        return {
            "batch": [{**item, "type": "track", "userId": "u1", "messageId": f"m{n}"} for n, item in enumerate(items)]
        }

    in_text = [{**item, "properties": as_text(item["properties"])} for item in spec]
    assert in_text != spec
    assert events(calls(in_text), "batch") == events(calls(spec), "batch")
