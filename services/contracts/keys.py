"""Write keys: what a storefront's clients send. Stored only as a prefix to find them by and a SHA-256 to prove them.

They stand on the compacted topic `storefront.keys`, each under its prefix, for good: one that was revoked says since
when. So a topic that lacks a key has lost it, and no ingest takes that for a revocation.
"""

import hashlib
import re
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from services.contracts.events import Moment

WRITE_KEY_PREFIX: Final = "spwk_"
SHOWN: Final = len(WRITE_KEY_PREFIX) + 8
"""How much of a key may be stored and shown: enough to tell keys apart, too little to guess the rest."""


class KeyKind(StrEnum):
    """What its events count as (`SaidBy`): a key on a web page is public, one on a server is not."""

    SERVER = "server"
    BROWSER = "browser"


class WriteKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`origins` are the pages that a browser's key may be used on, as browsers say them; none: any page."""

    storefront: str
    kind: KeyKind
    prefix: str
    sha256: str
    origins: tuple[str, ...] = ()
    made_at: Moment | None = None
    revoked_at: Moment | None = None

    def __post_init__(self) -> None:
        """Written otherwise, an origin would be no page's, and all of them be refused."""
        for origin in self.origins:
            if origin_of(origin) != origin:
                meant = f"; did you mean {origin_of(origin)}?" if origin_of(origin) else ""
                raise ValueError(f"`{origin}` is no origin as browsers say it, https://shop.example{meant}")


def new_write_key(
    storefront: str, kind: KeyKind, *, origins: tuple[str, ...] = (), made_at: datetime | None = None
) -> tuple[str, WriteKey]:
    """A fresh key, shown once, and what is stored of it."""
    key = WRITE_KEY_PREFIX + secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")
    stored = WriteKey(
        storefront=storefront, kind=kind, prefix=key[:SHOWN], sha256=digest(key), origins=origins, made_at=made_at
    )
    return key, stored


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
_USUAL_PORTS: Final = {"http": "80", "https": "443"}


def origin_of(text: str) -> str | None:
    """As browsers say it in the header Origin: `https://shop.example`; None for what is none."""
    found = _ORIGIN.fullmatch(text.strip().lower())
    if found is None:
        return None
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _USUAL_PORTS[scheme] else "")


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(WriteKey)


def encode_key(key: WriteKey) -> bytes:
    return _encoder.encode(key)


def decode_key(value: bytes) -> WriteKey:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def record_key_of(key: WriteKey) -> bytes:
    return key.prefix.encode()
