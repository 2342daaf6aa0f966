"""Who is whom: identities point from weak to strong, and the end of the pointers is the customer. Pure.

Accounts never weld through a device or an address: a pointer only ever leads to a stronger kind, and of several the
strongest kind, then the earliest, then the smallest by bytes holds. Of those that would point to one identity the
earliest do. That depends on the set of what was said, never on the order in which it came.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid5

from services.contracts.events import Event, Name, SaidBy
from services.contracts.identity import Identity, IdentityKind, Who, identities_of

TILL = 5
"""An identity seen with more than this many of its strongest kind is a shared device or address: it points nowhere."""

MOST_POINTING = 1_000
"""Of the identities that would point to one, so many of the earliest do. A person comes to some dozens of devices and
cleared cookies in years; what has more is a shared account or a bot's, and without an end its customer would become
everybody, locked and folded as one."""

IDENTITY_SPACE = UUID("6d3f8f39-3c58-4b0c-9d0e-3d6f4c2b1a70")
"""Identities' own ids are not secret: they are a 16-byte key for (storefront, kind, value), never shown outside."""


class Link(NamedTuple):
    """`weak` was named together with `strong`, or was renamed to it, first at `at` in event time."""

    weak: Identity
    strong: Identity
    at: datetime


@lru_cache(maxsize=100_000)
def identity_id(storefront: str, identity: Identity) -> UUID:
    return uuid5(IDENTITY_SPACE, f"{storefront}\x00{int(identity.kind)}\x00{identity.value}")


@lru_cache(maxsize=100_000)
def customer_id(namespace: UUID, root: Identity) -> UUID:
    """`namespace` is the storefront's and secret, so that knowing an address does not give the customer's id."""
    return uuid5(namespace, f"{int(root.kind)}\x00{root.value}")


def links_said(event: Event, named: Sequence[Identity]) -> list[Link]:
    """What the event says of who is whom; `named` are its identities, strong to weak.

    A server links every weaker identity to every stronger one. A browser links only what is its own, the device and the
    cart, and only to the strongest that it names: it makes no address and no account point anywhere.
    """
    at = event.occurred_at
    if event.said_by is SaidBy.BROWSER:
        own = (IdentityKind.ANONYMOUS_ID, IdentityKind.CART_TOKEN)
        return [Link(weak, named[0], at) for weak in named[1:] if weak.kind in own]
    links = [Link(weak, strong, at) for i, strong in enumerate(named) for weak in named[i + 1 :]]
    if event.name == Name.IDENTITY_ALIASED:
        links += _renamed(event, named[0])
    return links


def _renamed(event: Event, now: Identity) -> list[Link]:
    """An alias points the previous id, as an account and as a device, to the account of now."""
    previous = event.properties.get("previous_id")
    if now.kind is not IdentityKind.USER_ID or not isinstance(previous, str):
        return []
    before = identities_of(Who(user_id=previous, anonymous_id=previous), event.id)
    return [Link(weak, now, event.occurred_at) for weak in before if weak != now and weak.kind != IdentityKind.EVENT]


def pointer(links: Iterable[Link]) -> Link | None:
    """Which of one identity's links holds; None when it has none or is shared by too many."""
    candidates = list(links)
    if not candidates:
        return None
    strongest = min(link.strong.kind for link in candidates)
    of_strongest = [link for link in candidates if link.strong.kind == strongest]
    is_alias = of_strongest[0].weak.kind == strongest
    if not is_alias and len({link.strong for link in of_strongest}) > TILL:
        return None
    return min(of_strongest, key=lambda link: (link.at, link.strong.value))


def pointers(links: Iterable[Link], *, most: int = MOST_POINTING) -> dict[Identity, Link]:
    """Where everyone points, of all that was ever said in one storefront.

    Who comes too late to be one of the earliest points nowhere and falls back to nobody else, like a till.
    """
    said: dict[Identity, list[Link]] = defaultdict(list)
    for link in links:
        said[link.weak].append(link)
    wanting: dict[Identity, list[Link]] = defaultdict(list)
    for of_one in said.values():
        if (held := pointer(of_one)) is not None:
            wanting[held.strong].append(held)
    return {link.weak: link for wishes in wanting.values() for link in sorted(wishes, key=_place)[:most]}


def _place(link: Link) -> tuple[datetime, Identity]:
    """Where one stands among those that would point to the same."""
    return link.at, link.weak


Node = TypeVar("Node", bound=Hashable)


def root_of(start: Node, follow: Callable[[Node], tuple[Node, datetime] | None]) -> Node:
    """The end of the pointers. Aliases can make a loop: its latest pointer is void, and where that began is the root.

    `follow` gives where a node points and since when.
    """
    path: list[tuple[Node, datetime]] = []
    seen: dict[Node, int] = {}
    node = start
    while (onward := follow(node)) is not None:
        if node in seen:
            loop = path[seen[node] :]
            return max(loop, key=lambda step: (step[1], str(step[0])))[0]
        seen[node] = len(path)
        path.append((node, onward[1]))
        node = onward[0]
    return node
