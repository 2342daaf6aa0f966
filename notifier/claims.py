"""What a browser's word for an address is worth: one mail, and so many of one network and of one storefront.

Web pages' keys are public, so anybody can type a stranger's address: without bounds a shop would be a cannon for mail.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.tables import spent_claims
from services.postgres import among
from services.settings import Group

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)


class Caps(Group):
    """Mails to addresses that only browsers said. Customers of a server are not counted and not held up."""

    network_a_day: int = Field(
        default=5, ge=0, description="of one client network (IPv4 /24, IPv6 /56), in 24 hours; an office shares one"
    )
    storefront_an_hour: int = Field(
        default=50, ge=0, description="of one storefront, in 60 minutes: what a cannon with many networks still gets"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One message's use of an address that only a browser said; `network` stands for where that came from."""

    message: UUID
    storefront: str
    customer: UUID
    address: bytes
    """`addresses.fingerprint`."""
    network: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Messages whose claims can't be used now: used for another message, or beyond a cap."""

    spent: frozenset[UUID] = frozenset()
    capped: frozenset[UUID] = frozenset()


async def refused(connection: AsyncConnection, claims: Collection[Claim], caps: Caps, now: datetime) -> Refused:
    if not claims:
        return Refused()
    uses = list(
        await connection.execute(
            sa.select(spent_claims).where(
                sa.or_(
                    sa.and_(
                        among(spent_claims.c.storefront, {claim.storefront for claim in claims}),
                        among(spent_claims.c.address_sha256, [claim.address for claim in claims]),
                    ),
                    among(spent_claims.c.customer_id, [claim.customer for claim in claims]),
                )
            )
        )
    )
    used = await _Used.lately(connection, {claim.storefront for claim in claims}, now)
    own = {claim.message for claim in claims for use in uses if _is_own(use, claim)}
    return Refused(
        spent=frozenset(claim.message for claim in claims for use in uses if _blocks(use, claim)),
        capped=frozenset(claim.message for claim in claims if claim.message not in own and used.full(claim, caps)),
    )


async def spend(connection: AsyncConnection, claims: Sequence[Claim], caps: Caps, now: datetime) -> set[UUID]:
    """Uses the claims up; returns the messages that can't have theirs. One process a storefront is here at a time.

    The caller has locked the customers; whoever waits here holds rows that nobody in here asks for any more.
    """
    storefronts = sorted({claim.storefront for claim in claims})
    for storefront in storefronts:
        await connection.execute(
            sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"claims of {storefront}", 0)))
        )
    used = await _Used.lately(connection, storefronts, now)
    lost: set[UUID] = set()
    for claim in sorted(claims, key=lambda claim: claim.address):
        if not await _spent(connection, claim, used, caps, now):
            lost.add(claim.message)
    return lost


async def _spent(connection: AsyncConnection, claim: Claim, used: "_Used", caps: Caps, now: datetime) -> bool:
    """Whether the claim is this message's, by now or since an earlier attempt."""
    at = (spent_claims.c.storefront == claim.storefront, spent_claims.c.address_sha256 == claim.address)
    holder = await connection.scalar(sa.select(spent_claims.c.message_id).where(*at))
    if holder is not None or used.full(claim, caps):
        return bool(holder == claim.message)
    made = await connection.execute(
        insert(spent_claims)
        .values(
            storefront=claim.storefront,
            address_sha256=claim.address,
            customer_id=claim.customer,
            message_id=claim.message,
            network=claim.network,
            spent_at=now,
        )
        .on_conflict_do_nothing()  # the customer's one claim was another address
    )
    if made.rowcount:
        used.count(claim)
    return bool(made.rowcount)


class _Used:
    """How many claims were used lately, by storefront and by network. Who said none is of one network, too."""

    def __init__(self) -> None:
        self._networks: Counter[tuple[str, str | None]] = Counter()
        self._storefronts: Counter[str] = Counter()

    @classmethod
    async def lately(cls, connection: AsyncConnection, storefronts: Collection[str], now: datetime) -> Self:
        found = cls()
        s = spent_claims.c
        counted = await connection.execute(
            sa.select(s.storefront, s.network, sa.func.count(), sa.func.count().filter(s.spent_at > now - HOUR))
            .where(among(s.storefront, storefronts), s.spent_at > now - DAY)
            .group_by(s.storefront, s.network)
        )
        for storefront, network, in_a_day, in_an_hour in counted:
            found._networks[storefront, network] = in_a_day
            found._storefronts[storefront] += in_an_hour
        return found

    def full(self, claim: Claim, caps: Caps) -> bool:
        return (
            self._networks[claim.storefront, claim.network] >= caps.network_a_day
            or self._storefronts[claim.storefront] >= caps.storefront_an_hour
        )

    def count(self, claim: Claim) -> None:
        self._networks[claim.storefront, claim.network] += 1
        self._storefronts[claim.storefront] += 1


def _is_own(use: Any, claim: Claim) -> bool:  # noqa: ANN401  a row of spent_claims
    return (use.storefront, use.address_sha256, use.message_id) == (claim.storefront, claim.address, claim.message)


def _blocks(use: Any, claim: Claim) -> bool:  # noqa: ANN401  a row of spent_claims
    """Whether this use is of the same address or customer, and another than this message's own."""
    same_address = (use.storefront, use.address_sha256) == (claim.storefront, claim.address)
    return not _is_own(use, claim) and (same_address or use.customer_id == claim.customer)
