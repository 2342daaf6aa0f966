"""Where a call comes from: the address of the client, as far as it can be believed.

Behind proxies that are named in `STAGEPOST_HTTP__TRUSTED_PROXIES` it is the rightmost address of X-Forwarded-For that
is none of theirs; `services.process` has the server work that out. From everybody else the header is only a claim, and
the peer is the client.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

Client = IPv4Address | IPv6Address

HOUSEHOLD: Final = 56
"""Bits of an IPv6 address that a provider gives to one household or office, who may take any address behind them."""


def client_of(scope: Scope) -> Client | None:
    """None for what has no address: a Unix socket, or a word of a proxy's that is none."""
    peer = scope.get("client")
    try:
        address = ip_address(peer[0].partition("%")[0]) if peer else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def household_of(client: Client) -> str:
    """Whom a limit is meant for: an IPv4 address, or all of an IPv6 household."""
    return str(IPv6Network((client, HOUSEHOLD), strict=False)) if isinstance(client, IPv6Address) else str(client)
