"""What the intake reads and writes, in the caller's transaction. Locks are taken in sorted order: customers first."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.holdings import Customer, Instance, Move
from notifier.plan import NOTHING_FORGOTTEN, Changes, Forgotten, Row, Wanted
from notifier.reasons import RECONSIDERED
from notifier.status import Status
from notifier.tables import (
    customers,
    dead_letters,
    instances,
    kept_from,
    known_until,
    messages,
    spent_occasions,
    stream,
)
from services.contracts.changes import FIRST_EPOCH, Profile, Subject
from services.postgres import among, columns_of, rows, selected

BEFORE_ALL_TIME = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
UNAVAILABLE = (sa.exc.DBAPIError, sa.exc.TimeoutError, asyncpg.InternalClientError, OSError)
"""What passes when Postgres is back, or when another process has finished. `ProgrammingError` is one of them by birth,
but is ours: let it through first."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_encoder = msgspec.json.Encoder(decimal_format="string")
_profile = msgspec.json.Decoder(Profile)
_subject = msgspec.json.Decoder(Subject)
_moves = msgspec.json.Decoder(tuple[Move, ...])


def _json(value: object) -> str:
    return _encoder.encode(value).decode()


def check_text(value: bytes) -> None:
    """Raises ValueError for JSON with a NUL in it, which Postgres can store in no text. None of ours sends one."""
    if _NUL.search(value):
        raise ValueError("holds a NUL character")


CUSTOMER_COLUMNS: list[sa.Column[Any]] = list(customers.c)
INSTANCE_COLUMNS: list[sa.Column[Any]] = list(instances.c)


def customer_of(row: Any) -> Customer:  # noqa: ANN401  a row of `customer_selection`
    return Customer(
        id=row.id,
        storefront=row.storefront,
        sequence=row.sequence,
        profile=_profile.decode(row.profile),
        hold=row.hold,
        table_number=row.table_number,
        part_of=row.part_of,
    )


def instance_of(row: Any) -> Instance:  # noqa: ANN401  a row of `instance_selection`
    return Instance(
        instance=row.instance,
        customer_id=row.customer_id,
        track=row.track,
        key=row.key,
        stage=row.stage,
        since=row.since,
        subject=_subject.decode(row.subject),
        moves=_moves.decode(row.moves),
        moved_by=row.moved_by,
    )


def as_text(columns: Iterable[sa.Column[Any]]) -> list[sa.ColumnElement[Any]]:
    """JSON as the text that our decoders read, at a third of the time of going through Python's own."""
    return [sa.cast(c, sa.Text).label(c.name) if c.name in ("profile", "subject", "moves") else c for c in columns]


async def lock_customers(connection: AsyncConnection, storefronts: Mapping[UUID, str]) -> dict[UUID, Customer]:
    """The customers by id, made where missing, and locked until the transaction ends."""
    values = [(customer, storefronts[customer], 0, _json(Profile()), None, 0, None) for customer in sorted(storefronts)]
    new = rows("new", CUSTOMER_COLUMNS)
    await connection.execute(
        insert(customers)
        .from_select(CUSTOMER_COLUMNS, sa.select(*selected(new, CUSTOMER_COLUMNS)))
        .on_conflict_do_nothing(),
        columns_of("new", CUSTOMER_COLUMNS, values),
    )
    found = await connection.execute(
        sa.select(*as_text(CUSTOMER_COLUMNS))
        .where(among(customers.c.id, storefronts))
        .order_by(customers.c.id)
        .with_for_update()
    )
    return {row.id: customer_of(row) for row in found}


async def save_customers(connection: AsyncConnection, changed: Collection[Customer]) -> None:
    values = [
        (c.id, c.storefront, c.sequence, _json(c.profile), c.hold, c.table_number, c.part_of)
        for c in sorted(changed, key=lambda c: c.id)
    ]
    new = rows("new", CUSTOMER_COLUMNS)
    fields = dict(zip((c.name for c in CUSTOMER_COLUMNS), selected(new, CUSTOMER_COLUMNS), strict=True))
    await connection.execute(
        sa.update(customers).where(customers.c.id == new.c.id).values({k: v for k, v in fields.items() if k != "id"}),
        columns_of("new", CUSTOMER_COLUMNS, values),
    )


