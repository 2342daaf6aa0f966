"""Revisions in Postgres: which is in force, reading one, making one, and putting one in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.revisions.files import Files, as_json, digest, of_json
from services.revisions.tables import active as active_table
from services.revisions.tables import revisions

_R = revisions.c
_A = active_table.c
PATIENCE: Final = "2s"
"""How long who wants to change what is in force waits for transactions under way, and keeps new ones waiting."""


class Active(NamedTuple):
    """Which revision is in force, and since when by Postgres' clock."""

    number: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A revision without its files.

    `follows` was in force when it was made. `folding` has, for each storefront, a digest of all that a fold of its
    customers reads; `folded_as` the first revision with that digest: whose customers need not be folded again.
    """

    number: int
    made_at: datetime
    note: str
    follows: int | None
    digest: str
    fold_version: int
    folding: Mapping[str, str]
    folded_as: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(Listed):
    files: Files


_LISTED = tuple(_R[name] for name in Listed.__slots__)


async def active(connection: AsyncConnection) -> Active | None:
    row = (await connection.execute(sa.select(_A.number, _A.since))).one_or_none()
    return None if row is None else Active(row.number, row.since)


async def share_active(connection: AsyncConnection) -> Active | None:
    """What is in force until this transaction ends: nobody can change it meanwhile.

    The lock is on the table, since locks on tables are given in the order in which they were asked for. On the row, who
    waits to change it would wait for ever behind transactions that overlap.
    """
    await connection.execute(sa.text("LOCK TABLE shop.active IN SHARE MODE"))
    return await active(connection)


async def lock_active(connection: AsyncConnection) -> Active | None:
    """For who changes it. Where others share it for longer than PATIENCE, Postgres raises `lock_not_available`.

    So a process that was stopped, and holds it for a minute, does not keep all others waiting for so long.
    """
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    await connection.execute(sa.text("LOCK TABLE shop.active IN EXCLUSIVE MODE"))
    return await active(connection)


async def activate(connection: AsyncConnection, number: int) -> Active:
    """Under the lock of `lock_active`."""
    values = {"row": 1, "number": number, "since": sa.func.clock_timestamp()}
    statement = insert(active_table).values(values)
    row = await connection.execute(
        statement.on_conflict_do_update(index_elements=[_A.row], set_=values).returning(_A.number, _A.since)
    )
    return Active(*row.one())


async def make(
    connection: AsyncConnection, files: Files, *, note: str, fold_version: int, folding: Mapping[str, str]
) -> int:
    """Stores a revision that follows the active one; returns its number. Under the lock of `lock_active`."""
    before = await active(connection)
    number = int(await connection.scalar(sa.select(sa.func.coalesce(sa.func.max(_R.number), 0))) or 0) + 1
    folded_as = {name: await _first_with(connection, name, said) or number for name, said in folding.items()}
    await connection.execute(
        insert(revisions).values(
            number=number,
            made_at=sa.func.clock_timestamp(),
            note=note,
            follows=before.number if before else None,
            files=as_json(files),
            digest=digest(files),
            fold_version=fold_version,
            folding=dict(folding),
            folded_as=folded_as,
        )
    )
    return number


async def _first_with(connection: AsyncConnection, storefront: str, said: str) -> int | None:
    found: int | None = await connection.scalar(
        sa.select(sa.func.min(_R.number)).where(_R.folding[storefront].astext == said)
    )
    return found


async def revision(connection: AsyncConnection, number: int) -> Revision | None:
    row = (await connection.execute(sa.select(*_LISTED, _R.files).where(_R.number == number))).one_or_none()
    return None if row is None else Revision(**_fields(row), files=of_json(row.files))


async def listed(connection: AsyncConnection) -> Sequence[Listed]:
    """All, the newest first."""
    found = await connection.execute(sa.select(*_LISTED).order_by(_R.number.desc()))
    return [Listed(**_fields(row)) for row in found]


def _fields(row: Any) -> dict[str, Any]:  # noqa: ANN401  SQLAlchemy's row
    return {column.name: getattr(row, column.name) for column in _LISTED}
