"""From due to delivered: claim, ask the guard, render, mark, hand over, write down what came of it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID

import sqlalchemy as sa
import stamina
import structlog

from notifier.addresses import masked
from notifier.beside import Beside
from notifier.catalogue import asked_for, filled
from notifier.channels.channel import Channel, Connection, Parcel
from notifier.claimed import Claimed, place_of
from notifier.claims import Refused
from notifier.delivery import Way
from notifier.followups import Purpose
from notifier.guard import Circumstances, Defer, Send, Withhold, guard, is_fresh
from notifier.in_force import Terms
from notifier.links import LinkMaker
from notifier.marking import Mark, Marked
from notifier.metrics import DELIVERY_SECONDS, KNOWN_UNTIL_AGE, MESSAGES, SWITCHES
from notifier.outcomes import Outcome, Unknown
from notifier.packing import Ready, packed
from notifier.queue import Queue, Settled
from notifier.reasons import Reason
from notifier.render import Rendered
from notifier.status import Status
from notifier.store import UNAVAILABLE
from notifier.suppression import NOTHING, Place, Standing
from notifier.switches import NONE, Scope, Switches
from services.errors import NoShop

log = structlog.get_logger()

CLAIMED_AT_ONCE: Final = 50
"""Most due messages of a shop with many guests have no address: they are settled in bulk, and only mail waits."""
SWEEP_EVERY: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read for one message beside its own rows."""

    known_until: datetime | None
    claims: Refused
    standing: Standing
    beside: Beside
    switches: Switches


