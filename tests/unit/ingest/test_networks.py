"""A network can be counted and not read: no address goes with an event."""

from ipaddress import ip_address

import pytest

from ingest.networks import network_of

KEY = b"a key of sixteen bytes and more"


def of(address: str, *, storefront: str = "shop", key: bytes = KEY) -> str | None:
    return network_of(ip_address(address), storefront, key)


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "192.0.2.254"), ("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::9")],
    ids=["ipv4-24", "ipv6-56"],
)
def test_neighbours_are_one_network(one: str, other: str) -> None:
    assert of(one) == of(other) is not None


@pytest.mark.parametrize(
    ("one", "other"), [("192.0.2.1", "192.0.3.1"), ("2001:db8:1:200::1", "2001:db8:1:300::1")], ids=["ipv4", "ipv6"]
)
def test_networks_are_told_apart(one: str, other: str) -> None:
    assert of(one) != of(other)


def test_without_the_key_and_in_another_storefront_it_is_another_word() -> None:
    words = {of("192.0.2.1"), of("192.0.2.1", key=b"another key of some bytes"), of("192.0.2.1", storefront="other")}
    assert len(words) == 3
    assert not any("192.0.2" in str(word) for word in words)


def test_who_has_no_address_is_of_no_network() -> None:
    assert network_of(None, "shop", KEY) is None
