"""The messages that are due: claimed in bulk, marked `sending` before they are handed over, and settled by outcome.

No transaction here is open while something is sent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier import catalogue_store, feedback, suppression, switch_store
from notifier.beside import Beside
from notifier.beside_reads import Due, look_beside
from notifier.blast_store import OFF, BlastSettings
from notifier.catalogue import Catalogue
from notifier.claimed import Claimed, load_claimed
from notifier.claims import Caps, Claim, Refused, refused
from notifier.followups import FollowUps
from notifier.lanes import Lane, Origin
from notifier.marking import Hold, Mark, Marked, mark_sending
from notifier.outcomes import After, Dead, Outcome, Unknown, after
from notifier.status import DUE, Status
from notifier.switches import Switches
from notifier.tables import known_until, messages, stream
from services.postgres import columns_of, rows, transaction

CLAIM_LEASE = timedelta(seconds=20)
"""A claimed message whose process died waits so long. Should a slow server make a claim outlast it, another process may
take the message over; then our mark finds it gone, and nothing is sent twice."""
LOST = "the process that was sending it ended before its outcome was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How a claimed message leaves the claim without being sent: back to `pending`, or ended."""

    id: UUID
    status: Status
    due_at: datetime | None = None
    reason: str | None = None
    answer: str | None = None
    channel: str | None = None
    drawn_as: UUID | None = None


_ORIGIN_COLUMNS: list[sa.Column[Any]] = [messages.c.storefront, messages.c.follow_up, messages.c.step]
_LANE_COLUMNS: list[sa.Column[Any]] = [sa.Column("lane", sa.Text), *_ORIGIN_COLUMNS]
_SETTLED: Final = ("id", "status", "due_at", "reason", "answer", "channel", "drawn_as")
_SETTLED_COLUMNS: list[sa.Column[Any]] = [messages.c[name] for name in _SETTLED]


