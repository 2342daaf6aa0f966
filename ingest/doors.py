"""How a call gets in: a door is asked before the body is read, and opens the body once it is there.

It says whose call it is, and so whose word it is. What it raises is a RequestError, as the caller will read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.clients import Client
from ingest.dialects.reading import Body
from ingest.limits import without_half_pairs
from ingest.storefronts import Keys, Source, key_of_call
from services.contracts.events import SaidBy
from services.errors import Forbidden, RequestError


@dataclass(frozen=True, slots=True)
class Asked:
    """A call before its body came. Names of headers are in lower case; `path` holds what stands in the route's {}."""

    headers: Mapping[bytes, bytes]
    query: bytes
    path: Mapping[str, Any]
    client: Client | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was learnt before the body came.

    `known` is whose call it is, where nothing of the body is needed for that. `sent_again` is whether the sender comes
    again when told to wait: who does not is not refused for being too fast, as what it said would be lost.
    """

    body: Callable[[bytes], tuple[Body, Source]]
    known: Source | None = None
    sent_again: bool = True


Door = Callable[[Asked], Opened]


def by_key(keys: Keys, open_body: Callable[[bytes], Body], *, server_only: bool = False) -> Door:
    """By a write key: outside the body, which is then not even read for an unknown one, or in it.

    With `server_only` a browser's key is refused before the body is read.
    """

    def asked(call: Asked) -> Opened:
        key = key_of_call(call.headers, call.query)
        origin = call.headers.get(b"origin")
        source = keys.source_of(key, origin) if key else None
        if server_only and source is not None and source.said_by is not SaidBy.SERVER:
            raise Forbidden(
                "only a server's key may say this: a browser's stands in a page, where anybody can read it",
                code="server_key_needed",
            )
        return Opened(body=lambda raw: _opened(without_half_pairs(raw), source, origin), known=source)

    def _opened(raw: bytes, source: Source | None, origin: bytes | None) -> tuple[Body, Source]:
        """The body taken apart, and whose it is: a body that can't be read names nobody."""
        try:
            body = open_body(raw)
        except RequestError:
            if source is None:
                keys.source_of(None)
            raise
        return body, source or keys.source_of(body.key, origin)

    return asked
