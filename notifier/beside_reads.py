"""Reads what else is known of the customers of due messages (`Beside`), for a handful of messages at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.beside import Beside
from notifier.delivery import Way
from notifier.followups import Entered, FollowUp, FollowUps, Purpose
from notifier.holdings import Instance
from notifier.limits import WEEK, Given
from notifier.status import DUE, Status
from notifier.store import INSTANCE_COLUMNS, as_text, instance_of
from notifier.tables import customers, instances, messages
from services.postgres import among

_WAITING: Final = (*DUE, Status.CLAIMED)
_GONE: Final = (Status.SENDING, Status.SENT, Status.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that is due, as far as others are looked for beside it."""

    id: UUID
    follow_up: str
    step: int
    occasion: UUID
    channel: str
    customer_id: UUID
    due_at: datetime


async def look_beside(
    connection: AsyncConnection, due: Sequence[Due], follow_ups: FollowUps, now: datetime
) -> dict[UUID, Beside]:
    """By message."""
    whose = {one.customer_id for one in due}
    former = await former_ids(connection, whose)
    stages, since = await _stages(connection, whose)
    others = await _instances_on(
        connection, whose, _tracks_that_end(follow_ups[d.follow_up] for d in due if d.follow_up in follow_ups)
    )
    given = await load_given(connection, former, now - looks_back(follow_ups.values()))
    drawn = await _drawn(connection, former, {one.follow_up for one in due})
    rivals = await _rivals(connection, whose, now)
    steps = await _steps_beside(connection, due)
    return {
        one.id: Beside(
            stages=stages.get(one.customer_id, {}),
            since=since.get(one.customer_id, {}),
            others=tuple(others.get(one.customer_id, ())),
            given=tuple(held for held in given.get(one.customer_id, ()) if held.id != one.id),
            ahead=_ahead(one, rivals.get(one.customer_id, ()), follow_ups),
            step_before=_step_before(one, steps),
            overtaken=any(row.step > one.step and _is_gone(row) for row in steps.get(_occasion(one), ())),
            drawn_as=drawn.get((one.customer_id, one.follow_up)),
        )
        for one in due
    }


def looks_back(follow_ups: Iterable[FollowUp]) -> timedelta:
    """How far back what a customer was given may matter."""
    return max((one.cool_down for one in follow_ups if one.cool_down is not None), default=WEEK) + WEEK


async def former_ids(connection: AsyncConnection, whose: Collection[UUID]) -> dict[UUID, UUID]:
    """All ids that are these customers' by now, with whose: their own, and those that became part of them."""
    own = sa.select(customers.c.id.label("id"), customers.c.id.label("whose")).where(among(customers.c.id, whose))
    chain = own.cte("chain", recursive=True)
    chain = chain.union(
        sa.select(customers.c.id, chain.c.whose).join_from(customers, chain, customers.c.part_of == chain.c.id)
    )
    found = await connection.execute(sa.select(chain.c.id, chain.c.whose))
    return {row.id: row.whose for row in found}


async def load_given(
    connection: AsyncConnection, former: Mapping[UUID, UUID], since: datetime
) -> dict[UUID, list[Given]]:
    """By customer what went out, may have, or would have. Counted from when it was known at the latest, never early."""
    m = messages.c
    at = sa.func.coalesce(m.sent_at, m.changed_at)
    gone = sa.or_(m.status.in_((*_GONE, Status.SHADOWED)), m.unknowns > 0)
    found = await connection.execute(
        sa.select(m.id, m.customer_id, m.follow_up, m.occasion, m.channel, m.purpose, m.delivery, at.label("at")).where(
            among(m.customer_id, former), gone, at > since
        )
    )
    given: dict[UUID, list[Given]] = defaultdict(list)
    for row in found:
        one = Given(
            id=row.id,
            follow_up=row.follow_up,
            occasion=row.occasion,
            channel=row.channel,
            marketing=row.purpose == Purpose.MARKETING,
            at=row.at,
            live=row.delivery == Way.LIVE,
        )
        given[former[row.customer_id]].append(one)
    return given