class Worker:
    def __init__(
        self,
        queue: Queue,
        name: str,
        channel: Channel[Any],
        in_force: Callable[[], Terms],
        links: LinkMaker,
        clock: Callable[[], datetime],
    ) -> None:
        """Sends what goes by one channel, called `name`: a far side that hangs holds up no other channel's messages.

        `in_force` is asked at the beginning of each step; where it raises NoShop, nothing is sent.
        """
        self._queue = queue
        self._name = name
        self._channel = channel
        self._in_force = in_force
        self._links = links
        self._terms: Terms | None = None
        self._clock = clock
        self._began_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._restored_at: datetime | None = None
        self._asked = False
        self._switches = NONE

    async def step(self) -> bool:
        """One group of due messages; False when there was nothing to do, or nothing that could be done now."""
        try:
            terms = self._terms = self._in_force()
            await self._begin()
            await self._sweep()
            known_until = await self._queue.known_until()
            now = self._clock()
            self._switches = await self._queue.switches(now)
            for scope in Scope:
                SWITCHES.labels(str(scope)).set(sum(one.scope is scope for one in self._switches.on))
            if known_until is not None:
                KNOWN_UNTIL_AGE.set((now - known_until).total_seconds())
            # Nothing could be sent: then claiming would only churn the table. What is due stays due.
            if not self._has_heard(known_until, now) or self._channel.resting:
                return False
            # An order from before a message fell due may still lie on the topic: until that is known, it waits.
            claimed = await self._queue.claim(CLAIMED_AT_ONCE, self._name, now, due_until=known_until)
            if not claimed:
                return False
            ready = await self._decide(claimed, terms, known_until, now)
            await self._shadow([one for one in ready if one.send.way is Way.SHADOW])
            going = [one for one in ready if one.send.way is not Way.SHADOW]
            for first in range(0, len(going), self._channel.size):
                await self._send(going[first : first + self._channel.size])
        except NoShop:
            return False
        except sa.exc.ProgrammingError:
            raise
        except UNAVAILABLE as error:
            log.warning("the worker will try again", error=repr(error))
            return False
        return True

    async def _begin(self) -> None:
        """Once is enough: `stagepost restored` runs while no notifier does."""
        if not self._asked:
            self._restored_at = await self._queue.restored_at()
            self._asked = True

    def _has_heard(self, known_until: datetime | None, now: datetime) -> bool:
        """Enough to send anything: what came while this process was away is taken in before it begins."""
        if self._began_at is None:
            self._began_at = now
        return known_until is not None and known_until >= self._began_at and is_fresh(known_until, now)

    async def _sweep(self) -> None:
        now = self._clock()
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = now
        for follow_up, result in await self._queue.sweep(self._name, self._resends, now):
            MESSAGES.labels(follow_up, str(result.status)).inc()
            log.warning("a message's outcome is unknown", follow_up=follow_up, status=str(result.status))

    def _resends(self, name: str) -> bool:
        if self._channel.repeats_known:
            return True
        follow_up = self._terms.follow_ups.get(name) if self._terms else None
        return follow_up is not None and follow_up.resend_unknown and follow_up.purpose is Purpose.TRANSACTIONAL

    async def _decide(
        self, claimed: Sequence[Claimed], terms: Terms, known_until: datetime | None, now: datetime
    ) -> list[Ready]:
        claims = await self._queue.refused(claimed, now)
        standing = await self._queue.standing(_places(claimed, terms))
        claimed = await self._as_sold(claimed, terms)
        beside = await self._queue.beside(claimed, terms.follow_ups, now)
        ready: list[Ready] = []
        settled: list[Settled] = []
        for one in claimed:
            seen = Seen(
                known_until=known_until,
                claims=claims,
                standing=standing.get(one.message.id, NOTHING),
                beside=beside[one.message.id],
                switches=self._switches,
            )
            decided = self._decide_one(one, terms, seen, now)
            if isinstance(decided, Ready):
                ready.append(decided)
            else:
                settled.append(decided)
        await self._queue.settle(settled, now)
        return ready

    async def _as_sold(self, claimed: Sequence[Claimed], terms: Terms) -> list[Claimed]:
        """With what the shop's catalogue says of things that only a browser named."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for one in claimed:
            wanted[one.storefront] |= asked_for(one.instance.subject)
        catalogues = await self._queue.catalogues(wanted)
        shops = terms.shop.storefronts
        return [
            one.about(filled(one.instance.subject, catalogues[one.storefront], address=shops[one.storefront].url))
            if one.storefront in catalogues and one.storefront in shops
            else one
            for one in claimed
        ]

    def _decide_one(self, claimed: Claimed, terms: Terms, seen: Seen, now: datetime) -> Ready | Settled:
        follow_up = terms.follow_ups.get(claimed.follow_up)
        storefront = terms.shop.storefronts.get(claimed.storefront)
        marketing = follow_up is None or follow_up.purpose is Purpose.MARKETING
        suppressed = seen.standing.against(marketing=marketing)
        circumstances = Circumstances(
            follow_up=follow_up,
            storefront=storefront,
            customer=claimed.customer,
            instance=claimed.instance,
            known_until=seen.known_until,
            claim_spent=claimed.message.id in seen.claims.spent,
            claim_capped=claimed.message.id in seen.claims.capped,
            suppressed=suppressed,
            beside=seen.beside,
            switches=seen.switches,
            restored=self._restored_at is not None and claimed.due_at <= self._restored_at,
        )
        match guard(claimed.message, circumstances, now):
            case Send(channel=channel) if channel != claimed.channel:
                return Settled(id=claimed.message.id, status=Status.PENDING, channel=channel)
            case Send() as send if (until := self._turn(send, now)) is not None:
                MESSAGES.labels(claimed.follow_up, "deferred").inc()
                return Settled(id=claimed.message.id, status=Status.PENDING, due_at=until, reason=Reason.PACED)
            case Send() as send if follow_up is not None and storefront is not None:
                links = self._links.of(claimed.message.id, claimed.message.expires_at)
                return _counted(packed(terms.renderer, claimed, follow_up, storefront, send, links), follow_up.name)
            case Send():
                raise AssertionError("the guard lets nothing through that is not configured")
            case Defer(until=until, why=why):
                MESSAGES.labels(claimed.follow_up, "deferred").inc()
                return Settled(id=claimed.message.id, status=Status.PENDING, due_at=until, reason=why)
            case Withhold(why=why):
                MESSAGES.labels(claimed.follow_up, "withheld").inc()
                answer = suppressed if why is Reason.SUPPRESSED else None
                drawn_as = (seen.beside.drawn_as or claimed.customer.id) if why is Reason.HOLDOUT else None
                return Settled(
                    id=claimed.message.id, status=Status.WITHHELD, reason=why, answer=answer, drawn_as=drawn_as
                )
            case _ as never:
                assert_never(never)

    def _turn(self, send: Send, now: datetime) -> datetime | None:
        """What goes nowhere keeps nobody waiting, and waits for nobody."""
        return None if send.way is Way.SHADOW else self._channel.wait(send.address, now)

    async def _shadow(self, group: Sequence[Ready]) -> None:
        """What would have gone out now is marked as that, and ends there."""
        if not group:
            return
        now = self._clock()
        marked = await self._queue.mark_sending([_mark(ready) for ready in group], now)
        for ready in group:
            if ready.claimed.message.id in marked:
                MESSAGES.labels(ready.follow_up.name, "shadowed").inc()
        left = [ready.claimed for ready in group if ready.claimed.message.id not in marked]
        await self._queue.settle([_again(one) for one in left], now)

    async def _send(self, group: Sequence[Ready]) -> None:
        """As many as there are open connections are marked and handed over; the rest are due again."""
        connections = await self._channel.open(len(group))
        try:
            now = self._clock()
            tried = group[: len(connections)]
            marked = await self._queue.mark_sending([_mark(ready) for ready in tried], now)
            going = [ready for ready in tried if ready.claimed.message.id in marked]
            left = [ready.claimed for ready in group if ready.claimed.message.id not in marked]
            await self._queue.settle([_again(one) for one in left], now)
            ends = await asyncio.gather(
                *(
                    self._hand_over(ready, marked[ready.claimed.message.id], connection)
                    for ready, connection in zip(going, connections, strict=False)
                ),
                return_exceptions=True,  # every parcel's end is awaited before a connection goes back
            )
        finally:
            for connection in connections:
                await self._channel.give_back(connection)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _hand_over(self, ready: Ready, marked: Marked, connection: Connection) -> None:
        claimed = ready.claimed
        parcel = Parcel(
            id=claimed.message.id,
            shop=claimed.storefront,
            storefront=ready.storefront,
            follow_up=claimed.follow_up,
            address=ready.send.address,
            name=ready.name,
            content=ready.content,
            purpose=ready.follow_up.purpose,
            dated=marked.dated,
            attempt=marked.attempts + 1,
            unsubscribe=ready.unsubscribe,
            meant_for=None if ready.send.meant_for is None else masked(ready.send.meant_for),
        )
        try:
            outcome = await connection.deliver(parcel, self._clock())
        except Exception as error:  # a bug of ours, after the mark: nobody can say how far it got
            log.exception("handing over failed", message=str(parcel.id))
            outcome = Unknown(why=repr(error))
        await self._record(claimed, outcome)

    async def _record(self, claimed: Claimed, outcome: Outcome) -> None:
        """The outcome is known only here: if Postgres is away it is written once it is back, within the lease."""
        message_id = claimed.message.id
        async for attempt in stamina.retry_context(on=UNAVAILABLE, attempts=None, timeout=60.0, wait_max=5.0):
            with attempt:
                now = self._clock()
                result = await self._queue.record(
                    message_id, outcome, resend_unknown=self._resends(claimed.follow_up), now=now
                )
        if result is None:
            log.warning("an outcome came too late to be written", message=str(message_id))
            return
        MESSAGES.labels(claimed.follow_up, str(result.status)).inc()
        log.info("message", message=str(message_id), follow_up=claimed.follow_up, outcome=str(result.status))
        if result.status is Status.SENT:
            DELIVERY_SECONDS.labels(claimed.follow_up).observe(max((now - claimed.due_at).total_seconds(), 0.0))


def _places(claimed: Sequence[Claimed], terms: Terms) -> dict[UUID, Place]:
    """Where each goes, as far as something may stand against it: to the customer, or to the shop's own people."""
    places = {}
    for one in claimed:
        follow_up, storefront = terms.follow_ups.get(one.follow_up), terms.shop.storefronts.get(one.storefront)
        step = follow_up.step(one.message.step) if follow_up is not None else None
        staff = storefront.staff if storefront is not None and step is not None and step.to_staff else None
        if (place := place_of(one, staff)) is not None:
            places[one.message.id] = place
    return places


def _counted(packed: Ready | Settled, follow_up: str) -> Ready | Settled:
    if isinstance(packed, Settled):
        MESSAGES.labels(follow_up, str(packed.status)).inc()
    return packed


def _mark(ready: Ready) -> Mark:
    return Mark(
        claimed=ready.claimed,
        send=ready.send,
        marketing=ready.follow_up.marketing,
        priority=ready.follow_up.priority,
        subject=ready.content.subject if isinstance(ready.content, Rendered) else None,
    )


def _again(claimed: Claimed) -> Settled:
    """Not marked: nobody to hand it to, or its customer has moved on and the guard must look again."""
    return Settled(id=claimed.message.id, status=Status.PENDING)
