"""Addresses that nothing, or no marketing, goes to any more: kept by fingerprint, so the list tells nobody's address.

What is planned or queued need not be touched: the list is looked at when a message is decided, and once more when it is
marked `sending`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.addresses import deliverable, fingerprint
from notifier.status import Status
from notifier.tables import messages, suppressions
from services.contracts.reasons import Reason
from services.postgres import among

_S = suppressions.c


class Scope(StrEnum):
    ALL = "all"
    MARKETING = "marketing"


class Why(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    OPERATOR = "operator"


SCOPE_OF: Final = {
    Why.HARD_BOUNCE: Scope.ALL,
    Why.COMPLAINT: Scope.MARKETING,
    Why.UNSUBSCRIBED: Scope.MARKETING,
    Why.OPERATOR: Scope.ALL,
}
"""An address that does not exist gets nothing. Who complains or unsubscribes still hears of the orders they place."""

Place = tuple[str, bytes]
"""A storefront, and the fingerprint of an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands against one address, by scope."""

    by_scope: Mapping[Scope, Why] = field(default_factory=dict)

    def against(self, *, marketing: bool) -> Why | None:
        """Why such a message does not go there."""
        everything = self.by_scope.get(Scope.ALL)
        return everything or (self.by_scope.get(Scope.MARKETING) if marketing else None)


NOTHING: Final = Standing()


def place_of(storefront: str, address: str) -> Place:
    """However the address is written: its domain in Unicode or not, in capitals or not."""
    return storefront, fingerprint(deliverable(address) or address)


async def suppress(
    connection: AsyncConnection,
    *,
    storefront: str,
    address: str,
    why: Why,
    now: datetime,
    at: datetime | None = None,
    note: str | None = None,
) -> bool:
    """In the caller's transaction; `note` is for operators (what the mail server said).

    The first reason stays, but a complaint takes the place of an unsubscribing: to subscribe again lifts that only.
    What was lifted since `at`, when it came about, stays lifted: it is said again, or late. None: it came about now.
    False when nothing is other than it was.
    """
    print_ = place_of(storefront, address)[1]
    weaker = [Why.UNSUBSCRIBED] if why is Why.COMPLAINT else []
    ended = _S.lifted_at.is_not(None) if at is None else _S.lifted_at <= at
    stands = _S.lifted_at.is_(None)
    made = insert(suppressions).values(
        storefront=storefront, address_sha256=print_, scope=SCOPE_OF[why], why=why, note=note, since=now
    )
    written = await connection.execute(
        made.on_conflict_do_update(
            index_elements=[_S.storefront, _S.address_sha256, _S.scope],
            set_={"why": why, "note": note, "since": now, "lifted_at": None, "lifted_why": None},
            where=sa.or_(ended, sa.and_(stands, among(_S.why, weaker))),
        )
    )
    return written.rowcount > 0


async def lift(
    connection: AsyncConnection, *, place: Place, why: Collection[Why], because: str, now: datetime
) -> list[Why]:
    """What stands against the address for one of these reasons stands no more; what it kept back is decided again."""
    storefront, print_ = place
    lifted = await connection.scalars(
        sa.update(suppressions)
        .where(
            _S.storefront == storefront, _S.address_sha256 == print_, _S.lifted_at.is_(None), among(_S.why, list(why))
        )
        .values(lifted_at=now, lifted_why=because)
        .returning(_S.why)
    )
    found = [Why(one) for one in lifted]
    if found:
        await connection.execute(
            sa.update(messages)
            .where(
                messages.c.storefront == storefront,
                messages.c.status == Status.WITHHELD,
                messages.c.reason == Reason.SUPPRESSED,
                messages.c.expires_at > now,
            )
            .values(status=Status.PENDING, reason=None, due_at=sa.func.greatest(messages.c.due_at, now), changed_at=now)
        )
    return found


async def standing(connection: AsyncConnection, places: Collection[Place]) -> dict[Place, Standing]:
    """What stands against these addresses now."""
    if not places:
        return {}
    found = await connection.execute(
        sa.select(_S.storefront, _S.address_sha256, _S.scope, _S.why).where(
            among(_S.address_sha256, sorted({print_ for _, print_ in places})), _S.lifted_at.is_(None)
        )
    )
    by_place: dict[Place, dict[Scope, Why]] = {}
    for row in found:
        by_place.setdefault((row.storefront, row.address_sha256), {})[Scope(row.scope)] = Why(row.why)
    return {place: Standing(by_scope=scopes) for place, scopes in by_place.items()}
