"""The keys of a dev stack: random, made once a home, kept in files that only their owner reads."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.contracts.keys import SHOWN, KeyKind, WriteKey, digest, new_write_key
from services.contracts.webhook_secrets import Platform, WebhookSecret
from services.devstack.home import Home, read_json, write_json, write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    storefront: str
    """The shop's first; the write keys beside it are its own."""
    write_key: str
    browser_key: str
    operator_key: str
    webhook_secret: str
    """What every platform's webhooks to every storefront are signed with."""
    write_keys_file: Path
    operator_key_file: Path
    webhook_secrets_file: Path
    links_secret_file: Path
    network_key_file: Path


def ensure_secret(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8")


def ensure_keys(home: Home, storefronts: Iterable[str]) -> Keys:
    """A server's and a browser's key for every storefront; those of earlier runs stay as they are."""
    names = list(storefronts)
    plain_file = home.keys / "plain-write-keys.json"
    plain: dict[str, dict[str, str]] = read_json(plain_file)
    for name in names:
        for kind in KeyKind:
            plain.setdefault(name, {}).setdefault(kind, new_write_key(name, kind)[0])
    write_json(plain_file, plain)
    stored = [_stored(name, kind, plain[name][kind]) for name in names for kind in KeyKind]
    write_keys_file = home.keys / "write-keys.json"
    write_private(write_keys_file, json.dumps(msgspec.to_builtins(stored), indent=2))
    operator_key_file = home.keys / "operator-key"
    links_secret_file = home.keys / "links-secret"
    ensure_secret(links_secret_file)
    network_key_file = home.keys / "network-key"
    ensure_secret(network_key_file)
    webhook_secret = ensure_secret(home.keys / "webhook-secret")
    signed = [
        WebhookSecret(storefront=name, platform=platform, secret=webhook_secret)
        for name in names
        for platform in Platform
    ]
    webhook_secrets_file = home.keys / "webhook-secrets.json"
    write_private(webhook_secrets_file, json.dumps(msgspec.to_builtins(signed), indent=2))
    return Keys(
        storefront=names[0],
        write_key=plain[names[0]][KeyKind.SERVER],
        browser_key=plain[names[0]][KeyKind.BROWSER],
        operator_key=ensure_secret(operator_key_file),
        webhook_secret=webhook_secret,
        write_keys_file=write_keys_file,
        operator_key_file=operator_key_file,
        webhook_secrets_file=webhook_secrets_file,
        links_secret_file=links_secret_file,
        network_key_file=network_key_file,
    )


def _stored(storefront: str, kind: KeyKind, key: str) -> WriteKey:
    return WriteKey(storefront=storefront, kind=kind, prefix=key[:SHOWN], sha256=digest(key))