class Queue:
    """The queue as one process sees it: `token` tells its claims from those of others."""

    def __init__(
        self, engine: AsyncEngine, *, sending_lease: timedelta, caps: Caps | None = None, blast: BlastSettings = OFF
    ) -> None:
        """`sending_lease` must outlast the longest way in which handing over can end."""
        self._engine = engine
        self._sending_lease = sending_lease
        self._caps = caps or Caps()
        self._blast = blast
        self._token = uuid4()

    async def claim(
        self,
        limit: int,
        channel: str,
        now: datetime,
        *,
        due_until: datetime | None = None,
        but: Sequence[Origin] = (),
    ) -> list[Claimed]:
        """The longest due of a channel, passed over where another process is claiming them; none that is of `but`.

        What fell due after `due_until` waits; by itself that is `now`.
        """
        due = sa.select(messages.c.id).where(*_due(channel, min(now, due_until or now)))
        if but:
            left_out = rows("left_out", _ORIGIN_COLUMNS)
            due = due.where(~sa.exists().where(*_is_of(left_out)))
        due = due.order_by(messages.c.due_at).limit(limit).with_for_update(skip_locked=True)
        return await self._take(
            due, now, columns_of("left_out", _ORIGIN_COLUMNS, list(map(_plain, but))) if but else {}
        )

    async def claim_in(
        self, lanes: Sequence[Lane], each: int, channel: str, now: datetime, *, due_until: datetime
    ) -> list[Claimed]:
        """The longest due of each lane, so many of each: none waits behind another's."""
        if not lanes:
            return []
        wanted = rows("wanted", _LANE_COLUMNS)
        due = (
            sa.select(messages.c.id, messages.c.due_at)
            .where(*_due(channel, due_until), *_is_of(wanted))
            .order_by(messages.c.due_at)
            .limit(each)
            .with_for_update(skip_locked=True)
            .lateral("due")
        )
        place = sa.func.row_number().over(partition_by=wanted.c.lane, order_by=due.c.due_at)
        ranked = sa.select(due.c.id, place.label("place")).select_from(wanted.join(due, sa.true())).subquery("ranked")
        origins = [(lane.key, *_plain(origin)) for lane in lanes for origin in sorted(lane.origins)]
        chosen = sa.select(ranked.c.id).where(ranked.c.place <= each)
        return await self._take(chosen, now, columns_of("wanted", _LANE_COLUMNS, origins))

    async def _take(self, due: sa.Select[tuple[UUID]], now: datetime, given: Mapping[str, Any]) -> list[Claimed]:
        async with transaction(self._engine) as connection:
            found = await connection.scalars(
                sa.update(messages)
                .where(messages.c.id.in_(due))
                .values(status=Status.CLAIMED, claimed_by=self._token, lease_until=now + CLAIM_LEASE, changed_at=now)
                .returning(messages.c.id),
                given,
            )
            return await load_claimed(connection, list(found), now)

    async def catalogues(self, wanted: Mapping[str, Collection[str]]) -> Mapping[str, Catalogue]:
        """By storefront, what is sold under these ids and numbers."""
        if not any(wanted.values()):
            return {}
        async with self._engine.connect() as connection:
            return await catalogue_store.load(connection, wanted)

    async def known_until(self) -> datetime | None:
        async with self._engine.connect() as connection:
            least: datetime | None = await connection.scalar(sa.select(sa.func.min(known_until.c.known_until)))
            return least

    async def switches(self, now: datetime) -> Switches:
        """What is paused."""
        async with self._engine.connect() as connection:
            return await switch_store.load(connection, now)

    async def restored_at(self) -> datetime | None:
        """When the database was last taken back to an earlier time; None if it never was."""
        async with self._engine.connect() as connection:
            at: datetime | None = await connection.scalar(sa.select(stream.c.restored_at))
            return at

    async def refused(self, claims: Sequence[Claim], now: datetime) -> Refused:
        """The messages of which the browser's claim of an address can't be used."""
        async with self._engine.connect() as connection:
            return await refused(connection, claims, self._caps, now)

    async def standing(self, wanted: Mapping[UUID, suppression.Place]) -> dict[UUID, suppression.Standing]:
        """What stands against the places that these messages go to."""
        async with self._engine.connect() as connection:
            found = await suppression.standing(connection, set(wanted.values()))
        return {message: found[place] for message, place in wanted.items() if place in found}

    async def beside(self, wanted: Sequence[Claimed], follow_ups: FollowUps, now: datetime) -> dict[UUID, Beside]:
        """What else is known of the customers of these messages, by message."""
        due = [
            Due(
                id=one.message.id,
                follow_up=one.follow_up,
                step=one.message.step,
                occasion=one.message.occasion,
                channel=one.channel,
                customer_id=one.customer.id,
                due_at=one.due_at,
            )
            for one in wanted
        ]
        async with self._engine.connect() as connection:
            return await look_beside(connection, due, follow_ups, now)

    async def settle(self, settled: Sequence[Settled], now: datetime) -> None:
        """Claimed messages that are not going out now. Nothing happens to rows that a plan has changed meanwhile."""
        if not settled:
            return
        new = rows("new", _SETTLED_COLUMNS)
        # What may already have been delivered must never read as if nothing had been.
        final = new.c.status.in_((Status.WITHHELD, Status.DEAD))
        status = sa.case((sa.and_(messages.c.unknowns > 0, final), Status.UNKNOWN), else_=new.c.status)
        async with transaction(self._engine) as connection:
            await connection.execute(
                sa.update(messages)
                .where(
                    messages.c.id == new.c.id,
                    messages.c.status == Status.CLAIMED,
                    messages.c.claimed_by == self._token,
                )
                .values(
                    status=status,
                    due_at=sa.func.coalesce(new.c.due_at, messages.c.due_at),
                    reason=new.c.reason,
                    answer=sa.func.coalesce(new.c.answer, messages.c.answer),
                    channel=sa.func.coalesce(new.c.channel, messages.c.channel),
                    drawn_as=sa.func.coalesce(messages.c.drawn_as, new.c.drawn_as),
                    claimed_by=None,
                    lease_until=None,
                    changed_at=now,
                ),
                columns_of("new", _SETTLED_COLUMNS, [tuple(getattr(s, name) for name in _SETTLED) for s in settled]),
            )

    async def mark_sending(self, marks: Sequence[Mark], now: datetime) -> dict[UUID, Marked]:
        """The point of no return, committed before anything is handed over (`marking`). Returns what was marked."""
        hold = Hold(by=self._token, until=now + self._sending_lease)
        async with transaction(self._engine) as connection:
            return await mark_sending(connection, marks, hold, self._caps, now, blast=self._blast)

    async def record(self, message_id: UUID, outcome: Outcome, *, resend_unknown: bool, now: datetime) -> After | None:
        """Writes the outcome. Also over an `unknown` that another process wrote when our lease had run out: we know."""
        async with transaction(self._engine) as connection:
            row = (
                await connection.execute(
                    sa.select(messages.c.status, messages.c.attempts, messages.c.unknowns)
                    .where(
                        messages.c.id == message_id,
                        messages.c.status.in_((Status.SENDING, Status.UNKNOWN)),
                        messages.c.claimed_by == self._token,
                    )
                    .with_for_update()
                )
            ).one_or_none()
            if row is None:
                return None
            overtaken = row.status == Status.UNKNOWN
            result = after(
                outcome,
                attempts=row.attempts - overtaken,
                unknowns=row.unknowns - overtaken,
                resend_unknown=resend_unknown,
                now=now,
            )
            await _write(connection, message_id, result, now)
            if result.status is Status.SENT:
                await feedback.was_sent(connection, message_id, now)
            if isinstance(outcome, Dead) and outcome.no_such_address:
                await feedback.was_refused(connection, message_id, result.answer, now)
            return result

    async def sweep(self, channel: str, resends: Callable[[str], bool], now: datetime) -> list[tuple[str, After]]:
        """Ends a channel's leases that ran out: claimed → due again, sending → unknown.

        `resends` says which follow-ups may be sent once more.
        """
        async with transaction(self._engine) as connection:
            await connection.execute(
                sa.update(messages)
                .where(messages.c.id.in_(_expired(channel, now)))
                .values(status=Status.PENDING, claimed_by=None, lease_until=None, changed_at=now)
            )
            lost = await connection.execute(
                sa.select(messages.c.id, messages.c.follow_up, messages.c.attempts, messages.c.unknowns)
                .where(
                    messages.c.status == Status.SENDING,
                    messages.c.lease_until < now,
                    messages.c.channel == channel,
                )
                .order_by(messages.c.id)
                .with_for_update(skip_locked=True)
            )
            written = []
            for row in lost.all():
                result = after(
                    Unknown(why=LOST),
                    attempts=row.attempts,
                    unknowns=row.unknowns,
                    resend_unknown=resends(row.follow_up),
                    now=now,
                )
                await _write(connection, row.id, result, now)
                written.append((row.follow_up, result))
            return written


