"""Whose call it is: the write key, where clients put it, and the storefront that it stands for."""

import base64
import binascii
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from services.contracts.events import SaidBy
from services.contracts.keys import SHOWN, KeyKind, WriteKey, digest
from services.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Source:
    """Taken from the key, never from the body."""

    storefront: str
    said_by: SaidBy


_SAID_BY = {KeyKind.SERVER: SaidBy.SERVER, KeyKind.BROWSER: SaidBy.BROWSER}


class Keys:
    """The write keys in force."""

    def __init__(self, keys: Iterable[WriteKey]) -> None:
        self._by_prefix: dict[str, list[WriteKey]] = defaultdict(list)
        for key in keys:
            self._by_prefix[key.prefix].append(key)

    def source_of(self, given: str | None) -> Source:
        """Raises Unauthorized, in the same words for no key and for an unknown one."""
        proof = digest(given or "")
        for key in self._by_prefix.get((given or "")[:SHOWN], ()):
            if hmac.compare_digest(proof, key.sha256):
                return Source(key.storefront, _SAID_BY[key.kind])
        raise Unauthorized("no write key that is known here came with the call; docs/ingest.md says where to put it")


def key_of_call(headers: Mapping[bytes, bytes], query: bytes) -> str | None:
    """The key outside the body, from the first place that has one: Basic, then X-Write-Key, then `?writeKey=`.

    GA4's clients send their `api_secret` in the query; a write key stands in its place.
    Jitsu's client takes no key without a colon and a secret after it; nothing after a colon is of ours.
    After these come the body's `writeKey` and its first event's, which the dialects find.
    """
    return (
        _basic(headers.get(b"authorization", b""))
        or headers.get(b"x-write-key", b"").partition(b":")[0].decode("latin-1").strip()
        or _in_query(query)
    )


def _basic(header: bytes) -> str | None:
    """`Basic b64("KEY:")`, with or without the colon."""
    scheme, _, coded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(coded.strip(), validate=True).partition(b":")[0].decode("latin-1") or None
    except binascii.Error:
        return None


def _in_query(query: bytes) -> str | None:
    if b"writeKey=" not in query and b"api_secret=" not in query:
        return None
    said = parse_qs(query.decode("latin-1"))
    return next((said[name][0] for name in ("writeKey", "api_secret") if name in said), None)
