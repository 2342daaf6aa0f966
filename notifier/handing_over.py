"""From ready to delivered: mark, hand over to the channel, write down what came of it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import stamina
import structlog

from notifier.addresses import masked
from notifier.channels.channel import Channel, Connection, Parcel
from notifier.claimed import Claimed
from notifier.marking import Mark, Marked
from notifier.metrics import DELIVERY_SECONDS, MESSAGES
from notifier.outcomes import Outcome, Unknown
from notifier.packing import Ready
from notifier.queue import Queue, Settled
from notifier.render import Rendered
from notifier.status import Status
from notifier.store import UNAVAILABLE

log = structlog.get_logger()


class HandingOver:
    def __init__(
        self, queue: Queue, channel: Channel[Any], resends: Callable[[str], bool], clock: Callable[[], datetime]
    ) -> None:
        """`resends` says of a follow-up whether what had no answer is sent once more."""
        self._queue = queue
        self._channel = channel
        self._resends = resends
        self._clock = clock

    async def shadow(self, group: Sequence[Ready]) -> None:
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

    async def send(self, going: Sequence[Ready]) -> None:
        """Group after group, none larger than the channel is."""
        for first in range(0, len(going), self._channel.size):
            await self._send(going[first : first + self._channel.size])

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


def _mark(ready: Ready) -> Mark:
    return Mark(
        claimed=ready.claimed,
        send=ready.send,
        marketing=ready.follow_up.marketing,
        consents=ready.follow_up.consents(ready.send.channel),
        priority=ready.follow_up.priority,
        subject=ready.content.subject if isinstance(ready.content, Rendered) else None,
    )


def _again(claimed: Claimed) -> Settled:
    """Not marked: nobody to hand it to, or its customer has moved on and the guard must look again."""
    return Settled(id=claimed.message.id, status=Status.PENDING)