async def load_instances(
    connection: AsyncConnection, named: Collection[UUID], holders: Collection[UUID]
) -> dict[UUID, Instance]:
    """The instances that are named, and all that these customers hold; locked, because plans hang on them."""
    found = await connection.execute(
        sa.select(*as_text(INSTANCE_COLUMNS))
        .where(sa.or_(among(instances.c.instance, named), among(instances.c.customer_id, holders)))
        .order_by(instances.c.instance)
        .with_for_update()
    )
    return {row.instance: instance_of(row) for row in found}


async def save_instances(connection: AsyncConnection, changed: Collection[Instance]) -> None:
    values = [
        (i.instance, i.customer_id, i.track, i.key, i.stage, i.since, _json(i.subject), _json(i.moves), i.moved_by)
        for i in sorted(changed, key=lambda i: i.instance)
    ]
    new = rows("new", INSTANCE_COLUMNS)
    statement = insert(instances).from_select(INSTANCE_COLUMNS, sa.select(*selected(new, INSTANCE_COLUMNS)))
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[instances.c.instance],
            set_={c.name: statement.excluded[c.name] for c in INSTANCE_COLUMNS if c.name != "instance"},
        ),
        columns_of("new", INSTANCE_COLUMNS, values),
    )


async def load_rows(connection: AsyncConnection, planned: Collection[UUID], wanted: Sequence[Wanted]) -> list[Row]:
    """The messages of these instances, and the active ones with the occasion or the cause of what is wanted."""
    keys = [messages.c.follow_up, messages.c.step, messages.c.occasion, messages.c.cause]
    sought = rows("sought", keys)
    same_step = sa.and_(messages.c.follow_up == sought.c.follow_up, messages.c.step == sought.c.step)
    active = messages.c.status != Status.CANCELLED
    same = [
        sa.select(messages.c.id).select_from(sought).join(messages, sa.and_(same_step, match, active))
        for match in (messages.c.occasion == sought.c.occasion, messages.c.cause == sought.c.cause)
    ]
    own = sa.select(messages.c.id).where(among(messages.c.instance, planned))
    columns = [
        messages.c[name]
        for name in (
            "id",
            "follow_up",
            "step",
            "customer_id",
            "instance",
            "transition",
            "occasion",
            "cause",
            "at",
            "status",
            "unknowns",
        )
    ]
    found = await connection.execute(
        sa.select(*columns, sa.func.coalesce(instances.c.moved_by, 0).label("moved_by"))
        .select_from(messages.outerjoin(instances, instances.c.instance == messages.c.instance))
        .where(messages.c.id.in_(sa.union(own, *same)))
        .order_by(messages.c.id)
        .with_for_update(of=messages),
        columns_of("sought", keys, [(want.follow_up, want.step, want.occasion, want.cause) for want in wanted]),
    )
    return [Row(**{**row._mapping, "status": Status(row.status)}) for row in found]  # noqa: SLF001  the public way


async def load_forgotten(connection: AsyncConnection, wanted: Sequence[Wanted]) -> Forgotten:
    """To be read after `load_rows`: a row that it did not find may have been forgotten just before."""
    before = await connection.scalar(sa.select(kept_from.c.at))
    if before is None:
        return NOTHING_FORGOTTEN
    keys = list(spent_occasions.c)
    sought = rows("sought", keys)
    found = await connection.execute(
        sa.select(*keys).join(sought, sa.and_(*(key == sought.c[key.name] for key in keys))),
        columns_of("sought", keys, [(want.follow_up, want.step, want.occasion) for want in wanted]),
    )
    return Forgotten(before=before, occasions=frozenset((row.follow_up, row.step, row.occasion) for row in found))


