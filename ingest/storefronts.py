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
from services.errors import Forbidden, Unauthorized, Unavailable


@dataclass(frozen=True, slots=True)
class Source:
    """Taken from the key, never from the body."""

    storefront: str
    said_by: SaidBy


RETRY_AFTER = 5
"""Seconds, as other 503s say it unless they are told otherwise."""
_SAID_BY = {KeyKind.SERVER: SaidBy.SERVER, KeyKind.BROWSER: SaidBy.BROWSER}


class Keys:
    """The write keys in force: those that ingest was given, and those that it hears of, whose word goes before."""

    def __init__(self, given: Iterable[WriteKey], *, sure: bool = True) -> None:
        """`sure`: a key that is not here is none. Until all were heard of, it may have been made meanwhile."""
        self._given = tuple(given)
        self._by_prefix: dict[str, list[WriteKey]] = {}
        self.sure = sure
        self.put(())

    def __bool__(self) -> bool:
        return bool(self._by_prefix)

    def put(self, heard: Iterable[WriteKey], *, sure: bool = False) -> None:
        """`heard` takes the place of what was heard before."""
        known = {(key.prefix, key.sha256): key for key in (*self._given, *heard)}
        self._by_prefix = defaultdict(list)
        for key in known.values():
            if key.revoked_at is None:
                self._by_prefix[key.prefix].append(key)
        self.sure = self.sure or sure

    def source_of(self, given: str | None, origin: bytes | None = None) -> Source:
        """Raises Unauthorized, in the same words for no key, an unknown and a revoked one.

        `origin` is the header as it came; a key that was made for certain pages raises Forbidden for others. Raises
        Unavailable for an unknown key as long as not all are known: clients throw events away at a 401.
        """
        proof = digest(given or "")
        for key in self._by_prefix.get((given or "")[:SHOWN], ()):
            if hmac.compare_digest(proof, key.sha256):
                if origin is not None and key.origins and origin.decode("latin-1").lower() not in key.origins:
                    raise Forbidden(
                        "this write key is not for pages of this origin; `stagepost keys list` says which it is for",
                        code="origin_not_allowed",
                    )
                return Source(key.storefront, _SAID_BY[key.kind])
        if given and not self.sure:
            raise Unavailable("ingest has just started and does not know all write keys yet", retry_after=RETRY_AFTER)
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
