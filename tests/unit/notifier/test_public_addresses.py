"""Where an outgoing webhook may go, and by how many names the inside can be called."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.public_addresses import inside, url_fault

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",  # carriers' own
        "100.100.100.200",  # a cloud's metadata
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "::7f00:1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
    ],
)
def test_the_inside_is_refused_by_whatever_number(address: str) -> None:
    assert inside(ip_address(address), ()) is not None
    literal = f"[{address}]" if ":" in address else address
    assert url_fault(f"https://{literal}/hook", ()) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_the_internet_is_not(address: str) -> None:
    assert inside(ip_address(address), ()) is None


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_that_stands_for_another_is_judged_as_that(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    judged = {inside(one, ()) is None for one in (address, mapped, translated)}
    assert len(judged) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",  # readable on its way
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "https://",
        "https:///hook",
        "hooks.example/hook",
        "https://user:secret@hooks.example/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://hooks.example:99999/",
        "https://hooks.example:0/",
        "https://hooks.example/a b",
        "https://hooks.example\\@127.0.0.1/",
        "https://hooks.example/\r\nHost: x",
        "https://[::1/",
    ],
)
def test_what_leads_inside_or_nowhere_is_refused_where_it_is_declared(url: str) -> None:
    assert url_fault(url, ()) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/stagepost?x=1",
        "https://8.8.8.8/",
        "https://hooks.example:8443/",
        "https://bücher.example/",
    ],
)
def test_an_address_of_the_internet_may_be_declared(url: str) -> None:
    assert url_fault(url, ()) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8099/", "http://localhost:8099/", "http://[::1]:8099/"])
def test_what_is_allowed_for_development_is_allowed_without_tls(url: str) -> None:
    assert url_fault(url, LOOPBACK) is None
    assert url_fault("http://10.0.0.1/", LOOPBACK) is not None
    assert url_fault("http://hooks.example/", LOOPBACK) is not None


@given(st.from_regex(r"(0x[0-9a-f]{1,8}|0?[0-9]{1,11})(\.(0x[0-9a-f]{1,4}|0?[0-9]{1,3})){0,3}", fullmatch=True))
def test_whatever_the_c_library_reads_as_an_address_inside_is_refused(host: str) -> None:
    try:
        meant = IPv4Address(socket.inet_aton(host))
    except OSError:
        return
    if inside(meant, ()) is not None:
        assert url_fault(f"https://{host}/", ()) is not None
