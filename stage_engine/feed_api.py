"""The changes over HTTP, for those who missed some: all customers' by a cursor, one customer's by its sequence.

What is older than kept is gone (410); then the answer is where to begin anew, or for one customer where it stands.
"""

import base64
from typing import Annotated, Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contracts.changes import encode_change
from services.errors import BadRequest, NotFound
from services.postgres import reading
from stage_engine import snapshots, tables
from stage_engine.outbox import PUBLISHED_AS, SLICES, attributes_of, current_epoch

Limit = Annotated[int, Query(ge=1, le=10_000)]

_O = tables.outbox.c
_S = tables.slices.c
_C = tables.customers.c
_json = msgspec.json.Encoder(decimal_format="string")


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """How far somebody has read: the last position in each slice. Opaque to them."""

    epoch: int
    after: tuple[int, ...]

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_json.encode(self)).decode().rstrip("=")


def parse_cursor(text: str) -> Cursor:
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
    except (ValueError, msgspec.DecodeError):
        cursor = None
    if cursor is None or len(cursor.after) != SLICES or not all(0 <= number < 2**63 for number in cursor.after):
        raise BadRequest("`after` is no cursor of ours: send what was answered as `next`")
    return cursor


class Event(BaseModel):
    """A change as a CloudEvent in JSON; `data` is what docs/asyncapi.yaml says of its type."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    dataschema: str
    subject: str
    partitionkey: str
    streamepoch: int
    datacontenttype: str
    data: dict[str, Any]


class Changes(BaseModel):
    epoch: int = Field(description="of the stream now: when it is higher than you knew it, begin anew")
    changes: list[Event]
    next: str = Field(description="the `after` of the next call")
    more: bool = Field(description="false when there was nothing more just now")


class CustomerChanges(BaseModel):
    epoch: int
    customer_id: UUID
    sequence: int = Field(description="of the customer's last change")
    changes: list[Event]


class Standings(BaseModel):
    epoch: int
    standings: list[dict[str, Any]] = Field(description="`CustomerStanding` of docs/asyncapi.yaml")
    next: UUID | None = Field(description="the `after` of the next page; null on the last")
    changes_after: str = Field(
        description="a cursor from before this page was read: keep the first page's and follow `/v1/changes` from there"
    )


class Gone(BaseModel):
    code: str = "gone"
    message: str
    epoch: int
    snapshot: str = Field(description="where to read where everyone is now")


class CustomerGone(BaseModel):
    code: str = "gone"
    message: str
    epoch: int
    snapshot: dict[str, Any] = Field(description="where the customer is now: `CustomerStanding` of docs/asyncapi.yaml")


def feed_routes(engine: AsyncEngine) -> APIRouter:
    router = APIRouter(tags=["changes"])

    @router.get("/v1/changes", responses={200: {"model": Changes}, 410: {"model": Gone}})
    async def changes(after: str | None = None, limit: Limit = 1000) -> Response:
        """What was published of all customers, from a cursor on; without one, all that is kept.

        In publishing order within a customer. Changes that a restored database gave out anew come as a new epoch: then,
        and where the cursor is older than what is kept, the answer is 410.
        """
        async with reading(engine) as connection:
            epoch, begins, _ = await _kept(connection)
            cursor = Cursor(epoch, begins) if after is None else parse_cursor(after)
            if cursor.epoch != epoch or any(a < b for a, b in zip(cursor.after, begins, strict=True)):
                message = "what came after that cursor is kept no longer; read the snapshot and follow its cursor"
                return _answer({**_gone(message, epoch), "snapshot": "/v1/standings"}, status=410)
            found = await _published(connection, cursor, limit)
        last = list(cursor.after)
        for row in found:
            last[row.slice] = row.position
        return _answer(
            {
                "epoch": epoch,
                "changes": [_event(row) for row in found],
                "next": str(Cursor(epoch, tuple(last))),
                "more": len(found) == limit,
            }
        )

    @router.get(
        "/v1/customers/{customer_id}/changes",
        responses={200: {"model": CustomerChanges}, 410: {"model": CustomerGone}},
    )
    async def customer_changes(
        customer_id: UUID, after: Annotated[int, Query(ge=0, lt=2**63)] = 0, limit: Limit = 1000
    ) -> Response:
        """One customer's own changes after a sequence number, also of one who is part of another by now.

        When they are kept no longer, or the number was never given out in this epoch, the answer is 410 with where the
        customer stands now.
        """
        async with reading(engine) as connection:
            epoch = await connection.scalar(sa.select(current_epoch()))
            standing = (await snapshots.standings(connection, [customer_id])).get(customer_id)
            if standing is None:
                raise NotFound(f"there is no customer {customer_id}")
            found = await connection.execute(
                sa.select(*PUBLISHED_AS)
                .where(_O.customer_id == customer_id, _O.sequence > after)
                .order_by(_O.sequence)
                .limit(limit)
            )
            kept = found.all()
        first = kept[0].sequence if kept else standing.sequence + 1
        if first != after + 1:
            message = f"changes {after + 1} and on are not kept; this is where the customer stands"
            raw = msgspec.Raw(encode_change(standing))
            return _answer({**_gone(message, epoch), "snapshot": raw}, status=410)
        return _answer(
            {
                "epoch": epoch,
                "customer_id": customer_id,
                "sequence": standing.sequence,
                "changes": [_event(row) for row in kept],
            }
        )

    @router.get("/v1/standings", responses={200: {"model": Standings}})
    async def everyone(after: UUID | None = None, limit: Limit = 1000) -> Response:
        """Where everyone is now, by the order of their ids; who is part of another is left out."""
        async with reading(engine) as connection:
            epoch, _, ends = await _kept(connection)
            page = await snapshots.everyone(connection, after=after, limit=limit)
        return _answer(
            {
                "epoch": epoch,
                "standings": [msgspec.Raw(encode_change(s)) for s in page if s.part_of is None],
                "next": page[-1].customer_id if len(page) == limit else None,
                "changes_after": str(Cursor(epoch, ends)),
            }
        )

    return router


async def _kept(connection: AsyncConnection) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """The epoch, and for each slice the position before the first that is kept, and the last."""
    epoch = await connection.scalar(sa.select(current_epoch()))
    found = {row.slice: row for row in await connection.execute(sa.select(tables.slices))}
    begins = tuple(found[number].forgotten if number in found else 0 for number in range(SLICES))
    ends = tuple(found[number].position if number in found else 0 for number in range(SLICES))
    return int(epoch or 0), begins, ends


async def _published(connection: AsyncConnection, cursor: Cursor, limit: int) -> list[Any]:
    """A fair share of each slice, in the order of positions: cut off at the end, nothing in between is left out."""
    given = sa.values(sa.column("slice", sa.SmallInteger), sa.column("after", sa.BigInteger), name="given").data(
        list(enumerate(cursor.after))
    )
    of_slice = (
        sa.select(*PUBLISHED_AS, _O.position, sa.func.row_number().over(order_by=_O.position).label("turn"))
        .where(_O.slice == given.c.slice, _O.position > given.c.after)
        .order_by(_O.position)
        .limit(limit)
        .lateral("of_slice")
    )
    found = await connection.execute(
        sa.select(of_slice).select_from(given).join(of_slice, sa.true()).order_by("turn", of_slice.c.slice).limit(limit)
    )
    return list(found.all())


def _event(row: Any) -> dict[str, Any]:  # noqa: ANN401  a row of PUBLISHED_AS
    return {**attributes_of(row), "datacontenttype": "application/json", "data": msgspec.Raw(row.value)}


def _gone(message: str, epoch: int | None) -> dict[str, Any]:
    return {"code": "gone", "message": message, "epoch": epoch}


def _answer(content: dict[str, Any], *, status: int = 200) -> Response:
    return Response(_json.encode(content), status_code=status, media_type="application/json")
