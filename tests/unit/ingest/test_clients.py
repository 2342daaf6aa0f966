"""Where a call comes from, asked of the real server: only a trusted proxy is believed about it."""

from ipaddress import ip_address

import httpx2
import pytest
from served import served
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ingest.clients import client_of, household_of
from services.settings import HttpSettings

LOCAL = "127.0.0.0/8"


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse(f"{client_of(scope)} {scope['scheme']}")(scope, receive, send)


async def seen(headers: list[tuple[str, str]], trusted: str) -> str:
    async with served(who, trusted_proxies=trusted) as port, httpx2.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://127.0.0.1:{port}/", headers=headers)).text


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8", "192.0.2.1"])
async def test_nobody_is_believed_but_a_trusted_proxy(monkeypatch: pytest.MonkeyPatch, trusted: str) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own door, which must stay shut
    forged = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
    assert await seen(forged, trusted) == "127.0.0.1 http"


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        (["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
        (["1.2.3.4, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["unknown"], "None"),
        ([""], "127.0.0.1"),
    ],
)
async def test_behind_trusted_proxies_the_client_is_the_rightmost_that_is_none_of_them(
    said: list[str], client: str
) -> None:
    headers = [("X-Forwarded-For", one) for one in said]
    assert await seen(headers, f"{LOCAL}, 10.0.0.0/8") == f"{client} http"


async def test_a_trusted_proxy_says_whether_it_was_https() -> None:
    assert await seen([("X-Forwarded-Proto", "https")], LOCAL) == "127.0.0.1 https"


def test_a_household_is_an_ipv4_address_or_56_bits_of_an_ipv6_one() -> None:
    assert household_of(ip_address("203.0.113.9")) == "203.0.113.9"
    households = {household_of(ip_address(f"2001:db8:1:2{end}")) for end in ("00::1", "ff::1", "80:1::")}
    assert households == {"2001:db8:1:200::/56"}
    assert household_of(ip_address("2001:db8:1:300::1")) not in households


def test_a_network_with_an_address_inside_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8 has host bits set"):
        HttpSettings.model_validate({"port": 0, "trusted_proxies": "10.0.0.1/8"})