_WANTED_COLUMNS: list[sa.Column[Any]] = [
    messages.c[name]
    for name in (
        "id",
        "storefront",
        "follow_up",
        "step",
        "channel",
        "customer_id",
        "instance",
        "transition",
        "occasion",
        "cause",
        "at",
        "due_at",
        "expires_at",
    )
]


def _wanted_values(message_id: UUID, want: Wanted) -> tuple[Any, ...]:
    return (message_id, *(getattr(want, column.name) for column in _WANTED_COLUMNS[1:]))


async def write_changes(connection: AsyncConnection, changes: Changes, now: datetime) -> None:
    """Cancels before it rewrites, so that what two rows exchange never stands twice."""
    freed = [*changes.cancels, *(rewrite.id for rewrite in changes.rewrites)]
    if freed:
        await connection.execute(
            sa.update(messages)
            .where(among(messages.c.id, freed))
            .values(status=Status.CANCELLED, reason=None, claimed_by=None, lease_until=None, changed_at=now)
        )
    if changes.rewrites:
        new = rows("new", _WANTED_COLUMNS)
        await connection.execute(
            sa.update(messages)
            .where(messages.c.id == new.c.id)
            .values(
                {column.name: new.c[column.name] for column in _WANTED_COLUMNS if column.name != "id"}
                | {"status": Status.PENDING, "reason": None, "changed_at": now}
            ),
            columns_of("new", _WANTED_COLUMNS, [_wanted_values(r.id, r.wanted) for r in changes.rewrites]),
        )
    if changes.inserts:
        new = rows("new", _WANTED_COLUMNS)
        fixed = {
            "status": sa.literal(str(Status.PENDING)),
            "created_at": sa.literal(now),
            "changed_at": sa.literal(now),
            "attempts": sa.literal(0),
            "unknowns": sa.literal(0),
        }
        # Another process may be planning the same cause for another customer: then the first to commit has it.
        await connection.execute(
            insert(messages)
            .from_select(
                [*_WANTED_COLUMNS, *(messages.c[name] for name in fixed)],
                sa.select(*selected(new, _WANTED_COLUMNS), *fixed.values()),
            )
            .on_conflict_do_nothing(),
            columns_of("new", _WANTED_COLUMNS, [_wanted_values(uuid4(), want) for want in changes.inserts]),
        )


async def reconsider(connection: AsyncConnection, changed: Collection[UUID], now: datetime) -> None:
    """What these customers' own circumstances kept back, or where they stood, is decided again."""
    await connection.execute(
        sa.update(messages)
        .where(
            among(messages.c.customer_id, changed),
            messages.c.status == Status.WITHHELD,
            messages.c.reason.in_(sorted(RECONSIDERED)),
            messages.c.expires_at > now,
        )
        .values(status=Status.PENDING, reason=None, due_at=sa.func.greatest(messages.c.due_at, now), changed_at=now)
    )


async def seed_partitions(connection: AsyncConnection, partitions: Collection[int]) -> None:
    """A row a partition before anything of them is known, so that the least of all is never taken of a few."""
    values = [{"partition": partition, "known_until": BEFORE_ALL_TIME} for partition in sorted(partitions)]
    await connection.execute(insert(known_until).on_conflict_do_nothing(), values)


async def load_epoch(connection: AsyncConnection) -> int:
    """The least epoch whose changes count."""
    epoch: int | None = await connection.scalar(sa.select(stream.c.epoch))
    return FIRST_EPOCH if epoch is None else epoch


async def save_known_until(connection: AsyncConnection, heard: Mapping[int, datetime]) -> None:
    statement = insert(known_until)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[known_until.c.partition],
            set_={"known_until": sa.func.greatest(known_until.c.known_until, statement.excluded.known_until)},
        ),
        [{"partition": partition, "known_until": heard[partition]} for partition in sorted(heard)],
    )


async def keep_dead_letters(connection: AsyncConnection, letters: Sequence[Mapping[str, Any]]) -> None:
    await connection.execute(insert(dead_letters).on_conflict_do_nothing(), list(letters))
