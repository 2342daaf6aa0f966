"""The blast guard: counts what is handed over, and pauses a follow-up that goes far beyond its usual."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import structlog
from pydantic import Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import switch_store
from notifier.blast import most_an_hour
from notifier.delivery import Way
from notifier.metrics import TRIPPED
from notifier.switches import BLAST_GUARD, Scope, Switch
from notifier.tables import allowances, volumes
from services.settings import Group

if TYPE_CHECKING:
    from notifier.marking import Mark

log = structlog.get_logger()


class BlastSettings(Group):
    times: int = Field(
        default=5, ge=0, description="a follow-up is paused beyond so many times its usual busiest hour; 0: never"
    )
    floor: int = Field(
        default=500, ge=1, description="an hour may always have so many: beside little, a good day looks like a slip"
    )
    days: int = Field(
        default=14, ge=1, le=90, description="what is usual is taken from so many days: two of each weekday"
    )


OFF: Final = BlastSettings(times=0)
_V = volumes.c


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hour:
    begins: datetime
    live: int
    most: int | None
    """None: as many as there are."""


async def admitted(
    connection: AsyncConnection, marks: Sequence["Mark"], settings: BlastSettings, now: datetime
) -> list["Mark"]:
    """Those that their follow-ups' hours still have room for; where one has none, a switch pauses it from here on.

    One transaction a follow-up is in here at a time, by the lock on its hour: two notifiers together keep to the bound.
    Another attempt takes no room, nor does what goes in the shadow; that is counted, to know by it what is usual.
    """
    refused: set[int] = set()
    for name in sorted({mark.claimed.follow_up for mark in marks}):
        new = [m for m in marks if m.claimed.follow_up == name and m.claimed.first_sending_at is None]
        going = [mark for mark in new if mark.send.way is not Way.SHADOW]
        hour = await _locked(connection, name, settings, now)
        room = len(going) if hour.most is None else max(hour.most - hour.live, 0)
        if len(going) > room and hour.most is not None:
            await _trip(connection, name, hour.most, hour.live + room, now)
        refused |= {id(mark) for mark in going[room:]}
        await connection.execute(
            sa.update(volumes)
            .where(_V.follow_up == name, _V.hour == hour.begins)
            .values(live=_V.live + len(going[:room]), shadow=_V.shadow + len(new) - len(going))
        )
    return [mark for mark in marks if id(mark) not in refused]


async def _locked(connection: AsyncConnection, name: str, settings: BlastSettings, now: datetime) -> _Hour:
    begins = now.replace(minute=0, second=0, microsecond=0)
    hour = insert(volumes).values(follow_up=name, hour=begins, live=0, shadow=0)
    hour = hour.on_conflict_do_update(index_elements=[_V.follow_up, _V.hour], set_={"live": _V.live})
    live = (await connection.execute(hour.returning(_V.live))).scalar_one()
    since = now - timedelta(days=settings.days)
    if live == 0:
        await connection.execute(sa.delete(volumes).where(_V.follow_up == name, _V.hour < since))
    allowed = await connection.scalar(
        sa.select(allowances.c.until).where(allowances.c.follow_up == name, allowances.c.until > now)
    )
    if allowed is not None or settings.times == 0:
        return _Hour(begins=begins, live=live, most=None)
    before = await connection.execute(
        sa.select(_V.hour, _V.live + _V.shadow).where(_V.follow_up == name, _V.hour >= since, _V.hour < begins)
    )
    hours = {row[0]: row[1] for row in before}
    return _Hour(begins=begins, live=live, most=most_an_hour(hours, times=settings.times, floor=settings.floor))


async def _trip(connection: AsyncConnection, name: str, most: int, gone: int, now: datetime) -> None:
    why = (
        f"{gone} went out since {now:%H}:00 UTC and more are due, where {most} an hour are the most that looks meant; "
        f"if it is, `stagepost resume {name}` lets it go on for a day"
    )
    switch = Switch(scope=Scope.FOLLOW_UP, name=name, by=BLAST_GUARD, why=why, since=now)
    if (await switch_store.pause(connection, switch, now)) == switch:
        TRIPPED.labels(name).inc()
        log.error("the blast guard paused a follow-up", follow_up=name, gone=gone, most=most)