async def _stages(
    connection: AsyncConnection, whose: Collection[UUID]
) -> tuple[dict[UUID, dict[str, str]], dict[UUID, dict[str, datetime]]]:
    i = instances.c
    found = await connection.execute(
        sa.select(i.customer_id, i.track, i.stage, i.since)
        .ext(distinct_on(i.customer_id, i.track))
        .where(among(i.customer_id, whose), i.stage.is_not(None))
        .order_by(i.customer_id, i.track, i.since.desc().nulls_last(), i.instance)
    )
    stages: dict[UUID, dict[str, str]] = defaultdict(dict)
    since: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    for row in found:
        stages[row.customer_id][row.track] = row.stage
        if row.since is not None:
            since[row.customer_id][row.track] = row.since
    return stages, since


def _tracks_that_end(follow_ups: Iterable[FollowUp]) -> set[str]:
    ends = (follow_up.until for follow_up in follow_ups)
    return {until.track for until in ends if isinstance(until, Entered) and until.track is not None}


async def _instances_on(
    connection: AsyncConnection, whose: Collection[UUID], tracks: Collection[str]
) -> dict[UUID, list[Instance]]:
    found: dict[UUID, list[Instance]] = defaultdict(list)
    if tracks:
        rows = await connection.execute(
            sa.select(*as_text(INSTANCE_COLUMNS)).where(
                among(instances.c.customer_id, whose), instances.c.track.in_(sorted(tracks))
            )
        )
        for row in rows:
            found[row.customer_id].append(instance_of(row))
    return found


async def _drawn(
    connection: AsyncConnection, former: Mapping[UUID, UUID], names: Collection[str]
) -> dict[tuple[UUID, str], UUID]:
    """Under which id each was drawn first, by customer and follow-up."""
    m = messages.c
    found = await connection.execute(
        sa.select(m.customer_id, m.follow_up, m.drawn_as)
        .where(among(m.customer_id, former), m.follow_up.in_(sorted(names)), m.drawn_as.is_not(None))
        .order_by(m.created_at.desc(), m.id.desc())
    )
    return {(former[row.customer_id], row.follow_up): row.drawn_as for row in found}  # the earliest comes last


async def _rivals(connection: AsyncConnection, whose: Collection[UUID], now: datetime) -> dict[UUID, list[Any]]:
    """What else is due for them, in hand or waiting."""
    m = messages.c
    found = await connection.execute(
        sa.select(m.id, m.customer_id, m.follow_up, m.channel, m.due_at).where(
            among(m.customer_id, whose), m.status.in_(_WAITING), m.due_at <= now
        )
    )
    rivals: dict[UUID, list[Any]] = defaultdict(list)
    for row in found:
        rivals[row.customer_id].append(row)
    return rivals


def _ahead(one: Due, rivals: Sequence[Any], follow_ups: FollowUps) -> int:
    def rank(message: Any) -> tuple[int, datetime, UUID]:  # noqa: ANN401  a Due, or a row of messages
        return -follow_ups[message.follow_up].priority, message.due_at, message.id

    if one.follow_up not in follow_ups:
        return 0
    return sum(
        rank(other) < rank(one)
        for other in rivals
        if other.id != one.id
        and other.channel == one.channel
        and other.follow_up in follow_ups
        and follow_ups[other.follow_up].marketing
    )


def _occasion(one: Any) -> tuple[str, UUID]:  # noqa: ANN401  a Due, or a row of messages
    return one.follow_up, one.occasion


async def _steps_beside(connection: AsyncConnection, due: Sequence[Due]) -> dict[tuple[str, UUID], list[Any]]:
    """The other steps of the same occasions."""
    m = messages.c
    found = await connection.execute(
        sa.select(m.follow_up, m.occasion, m.step, m.status, m.unknowns, m.due_at).where(
            m.follow_up.in_(sorted({one.follow_up for one in due})),
            among(m.occasion, {one.occasion for one in due}),
            m.status != Status.CANCELLED,
        )
    )
    steps: dict[tuple[str, UUID], list[Any]] = defaultdict(list)
    for row in found:
        steps[_occasion(row)].append(row)
    return steps


def _step_before(one: Due, steps: Mapping[tuple[str, UUID], Sequence[Any]]) -> datetime | None:
    waiting = [
        row.due_at
        for row in steps.get(_occasion(one), ())
        if row.step < one.step and row.status in (*_WAITING, Status.SENDING)
    ]
    return max(waiting, default=None)


def _is_gone(row: Any) -> bool:  # noqa: ANN401  a row of messages
    return row.status in _GONE or row.unknowns > 0
