"""Write keys: what a storefront's clients send. Stored only as a prefix to find them by and a SHA-256 to prove them."""

import hashlib
import secrets
from enum import StrEnum
from typing import Final

import msgspec

WRITE_KEY_PREFIX: Final = "spwk_"
SHOWN: Final = len(WRITE_KEY_PREFIX) + 8
"""How much of a key may be stored and shown: enough to tell keys apart, too little to guess the rest."""


class KeyKind(StrEnum):
    """What its events count as (`SaidBy`): a key on a web page is public, one on a server is not."""

    SERVER = "server"
    BROWSER = "browser"


class WriteKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    storefront: str
    kind: KeyKind
    prefix: str
    sha256: str


def new_write_key(storefront: str, kind: KeyKind) -> tuple[str, WriteKey]:
    """A fresh key, shown once, and what is stored of it."""
    key = WRITE_KEY_PREFIX + secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")
    return key, WriteKey(storefront=storefront, kind=kind, prefix=key[:SHOWN], sha256=digest(key))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
