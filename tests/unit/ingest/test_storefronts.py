"""Where clients put their write key, and whose it is."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from ingest.storefronts import Keys, Source, key_of_call
from services.contracts.events import SaidBy
from services.contracts.keys import SHOWN, KeyKind, WriteKey, new_write_key, origin_of
from services.errors import RequestError, Unauthorized

SERVER, STORED_SERVER = new_write_key("shop", KeyKind.SERVER)
BROWSER, STORED_BROWSER = new_write_key("other", KeyKind.BROWSER)
KEYS = Keys([STORED_SERVER, STORED_BROWSER])
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


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


def refused(keys: Keys, given: str | None, origin: bytes | None = None) -> dict[str, str]:
    with pytest.raises(RequestError) as error:
        keys.source_of(given, origin)
    return error.value.body


def test_a_revoked_key_is_as_unknown_as_none() -> None:
    revoked = replace(STORED_SERVER, revoked_at=NOON)
    assert refused(Keys([revoked]), SERVER) == refused(KEYS, None)
    keys = Keys([STORED_SERVER, STORED_BROWSER])
    keys.put([revoked])
    assert refused(keys, SERVER) == refused(KEYS, None)
    assert keys.source_of(BROWSER).storefront == "other"


def test_several_keys_of_one_storefront_and_kind_work_at_once() -> None:
    more = [new_write_key("shop", KeyKind.SERVER) for _ in range(3)]
    keys = Keys([STORED_SERVER])
    keys.put(stored for _, stored in more)
    assert {keys.source_of(key) for key in (SERVER, *(key for key, _ in more))} == {Source("shop", SaidBy.SERVER)}
    keys.put(stored for _, stored in more[1:])
    assert refused(keys, more[0][0])["code"] == "unauthorized"


def test_until_all_keys_are_known_an_unknown_one_is_asked_to_come_again_and_no_key_is_refused() -> None:
    keys = Keys([], sure=False)
    assert refused(keys, SERVER)["code"] == "unavailable"
    assert refused(keys, None)["code"] == refused(keys, "")["code"] == "unauthorized"
    keys.put([STORED_BROWSER])
    assert refused(keys, SERVER)["code"] == "unavailable"
    keys.put([STORED_BROWSER], sure=True)
    assert refused(keys, SERVER)["code"] == "unauthorized"
    assert keys.source_of(BROWSER).said_by is SaidBy.BROWSER


def test_a_key_made_for_pages_is_refused_on_others_and_works_where_no_origin_is_said() -> None:
    keys = Keys([replace(STORED_BROWSER, origins=("https://shop.example", "http://localhost:3000"))])
    for origin in (None, b"https://shop.example", b"HTTPS://SHOP.example", b"http://localhost:3000"):
        assert keys.source_of(BROWSER, origin).storefront == "other"
    for origin in (
        b"https://evil.example",
        b"http://shop.example",
        b"https://shop.example:8443",
        b"null",
        b"\xff",
        b"",
    ):
        assert refused(keys, BROWSER, origin)["code"] == "origin_not_allowed"
    assert refused(keys, SERVER, b"https://evil.example")["code"] == "unauthorized"


@pytest.mark.parametrize("origin", ["https://Shop.example", "https://shop.example/", "https://shop.example:443"])
def test_a_key_for_pages_that_no_browser_would_name_is_refused_with_what_was_meant(origin: str) -> None:
    given = [{"storefront": "shop", "kind": "browser", "prefix": "spwk_12345678", "sha256": "0" * 64}]
    with pytest.raises(msgspec.ValidationError, match=r"did you mean https://shop\.example\?"):
        msgspec.convert([{**given[0], "origins": [origin]}], list[WriteKey])
    assert msgspec.convert(given, list[WriteKey])[0].origins == ()


def test_a_key_made_for_no_page_in_particular_works_on_any() -> None:
    assert KEYS.source_of(BROWSER, b"https://any.example").storefront == "other"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        (" HTTPS://Shop.Example/ ", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("shop.example", None),
        ("https://shop.example/cart", None),
        ("https://*.shop.example", None),
        ("https://ada@shop.example", None),
        ("ftp://shop.example", None),
        ("null", None),
        ("", None),
    ],
)
def test_an_origin_is_kept_as_browsers_say_it(text: str, origin: str | None) -> None:
    assert origin_of(text) == origin


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
