"""What a customer was sent, and what not and why, beside why they stand where they do.

Read from the view `reporting.messages`, which operators' tools read too: the engine knows nothing of who fills it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.reasons import in_words
from stage_engine.why_screen import WIDTH

_UNDER: Final = " " * 6
SHOWN: Final = 8
"""The latest; the notifier's route has all."""
_LATEST: Final = sa.text("""
    SELECT follow_up, step, variant, channel, status, reason, created_at, sent_at
      FROM reporting.messages
     WHERE customer_id = :customer AND created_at <= :at
     ORDER BY created_at DESC, follow_up, step
     LIMIT :shown
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`reason` is why it did not go out, or not yet."""

    follow_up: str
    step: int
    variant: str | None
    channel: str
    status: str
    reason: str | None
    created_at: datetime
    sent_at: datetime | None


async def messages_of(connection: AsyncConnection, customer: UUID, at: datetime) -> list[Told]:
    found = await connection.execute(_LATEST, {"customer": customer, "at": at, "shown": SHOWN})
    return [Told(**row._mapping) for row in found]  # noqa: SLF001  the public way


def message_lines(messages: Sequence[Told]) -> Iterator[Text]:
    """Nothing at all where there was none."""
    if messages:
        yield Text()
        yield Text("messages", style="bold")
    for one in messages:
        step = f" step {one.step}" if one.step > 1 else ""
        variant = f" ({one.variant})" if one.variant else ""
        when = one.sent_at or one.created_at
        yield Text(f"  {when:%Y-%m-%d %H:%M}  {one.follow_up}{step}{variant} by {one.channel}  {one.status}")
        if one.reason:
            # With its name, which docs/followups.md and queries know it by.
            for line in wrap(f"{in_words(one.reason)} ({one.reason})", WIDTH - len(_UNDER)):
                yield Text(f"{_UNDER}{line}")


def messages_view(messages: Iterable[Told]) -> list[dict[str, Any]]:
    return [
        {
            "follow_up": one.follow_up,
            "step": one.step,
            "variant": one.variant,
            "channel": one.channel,
            "status": one.status,
            "reason": one.reason,
            "reason_in_words": in_words(one.reason),
            "created_at": one.created_at.isoformat(),
            "sent_at": one.sent_at.isoformat() if one.sent_at else None,
        }
        for one in messages
    ]
