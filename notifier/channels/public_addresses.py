"""Which addresses an outgoing webhook may go to: those of the internet. Pure.

Whoever may name an address for us to post to could else reach what only we can: the database, the cloud's metadata, a
router. Asked when an address is declared and again when it is connected to, since what a name leads to changes.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

_INSIDE: Final = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # public by its number: Azure's own services answer there
        "192.0.0.0/24",  # protocols' own; Oracle's metadata
        "64:ff9b:1::/48",  # translation of a network's own
        "fec0::/10",  # sites' own, of old
    )
)
"""Beyond what Python knows."""
_STAND_FOR_IPV4: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
_INSIDE_NAMES: Final = re.compile(r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


def inside(address: IPv4Address | IPv6Address, allowed: Sequence[Network]) -> str | None:
    """What is wrong with connecting there; None where nothing is. `allowed` are networks of ours, for development."""
    meant = _unwrapped(address)
    if any(one in network for one in (address, meant) for network in allowed):
        return None
    if meant.is_global and not meant.is_multicast and not any(meant in network for network in _INSIDE):
        return None
    shown = str(address) if meant == address else f"{address} ({meant})"
    return f"{shown} is no address of the internet"


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    teredo = address.teredo
    embedded = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
    if embedded is None and any(address in network for network in _STAND_FOR_IPV4):
        embedded = IPv4Address(address.packed[-4:])
    return address if embedded is None else embedded


def url_fault(url: str, allowed: Sequence[Network]) -> str | None:
    """What is wrong with an address to post to, as far as it can be told without asking a name server."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if not url.isprintable() or " " in url or "\\" in url or not host or port == 0:
        return "is no address; write it as in https://hooks.example/stagepost"
    if parts.username is not None or parts.password is not None:
        return "has a name or password in it; what is posted is signed instead"
    if parts.scheme in ("http", "https") and _is_ours(host, allowed):
        return None
    if parts.scheme != "https":
        return "must begin with https://, since what is posted is about customers"
    return _host_fault(host, allowed)


def _is_ours(host: str, allowed: Sequence[Network]) -> bool:
    literal = _literal(host)
    if literal is None:
        return host == "localhost" and any(network.is_loopback for network in allowed)
    return any(literal in network for network in allowed)


def _host_fault(host: str, allowed: Sequence[Network]) -> str | None:
    literal = _literal(host)
    if literal is not None:
        return inside(literal, allowed)
    if _is_number(host) or _INSIDE_NAMES.fullmatch(host):
        return f"{host} is no name of the internet"
    return None


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_number(host: str) -> bool:
    """`127.1`, `0x7f000001`, `017700000001`: what a C library takes for an address though nobody would write it."""
    return all(_NUMBER.fullmatch(part) for part in host.split("."))
