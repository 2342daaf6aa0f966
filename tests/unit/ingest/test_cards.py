"""Card numbers and security codes go, wherever they stand; ids that look like them stay."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from platforms import as_asgi, decided, shopify_headers

from ingest.cleaning import cleaned
from ingest.decide import decide
from ingest.dialects import native, pixel, segment, shopify
from ingest.dialects.reading import Call
from ingest.limits import Limits
from services.cards import BRANDS, CODE_REMOVED, CODES, IDS, NUMBER_REMOVED, NUMBERED, key_of, without_cards
from services.contracts.dead_letters import decode_dead_letter
from services.contracts.events import SaidBy, decode_event

# Numbers that issuers and processors publish for tests.
PUBLISHED = [
    "4111111111111111", "4012888888881881", "5555555555554444", "2223003122003222", "378282246310005",
    "371449635398431", "30569309025904", "38520000023237", "6011111111111117", "3530111333300000",
    "6200000000000005", "6759649826438453", "2200000000000004",
]  # fmt: skip


def after(said: object) -> Any:  # noqa: ANN401  any JSON
    return json.loads(without_cards(json.dumps(said).encode()).body)


def stays(said: object) -> bool:
    raw = json.dumps(said).encode()
    found = without_cards(raw)
    return found.body == raw and found.removed == 0


def luhn(digits: str) -> str:
    """With the check digit that makes it right, worked out apart from what is tested."""
    for last in "0123456789":
        total = 0
        for place, digit in enumerate(reversed(digits + last)):
            value = int(digit) * (2 if place % 2 else 1)
            total += value // 10 + value % 10
        if total % 10 == 0:
            return digits + last
    raise AssertionError


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_numbers_go_as_text_as_number_and_in_a_sentence(number: str) -> None:
    assert after({"note": number}) == {"note": NUMBER_REMOVED}
    assert after({"note": int(number)}) == {"note": NUMBER_REMOVED}
    assert after({"note": f"please charge {number}, thanks"}) == {"note": f"please charge {NUMBER_REMOVED}, thanks"}
    assert after([[{"deep": [number]}]]) == [[{"deep": [NUMBER_REMOVED]}]]


@pytest.mark.parametrize("by", [" ", "-", "."])
@pytest.mark.parametrize(
    "groups",
    [("4111", "1111", "1111", "1111"), ("3782", "822463", "10005"), ("3056", "930902", "5904"),
     ("6200", "0000", "0000", "0000", "003")],
)  # fmt: skip
def test_groups_as_they_stand_on_cards_go_under_any_key(by: str, groups: tuple[str, ...]) -> None:
    number = by.join(groups)
    if luhn("".join(groups)[:-1]) != "".join(groups):
        number = number[:-1] + luhn("".join(groups)[:-1])[-1]
    for key in ("note", "order_id", "card"):
        assert after({key: f"{number}"}) == {key: NUMBER_REMOVED}


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    _, begins, lengths = draw(st.sampled_from(BRANDS))
    length = draw(st.sampled_from([n for n in lengths if n > 13]))
    start = draw(st.from_regex(begins, fullmatch=True).filter(lambda s: s.isascii() and s.isdecimal()))
    rest = draw(st.text("0123456789", min_size=length - len(start) - 1, max_size=length - len(start) - 1))
    return luhn(start + rest)


ANY_KEY = st.sampled_from(["note", "message", "value", "x", "card", "cardNumber", "Name"])


@given(card_numbers(), ANY_KEY, st.text(max_size=10), st.text(max_size=10))
def test_no_card_number_that_stands_by_itself_is_left(number: str, key: str, before: str, behind: str) -> None:
    assume(not re.search(r"[0-9A-Za-z+]\Z", before) and not re.match(r"[0-9A-Za-z]|-[0-9a-fA-F]{4}", behind))
    assume(not re.search(r"[0-9a-fA-F]{4}-\Z", before) and not (before.startswith(("/", "http"))))
    text = f"{before}{number}{behind}"
    assert after({key: [text]})[key][0] == f"{before}{NUMBER_REMOVED}{behind}"


@given(card_numbers(), st.integers(1, 9))
def test_a_wrong_check_digit_is_no_card(number: str, by: int) -> None:
    wrong = number[:-1] + str((int(number[-1]) + by) % 10)
    assert stays({"note": wrong})


@given(card_numbers(), st.sampled_from(sorted(IDS)), st.sampled_from(["", "order_", "product-", "cart ", "my_"]))
def test_an_id_of_digits_stays(number: str, word: str, before: str) -> None:
    assert stays({f"{before}{word}": number, f"{before}{word}s" if word == "id" else word: [number]})
    assert stays({word: int(number)})
    assert stays({word: f"order-{number}", f"{before}{word}": f"shop/{number}_1"})


def test_events_whose_ids_hold_such_rows_are_not_taken_for_one_another() -> None:
    said = [{"id": f"evt-{number}", "name": "x", "user_id": "u"} for number in PUBLISHED]
    events = decided(cleaned(native.open_body)(json.dumps(said).encode())).events
    assert len({decode_event(record.value or b"").id for record in events}) == len(PUBLISHED)


@pytest.mark.parametrize(
    ("key", "of_id", "of_card", "of_code"),
    [
        ("orderId", True, False, False),
        ("product_ids", True, False, False),
        ("anonymousId", True, False, False),
        ("ean13", True, False, False),
        ("order_number", True, False, False),
        ("tracking_numbers", True, False, False),
        ("variant", True, False, False),
        ("trackingNumber", True, False, False),
        ("paid", False, False, False),
        ("number", False, False, False),
        ("card_id", False, True, False),
        ("cardNumber", False, True, False),
        ("ccNumber", False, True, False),
        ("company", False, False, False),
        ("cvv", False, False, True),
        ("card_cvc", False, True, True),
        ("cardSecurityCode", False, True, True),
        ("security_code", False, False, True),
        ("cvv_result_code", False, False, False),
        ("discount_code", False, False, False),
        ("postcode", False, False, False),
        ("", False, False, False),
    ],
)
def test_a_key_says_what_its_values_are(key: str, of_id: bool, of_card: bool, of_code: bool) -> None:  # noqa: FBT001  a table
    found = key_of(key)
    assert (found.of_id, found.of_card, found.of_code) == (of_id, of_card, of_code)


@pytest.mark.parametrize("whose", sorted(NUMBERED))
def test_the_number_of_an_order_or_a_parcel_is_an_id(whose: str) -> None:
    assert stays({f"{whose}_number": "4111111111111111"})


@pytest.mark.parametrize(
    "said",
    [
        {"ean_text": "4006381333931", "note": "EAN 4006381333931"},
        {"note": "call +4915112345678, +4111111111111111"},
        {"messageId": "node-next-1795326174701-78d74da7-0a2d-42ad-8bed-ee3640ead22b"},
        {"note": "78d74da7-4111-1111-8bed-411111111111"},
        {"note": "order4111111111111111 or 4111111111111111x"},
        {"url": "https://shop.example/p/4111111111111111"},
        {"path": "/p/4111111111111111/reviews"},
        {"link": "gid://shopify/ProductVariant/38520000023237"},
        {"url": "https://shop.example/products/fern?variant=38520000023237"},
        {"url": "/cart?a=b&cart_id=4111111111111111#top"},
        {"timestamp_micros": 1795339800000000, "price": 4111.11, "revenue": 411111111111.1},
        {"4111111111111111": 2},
        {"note": "2026-11-22 10:00:00 2026-11-23 10:00:00"},
    ],
    ids=str,
)
def test_what_only_looks_like_one_stays(said: object) -> None:
    assert stays(said)


def test_thirteen_digits_are_a_card_s_only_where_the_key_says_so() -> None:
    number = "4222222222222"
    assert stays({"note": number})
    assert after({"card_number": number}) == {"card_number": NUMBER_REMOVED}


def test_a_query_in_an_address_is_no_place_for_one() -> None:
    said = {"url": "https://shop.example/pay?card=4111111111111111"}
    assert after(said) == {"url": f"https://shop.example/pay?card={NUMBER_REMOVED}"}
    for address in ("https://shop.example/pay?n=4111111111111111", "/pay?variant=4111,4111111111111111"):
        assert NUMBER_REMOVED in after({"url": address})["url"]


@pytest.mark.parametrize("row", [b"4111 1111 1111 1112 ", b"34567 ", b"4111111111111112 "])
def test_one_among_many_rows_that_are_none_is_found(row: bytes) -> None:
    raw = b'{"note": "' + row * 500 + b'4111111111111111"}'
    assert without_cards(raw).removed == 1


@given(st.sampled_from(sorted(CODES)), st.sampled_from(["", "card_", "my "]), st.sampled_from(["123", 123, "12 34", 0]))
def test_a_security_code_goes_whatever_it_looks_like(code: str, before: str, value: object) -> None:
    key = f"{before}{code}"
    assert after({key: value, "keep": 123}) == {key: CODE_REMOVED, "keep": 123}
    assert after({key: {"value": value}})[key] in ({"value": CODE_REMOVED}, {CODE_REMOVED: CODE_REMOVED})
    assert stays({key: None})


def test_digits_that_are_escaped_are_digits() -> None:
    raw = rb'{"note": "\u0034111111111111111", "k\u0065y": "\\u0034111111111111111"}'
    assert json.loads(without_cards(raw).body)["note"] == NUMBER_REMOVED


def test_what_is_said_beside_one_stays_exact() -> None:
    raw = b'{"card":"4111111111111111","price":12.50,"id":820982911946154508,"a":1.10000000000000000001,"t":"\xc3\xa4"}'
    found = without_cards(raw)
    assert found.body == raw.replace(b"4111111111111111", NUMBER_REMOVED.encode())
    assert found.removed == 1


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    without_cards(raw)


@given(card_numbers(), st.binary(max_size=20), st.binary(max_size=20))
def test_of_what_is_no_json_they_go_by_themselves(number: str, before: bytes, behind: bytes) -> None:
    assume(not re.search(rb"[0-9]\Z", before) and not re.match(rb"[0-9]", behind))
    assume(not re.search(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z", before))  # its first digits would be an escape's
    raw = b"{" + before + number.encode() + behind
    assert number.encode() not in without_cards(raw).body


@pytest.mark.parametrize(
    "raw", [b"[" * 5000 + b'"cvv"', b'{"cvv": ' + b"1" * 400 + b"}", b'{"cvv":1', b'{"card":4111111111111111']
)
def test_what_can_t_be_walked_is_cleaned_all_the_same(raw: bytes) -> None:
    assert b"4111111111111111" not in without_cards(raw).body


SECRETS = {"card": "4111 1111 1111 1111", "note": "5555555555554444", "cvc": 737}
LEAKS = re.compile(rb"4111.?1111|55555555|\b737\b")


def test_neither_events_nor_dead_letters_hold_any() -> None:
    call = Call(storefront="s", said_by=SaidBy.SERVER, received_at=datetime.now(UTC), new_id=lambda: "made")
    item = {"type": "track", "event": "x", "userId": "u", "properties": SECRETS, "context": {"traits": SECRETS}}
    batch = {"context": SECRETS, "batch": [item, {**item, "type": "nonsense"}]}
    body = cleaned(segment.open_batch)(json.dumps(batch).encode())
    decision = decide(body, call, Limits(), route="/v1/batch")
    assert (len(decision.events), len(decision.letters), body.removed) == (1, 1, 15)
    event = decode_event(decision.events[0].value or b"")
    assert event.properties == {"card": NUMBER_REMOVED, "note": NUMBER_REMOVED, "cvc": CODE_REMOVED}
    assert event.traits == event.properties
    for record in decision.records:
        assert not LEAKS.search(record.value or b"")
    assert not LEAKS.search(decode_dead_letter(decision.letters[0].value or b"").raw)


def test_a_webhook_that_is_no_json_is_kept_without_them() -> None:
    raw = b'{"note": "4111 1111 1111 1111", "cvv": "123"'
    headers = as_asgi(shopify_headers("orders/create", raw, "secret"))
    decision = decided(cleaned(lambda signed: shopify.open_delivery(signed, headers))(raw))
    (letter,) = decision.letters
    assert decode_dead_letter(letter.value or b"").raw == (
        b'{"note": "[card number removed]", "cvv":"[security code removed]"'
    )


def test_a_picture_s_address_is_cleaned_too() -> None:
    query = b"event=x&anonymousId=4111111111111111&properties.card=4111+1111+1111+1111&properties.cvv=123"
    body = pixel.open_query(query, kind="track")
    assert body.removed == 2
    assert b"4111 1111" not in bytes(body.items[0])
    assert b"4111111111111111" in bytes(body.items[0])


def test_the_platforms_and_clients_real_payloads_are_left_alone(shared_data: Callable[[str], str]) -> None:
    for name in ("node-clients.jsonl", "analytics-next-1.84.3-jsdom.jsonl", "segment-analytics-python-2.4.0.jsonl"):
        for line in shared_data(f"clients/{name}").splitlines():
            raw = str(json.loads(line).get("body")).encode()
            assert without_cards(raw).body == raw
    for name in ("shopify_docs_2025-10__orders_create", "woocommerce_docs_v3__orders_list"):
        raw = shared_data(f"webhooks/{name}.json").encode()
        assert without_cards(raw).body == raw
