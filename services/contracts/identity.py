"""Who an event names: five kinds of identity, strong to weak, and the values that name nobody."""

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple

import msgspec


class IdentityKind(IntEnum):
    """Strong to weak: a smaller number is the stronger kind. Stored as a smallint, so numbers are for ever."""

    USER_ID = 1
    EMAIL = 2
    PHONE = 3
    ANONYMOUS_ID = 4
    CART_TOKEN = 5
    EVENT = 6
    """Nobody was named: the event stands for itself."""

    @property
    def field(self) -> str:
        return self.name.lower()


class Identity(NamedTuple):
    kind: IdentityKind
    value: str


class Who(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The identities as a client gave them; `identities_of` says which of them name somebody."""

    user_id: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | None = None
    cart_token: str | None = None


# What clients send when they know nobody: seen in captures and in shops' own data (wire.md, design.md).
NOBODY = frozenset({"", "null", "undefined", "none", "nil", "nan", "guest", "anonymous", "false", "[object object]"})


SHORTEST_PHONE = 5
"""Digits; the shortest subscriber numbers in use have five with their area."""


def names_nobody(value: str) -> bool:
    """True for placeholders and for zeros however written (`0`, `000`, the nil UUID)."""
    bare = value.strip().lower()
    return bare in NOBODY or not bare.strip("0-")


def normalised(kind: IdentityKind, value: str) -> str:
    """One spelling per identity: addresses in lower case, phones as digits with their plus."""
    bare = value.strip()
    match kind:
        case IdentityKind.EMAIL:
            return bare.lower()
        case IdentityKind.PHONE:
            digits = "".join(c for c in bare if c.isdigit())
            return f"+{digits}" if bare.startswith("+") else digits
        case _:
            return bare


def identities_of(who: Who, event_id: str, own_addresses: Collection[str] = ()) -> tuple[Identity, ...]:
    """The identities that an event names, strong to weak; never empty.

    `own_addresses` are the shop's own, in lower case: a till that types its own address for every guest names nobody.
    """
    named = tuple(
        Identity(kind, value)
        for kind in IdentityKind
        if kind is not IdentityKind.EVENT
        and (raw := getattr(who, kind.field)) is not None
        and not names_nobody(raw)
        and _could_be(kind, value := normalised(kind, raw))
        and not (kind is IdentityKind.EMAIL and value in own_addresses)
    )
    return named or (Identity(IdentityKind.EVENT, event_id),)


def _could_be(kind: IdentityKind, value: str) -> bool:
    """What is no address or no number would join strangers: clients send `e` and `-` for both."""
    match kind:
        case IdentityKind.EMAIL:
            name, _, domain = value.rpartition("@")
            return bool(name and domain)
        case IdentityKind.PHONE:
            return len(value) >= SHORTEST_PHONE and not names_nobody(value.removeprefix("+"))
        case _:
            return bool(value)
