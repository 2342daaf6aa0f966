"""Asking name servers: what stands there, or that nobody could be asked, which is another thing."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.resolver

LIFETIME: Final = 5.0
"""Seconds for one question, retries included."""


class NobodyAnswers(Exception):
    """No name server could be asked. It says nothing about what stands there."""


class Names:
    def __init__(self, server: str | None = None) -> None:
        """`server` is `address` or `address:port`; without it the system's own. Raises ValueError for another thing."""
        if server is None:
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                self._resolver = dns.asyncresolver.Resolver(configure=False)
        else:
            address, colon, port = server.rpartition(":") if server.count(":") == 1 else (server, "", "")
            self._resolver = dns.asyncresolver.Resolver(configure=False)
            self._resolver.nameservers = [str(ip_address(address))]
            self._resolver.port = int(port) if colon else 53
        self._resolver.lifetime = LIFETIME

    async def texts(self, name: str) -> list[str]:
        return [b"".join(record.strings).decode("utf-8", "replace") for record in await self._ask(name, "TXT")]

    async def exchangers(self, name: str) -> list[str]:
        records = sorted(await self._ask(name, "MX"), key=lambda record: record.preference)
        return [record.exchange.to_text().removesuffix(".") or "." for record in records]

    async def _ask(self, name: str, kind: str) -> Sequence[Any]:
        """Empty where there is nothing of this kind. Each kind of record has fields of its own."""
        try:
            return list(await self._resolver.resolve(name, kind, raise_on_no_answer=False))
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise NobodyAnswers(f"{name}: {type(error).__name__}") from None
