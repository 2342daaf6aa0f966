"""Messages that ended long ago are forgotten. What they stood in the way of stays out: nothing is sent a second time.

That a cause had its message need not be kept: its time is over, and nothing is planned for what happened before
`kept_from`. That an occasion had one is kept where it may come again, as a cart that is left once more. What a
follow-up's cool-down or a cap still looks back to stays whole, and so does what an open step of the same occasion
follows.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.beside_reads import looks_back
from notifier.followups import FollowUps
from notifier.metrics import FORGOTTEN
from notifier.status import DUE, UNSENT, Status
from notifier.store import UNAVAILABLE
from notifier.tables import answers, kept_from, messages, spent_occasions
from services.errors import NoShop
from services.postgres import among, transaction

log = structlog.get_logger()

AT_ONCE: Final = 500
"""Messages in one transaction."""
OPEN: Final = (*DUE, Status.CLAIMED, Status.SENDING)
"""Not ended."""

_M = messages.c


class Retention:
    """One step forgets some; `follow_ups` may raise NoShop."""

    def __init__(
        self,
        engine: AsyncEngine,
        kept: timedelta | None,
        follow_ups: Callable[[], FollowUps],
        clock: Callable[[], datetime],
    ) -> None:
        """`kept` counts from the end of a message's `max_age`; None: for ever."""
        self._engine = engine
        self._kept = kept
        self._follow_ups = follow_ups
        self._clock = clock

    async def step(self) -> bool:
        """True when there may be more."""
        if self._kept is None:
            return False
        try:
            now = self._clock()
            cooling = {one.name: now - looks_back([one]) for one in self._follow_ups().values() if one.cool_down}
            async with transaction(self._engine) as connection:
                gone = await _forget(connection, now - self._kept, cooling)
        except NoShop:
            return False
        except sa.exc.ProgrammingError:
            raise
        except UNAVAILABLE as error:
            log.warning("old messages could not be forgotten; trying again", error=repr(error))
            return False
        FORGOTTEN.inc(gone)
        return gone == AT_ONCE


async def _forget(connection: AsyncConnection, before: datetime, cooling: Mapping[str, datetime]) -> int:
    """In one transaction with what stands for them afterwards: whoever plans meets either.

    No follow-up plans for what happened before `before`, also one of which messages from then are still kept.
    """
    found = list(await connection.scalars(_over(before, cooling)))
    if not found:
        return 0
    gone = among(_M.id, found)
    went_out = sa.or_(_M.status.not_in(UNSENT), _M.unknowns > 0)
    spent = sa.select(_M.follow_up, _M.step, _M.occasion).where(gone, went_out, _M.occasion != _M.cause)
    columns = ["follow_up", "step", "occasion"]
    await connection.execute(insert(spent_occasions).from_select(columns, spent).on_conflict_do_nothing())
    mark = insert(kept_from).values(row=1, at=before)
    later = sa.func.greatest(kept_from.c.at, mark.excluded.at)
    await connection.execute(mark.on_conflict_do_update(index_elements=[kept_from.c.row], set_={"at": later}))
    await connection.execute(sa.delete(answers).where(among(answers.c.message_id, found)))
    await connection.execute(sa.delete(messages).where(gone))
    return len(found)


def _over(before: datetime, cooling: Mapping[str, datetime]) -> sa.Select[tuple[UUID]]:
    """Ended, with all of its occasion, and older in every sense; locked, but for those that somebody is planning.

    Of a follow-up that is `cooling` since a time, what changed since stays however old it is.
    """
    other: Any = messages.alias("other")
    still_open = sa.exists().where(
        other.c.follow_up == _M.follow_up, other.c.occasion == _M.occasion, other.c.status.in_(OPEN)
    )
    return (
        sa.select(_M.id)
        .where(
            _M.created_at < before,
            _M.changed_at < before,
            _M.at < before,
            _M.expires_at < before,
            _M.status.not_in(OPEN),
            ~still_open,
            *(sa.or_(_M.follow_up != name, _M.changed_at < since) for name, since in cooling.items()),
        )
        .order_by(_M.created_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
