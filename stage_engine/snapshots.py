"""Where everyone is now: what stands on the compacted topic `customer.stages`, and what HTTP answers in its place."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.changes import (
    STANDING_TYPE,
    CustomerStanding,
    InstanceRow,
    Profile,
    cloudevent_headers,
)
from services.contracts.fitting import fitted
from services.contracts.topics import STAGES
from services.kafka import Record
from services.postgres import among
from stage_engine import store, tables
from stage_engine.changes import table

_C = tables.customers.c
_I = tables.identities.c


async def standings(connection: AsyncConnection, customers: Collection[UUID]) -> dict[UUID, CustomerStanding]:
    """As one view of the caller's transaction. One who is part of another stands nowhere, and says of whom."""
    ends = await connection.execute(
        sa.select(_C.id, _I.customer_id).join(tables.identities, _I.id == _C.root).where(among(_C.id, customers))
    )
    part_of = {row.id: row.customer_id for row in ends if row.customer_id != row.id}
    return {
        id_: _standing(customer, part_of.get(id_))
        for id_, customer in (await store.customers(connection, customers)).items()
    }


def _standing(customer: store.Customer, part_of: UUID | None) -> CustomerStanding:
    rows: list[InstanceRow] = [] if part_of else table(customer.state, ())
    return CustomerStanding(
        storefront=customer.storefront,
        customer_id=customer.id,
        sequence=customer.sequence,
        part_of=part_of,
        profile=replace(Profile() if part_of else customer.state.profile, root=customer.root_said),
        hold=customer.hold,
        table=rows,
        approximate=not part_of and customer.state.approximate,
    )


async def everyone(connection: AsyncConnection, *, after: UUID | None, limit: int) -> list[CustomerStanding]:
    """A page of all of whom anything was ever published, in the order of their ids."""
    page = sa.select(_C.id).where(_C.sequence > 0).order_by(_C.id).limit(limit)
    found = (await connection.scalars(page if after is None else page.where(_C.id > after))).all()
    stand = await standings(connection, found)
    return [stand[id_] for id_ in found]


def record_of(standing: CustomerStanding, *, epoch: int, now: datetime) -> Record:
    """A tombstone has no value; what it stands for is said by its headers alone."""
    headers = cloudevent_headers(
        STANDING_TYPE,
        event_id=f"{standing.customer_id}/{standing.sequence}",
        storefront=standing.storefront,
        subject=str(standing.customer_id),
        time=now,
        epoch=epoch,
    )
    return Record(
        topic=STAGES,
        key=str(standing.customer_id).encode(),
        value=None if standing.part_of else fitted(standing)[1],
        headers=headers,
    )