def _due(channel: str, by: datetime) -> Sequence[sa.ColumnElement[bool]]:
    return messages.c.status.in_(DUE), messages.c.due_at <= by, messages.c.channel == channel


def _is_of(origins: sa.TableValuedAlias) -> Sequence[sa.ColumnElement[bool]]:
    return [messages.c[column.name] == origins.c[column.name] for column in _ORIGIN_COLUMNS]


def _plain(origin: Origin) -> tuple[str, str, int]:
    return origin.storefront, origin.follow_up, origin.step


def _expired(channel: str, now: datetime) -> sa.Select[tuple[UUID]]:
    return (
        sa.select(messages.c.id)
        .where(messages.c.status == Status.CLAIMED, messages.c.lease_until < now, messages.c.channel == channel)
        .with_for_update(skip_locked=True)
    )


async def _write(connection: AsyncConnection, message_id: UUID, result: After, now: datetime) -> None:
    await connection.execute(
        sa.update(messages)
        .where(messages.c.id == message_id)
        .values(
            status=result.status,
            answer=result.answer,
            due_at=messages.c.due_at if result.due_at is None else result.due_at,
            attempts=result.attempts,
            unknowns=result.unknowns,
            sent_at=now if result.status is Status.SENT else None,
            lease_until=None,
            changed_at=now,
        )
    )
