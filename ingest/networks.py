"""Which network a browser called from, as something that can be counted and not read.

The address itself is stored nowhere. There are few enough networks to try them all, so the hash has a key; and it is
another for each storefront, so that no shop can follow another's visitors.
"""

import hashlib
import hmac
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from ingest.clients import Client, household_of

BLOCK: Final = 24
"""Bits of an IPv4 address: the smallest network that is routed by itself, and so the least that a cannon moves to."""
LENGTH: Final = 24
"""Characters: 96 bits, of which no two networks share all."""


def network_of(client: Client | None, storefront: str, key: bytes) -> str | None:
    if client is None:
        return None
    is_v4 = isinstance(client, IPv4Address)
    network = str(IPv4Network((client, BLOCK), strict=False)) if is_v4 else household_of(client)
    return hmac.new(key, f"{storefront}\0{network}".encode(), hashlib.sha256).hexdigest()[:LENGTH]
