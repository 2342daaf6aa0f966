"""From due to ready: claim, ask the guard, render; `handing_over` has the rest of the way."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar, assert_never
from uuid import UUID

import sqlalchemy as sa
import structlog

from notifier.beside import Beside
from notifier.catalogue import Catalogue, asked_for, filled
from notifier.channels.channel import Channel
from notifier.claimed import Claimed, claim_of, place_of
from notifier.claims import Claim, Refused
from notifier.delivery import Way
from notifier.followups import Purpose
from notifier.guard import Circumstances, Defer, Send, Withhold, guard, is_fresh
from notifier.handing_over import HandingOver
from notifier.in_force import Terms
from notifier.lanes import ELSEWHERE, Lane, Origin, lanes_of
from notifier.links import LinkMaker
from notifier.metrics import KNOWN_UNTIL_AGE, MESSAGES, SWITCHES
from notifier.packing import Ready, packed
from notifier.queue import Queue, Settled
from notifier.status import Status
from notifier.store import UNAVAILABLE
from notifier.suppression import NOTHING, Place, Standing
from notifier.switches import NONE, Scope, Switches
from notifier.under_way import UnderWay
from services.contracts.reasons import Reason
from services.contracts.storefront import Storefront
from services.errors import NoShop

log = structlog.get_logger()
_T = TypeVar("_T")

CLAIMED_AT_ONCE: Final = 50
"""Most due messages of a shop with many guests have no address: they are settled in bulk, and only mail waits."""
SWEEP_EVERY: Final = timedelta(seconds=5)
AFTER_STUMBLING: Final = timedelta(minutes=5)
"""Somebody may mend it, within the message's max_age."""
LOOK_WHILE_SENDING: Final = timedelta(seconds=0.5)
"""While one lane waits for answers it is looked so often for what is due in others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is to be read for one message beside its own rows, together with that of others.

    `place` is where it goes, as far as something may stand against it: to the customer, or to the shop's own people.
    `named` are the ids and numbers by which its items may stand in the catalogue.
    """

    claim: Claim | None
    place: Place | None
    named: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read for one message beside its own rows."""

    known_until: datetime | None
    claims: Refused
    standing: Standing
    catalogue: Catalogue | None
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
        self._strays_at: datetime | None = None
        self._switches = NONE
        self._handing = HandingOver(queue, channel, self._resends, clock)
        self._under_way = UnderWay()

    async def step(self) -> bool:
        """One group of due messages; False when there was nothing to do, or nothing that could be done now.

        Where each address is a far side of its own, groups are handed over beside the steps; `finish` waits for them.
        """
        self._under_way.clear()
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
            lanes = lanes_of(self._name, terms.follow_ups, terms.shop.storefronts) if self._channel.apart else None
            # An order from before a message fell due may still lie on the topic: until that is known, it waits.
            claimed = await self._claim(lanes, min(now, known_until or now), now)
            if not claimed:
                return await self._under_way.one(LOOK_WHILE_SENDING)
            ready = await self._decide(claimed, terms, known_until, now)
            await self._handing.shadow([one for one in ready if one.send.way is Way.SHADOW])
            going = [one for one in ready if one.send.way is not Way.SHADOW]
            if lanes is None:
                await self._handing.send(going)
            else:
                self._send_apart(going, lanes)
        except NoShop:
            return False
        except sa.exc.ProgrammingError:
            raise
        except UNAVAILABLE as error:
            log.warning("the worker will try again", error=repr(error))
            return False
        return True

    async def finish(self) -> None:
        """What is being handed over comes to its end."""
        await self._under_way.all()

    async def _claim(self, lanes: Sequence[Lane] | None, due_until: datetime, now: datetime) -> list[Claimed]:
        """Of a lane only what may be under way there at once, and nothing while something is."""
        if lanes is None:
            return await self._queue.claim(CLAIMED_AT_ONCE, self._name, now, due_until=due_until)
        free = [lane for lane in lanes if lane.key not in self._under_way]
        claimed = await self._queue.claim_in(free, self._channel.size, self._name, now, due_until=due_until)
        if ELSEWHERE in self._under_way or (self._strays_at is not None and now - self._strays_at < SWEEP_EVERY):
            return claimed
        # Of steps that no file names any more: to find them all that waits is gone through.
        origins = [origin for lane in lanes for origin in lane.origins]
        strays = await self._queue.claim(CLAIMED_AT_ONCE, self._name, now, due_until=due_until, but=origins)
        self._strays_at = None if len(strays) == CLAIMED_AT_ONCE else now
        return [*claimed, *strays]

    def _send_apart(self, going: Sequence[Ready], lanes: Sequence[Lane]) -> None:
        of_lane = {origin: lane.key for lane in lanes for origin in lane.origins}
        groups: dict[str, list[Ready]] = defaultdict(list)
        for ready in going:
            groups[of_lane.get(_origin(ready.claimed), ELSEWHERE)].append(ready)
        for lane, group in groups.items():
            self._under_way.begin(lane, self._send_beside(group))

    async def _send_beside(self, group: Sequence[Ready]) -> None:
        try:
            await self._handing.send(group)
        except sa.exc.ProgrammingError:
            raise
        except UNAVAILABLE as error:
            log.warning("what was to be sent is due again", error=repr(error))

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
        sought: dict[UUID, Sought] = {}
        settled: list[Settled] = []
        for one in claimed:
            match self._unless_it_stumbles(one, now, partial(_sought, one, terms)):
                case Sought() as found:
                    sought[one.message.id] = found
                case Settled() as stumbled:
                    settled.append(stumbled)
        claimed = [one for one in claimed if one.message.id in sought]
        claims = await self._queue.refused([each.claim for each in sought.values() if each.claim is not None], now)
        places = {message: each.place for message, each in sought.items() if each.place is not None}
        standing = await self._queue.standing(places)
        named: dict[str, set[str]] = defaultdict(set)
        for one in claimed:
            named[one.storefront] |= sought[one.message.id].named
        catalogues = await self._queue.catalogues(named)
        beside = await self._queue.beside(claimed, terms.follow_ups, now)
        ready: list[Ready] = []
        for one in claimed:
            seen = Seen(
                known_until=known_until,
                claims=claims,
                standing=standing.get(one.message.id, NOTHING),
                catalogue=catalogues.get(one.storefront),
                beside=beside[one.message.id],
                switches=self._switches,
            )
            decided = self._unless_it_stumbles(one, now, partial(self._decide_one, one, terms, seen, now))
            if isinstance(decided, Ready):
                ready.append(decided)
            else:
                settled.append(decided)
        await self._queue.settle(settled, now)
        return ready

    def _unless_it_stumbles(self, claimed: Claimed, now: datetime, do: Callable[[], _T]) -> _T | Settled:
        """What stumbles over a bug of ours is put off by itself: else it would end this process, and then the next."""
        try:
            return do()
        except Exception as error:
            log.exception("a message can't be decided", message=str(claimed.message.id), follow_up=claimed.follow_up)
            over = now >= claimed.message.expires_at
            MESSAGES.labels(claimed.follow_up, str(Status.DEAD) if over else "stumbled").inc()
            return Settled(
                id=claimed.message.id,
                status=Status.DEAD if over else Status.PENDING,
                due_at=None if over else min(now + AFTER_STUMBLING, claimed.message.expires_at),
                reason=Reason.STUMBLED,
                answer=type(error).__name__,
            )

    def _decide_one(self, claimed: Claimed, terms: Terms, seen: Seen, now: datetime) -> Ready | Settled:
        follow_up = terms.follow_ups.get(claimed.follow_up)
        storefront = terms.shop.storefronts.get(claimed.storefront)
        claimed = _as_sold(claimed, seen.catalogue, storefront)
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


def _sought(claimed: Claimed, terms: Terms) -> Sought:
    follow_up, storefront = terms.follow_ups.get(claimed.follow_up), terms.shop.storefronts.get(claimed.storefront)
    step = follow_up.step(claimed.message.step) if follow_up is not None else None
    staff = storefront.staff if storefront is not None and step is not None and step.to_staff else None
    return Sought(
        claim=claim_of(claimed), place=place_of(claimed, staff), named=frozenset(asked_for(claimed.instance.subject))
    )


def _as_sold(claimed: Claimed, catalogue: Catalogue | None, storefront: Storefront | None) -> Claimed:
    """With what the shop's catalogue says of things that only a browser named."""
    if catalogue is None or storefront is None:
        return claimed
    return claimed.about(filled(claimed.instance.subject, claimed.instance.track, catalogue, storefront))


def _origin(claimed: Claimed) -> Origin:
    return Origin(storefront=claimed.storefront, follow_up=claimed.follow_up, step=claimed.message.step)


def _counted(packed: Ready | Settled, follow_up: str) -> Ready | Settled:
    if isinstance(packed, Settled):
        MESSAGES.labels(follow_up, str(packed.status)).inc()
    return packed
