"""Where clients put their write key, and whose it is."""

import base64

import pytest

from ingest.storefronts import Keys, Source, key_of_call
from services.contracts.events import SaidBy
from services.contracts.keys import SHOWN, KeyKind, new_write_key
from services.errors import Unauthorized

SERVER, STORED_SERVER = new_write_key("shop", KeyKind.SERVER)
BROWSER, STORED_BROWSER = new_write_key("other", KeyKind.BROWSER)
KEYS = Keys([STORED_SERVER, STORED_BROWSER])


def basic(text: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Basic " + base64.b64encode(text.encode())}


def test_storefront_and_kind_come_from_the_key() -> None:
    assert KEYS.source_of(SERVER) == Source("shop", SaidBy.SERVER)
    assert KEYS.source_of(BROWSER) == Source("other", SaidBy.BROWSER)


@pytest.mark.parametrize(
    "given",
    [None, "", "nonsense", SERVER[:SHOWN], SERVER[:-1], SERVER + "x", SERVER.upper(), "\ud800", "ключ"],
    ids=["none", "empty", "nonsense", "its prefix", "cut", "longer", "in capitals", "half a pair", "Cyrillic"],
)
def test_no_key_and_an_unknown_one_get_the_same_answer(given: str | None) -> None:
    with pytest.raises(Unauthorized) as refused:
        KEYS.source_of(given)
    with pytest.raises(Unauthorized) as without:
        KEYS.source_of(None)
    assert refused.value.body == without.value.body


def test_two_keys_with_one_prefix_are_told_apart() -> None:
    twin = STORED_BROWSER.__class__(
        storefront="twin", kind=KeyKind.SERVER, prefix=STORED_SERVER.prefix, sha256=STORED_BROWSER.sha256
    )
    assert Keys([twin, STORED_SERVER]).source_of(SERVER).storefront == "shop"


@pytest.mark.parametrize("text", ["KEY:", "KEY", "KEY:ignored"])
def test_basic_works_with_and_without_the_colon(text: str) -> None:
    assert key_of_call(basic(text), b"") == "KEY"


def test_a_key_from_the_header_works() -> None:
    assert key_of_call({b"x-write-key": b" KEY "}, b"") == "KEY"


def test_of_jitsu_s_key_and_secret_the_key_counts() -> None:
    assert key_of_call({b"x-write-key": b"KEY:jitsu"}, b"") == "KEY"


def test_a_key_from_the_query_works() -> None:
    assert key_of_call({}, b"a=1&writeKey=KEY%21") == "KEY!"


def test_basic_comes_before_the_header_and_the_header_before_the_query() -> None:
    assert key_of_call({**basic("one:"), b"x-write-key": b"two"}, b"writeKey=three") == "one"
    assert key_of_call({b"x-write-key": b"two"}, b"writeKey=three") == "two"


@pytest.mark.parametrize("header", [b"Bearer KEY", b"Basic", b"Basic !!!", b"Basic Og==", b"Basic " + b"\xff" * 8])
def test_an_authorization_that_holds_no_key_is_passed_over(header: bytes) -> None:
    assert key_of_call({b"authorization": header, b"x-write-key": b"two"}, b"") == "two"


def test_an_empty_query_holds_no_key() -> None:
    assert not key_of_call({}, b"writeKey=")
    assert not key_of_call({}, b"")
