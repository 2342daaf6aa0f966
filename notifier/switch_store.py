"""The switches as all notifiers of one database see them: read at each step, and again before each hand-over."""

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.status import Status
from notifier.switches import BLAST_GUARD, Scope, Switch, Switches, standing
from notifier.tables import allowances, messages, switches
from services.contracts.reasons import Reason

ALLOWED: Final = timedelta(days=1)
"""After somebody let go on what the blast guard had paused, it looks away for so long: they have seen the numbers."""
_S = switches.c


async def load(connection: AsyncConnection, now: datetime) -> Switches:
    """Those that are on."""
    found = await connection.execute(sa.select(switches).order_by(_S.since, _S.scope, _S.name))
    return standing([_switch(row) for row in found], now)


async def pause(connection: AsyncConnection, switch: Switch, now: datetime) -> Switch:
    """What is on then. Where it was already, the first reason stays, and the later of the two ends counts."""
    at = (_S.scope == switch.scope, _S.name == switch.name)
    await connection.execute(sa.delete(switches).where(*at, _S.until <= now))
    values = {column.name: getattr(switch, column.name) for column in switches.c}
    statement = insert(switches).values(values)
    end = statement.excluded.until
    later = sa.case((sa.or_(_S.until.is_(None), end.is_(None)), sa.null()), else_=sa.func.greatest(_S.until, end))
    made = await connection.execute(
        statement.on_conflict_do_update(index_elements=[_S.scope, _S.name], set_={"until": later}).returning(switches)
    )
    return _switch(made.one())


async def resume(connection: AsyncConnection, scope: Scope, name: str, by: str, now: datetime) -> bool:
    """What waited is decided again at once. False where it was not paused."""
    paused_by = await connection.scalar(sa.delete(switches).where(_S.scope == scope, _S.name == name).returning(_S.by))
    if paused_by is None:
        return False
    if scope is Scope.FOLLOW_UP and paused_by == BLAST_GUARD:
        values = {"follow_up": name, "until": now + ALLOWED, "by": by}
        allow = insert(allowances).values(values)
        await connection.execute(allow.on_conflict_do_update(index_elements=[allowances.c.follow_up], set_=values))
    # In one order, as whoever plans takes them. What another switch still pauses is put off again when it is looked at.
    waiting = (
        sa.select(messages.c.id)
        .where(messages.c.status == Status.PENDING, messages.c.reason == Reason.PAUSED)
        .order_by(messages.c.id)
        .with_for_update()
    )
    await connection.execute(
        sa.update(messages).where(messages.c.id.in_(waiting)).values(due_at=now, reason=None, changed_at=now)
    )
    return True


def _switch(row: Any) -> Switch:  # noqa: ANN401  a row of switches
    return Switch(scope=Scope(row.scope), name=row.name, by=row.by, why=row.why, since=row.since, until=row.until)
