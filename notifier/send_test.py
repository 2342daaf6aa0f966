"""`stagepost send-test` at work: a follow-up with sample data, handed to the real mail server as any mail is."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, assert_never
from uuid import uuid4

import typer

from notifier.addresses import deliverable
from notifier.channels.channel import Parcel
from notifier.channels.email import EmailChannel
from notifier.followups import Purpose
from notifier.outcomes import Dead, Delivered, Outcome, RetryAt, Unknown
from notifier.preview import Sample
from notifier.settings import MailOnly, SmtpSettings
from services.errors import ConfigurationError, Unreachable

MARKED: Final = "[Test]"


def sending(sample: Sample, address: str) -> Callable[[MailOnly], Coroutine[Any, Any, None]]:
    """Raises ConfigurationError for what is no address: nothing is asked of the server then."""
    to = deliverable(address)
    if to is None:
        raise ConfigurationError(f"`{address}` is no address that a mail can go to; write it as in ada@mail.example")

    async def work(settings: MailOnly) -> None:
        _tell(await _sent(settings.smtp, parcel_of(sample, to, datetime.now(UTC))), to)

    return work


def parcel_of(sample: Sample, to: str, now: datetime) -> Parcel:
    """Of no customer and no follow-up: it can be unsubscribed from by nobody, and counts in nobody's statistics."""
    return Parcel(
        id=uuid4(),
        shop=sample.shop,
        storefront=sample.storefront,
        follow_up="test",
        address=to,
        name=None,
        content=replace(sample.rendered, subject=f"{MARKED} {sample.rendered.subject}"),
        purpose=Purpose.TRANSACTIONAL,
        dated=now,
        attempt=1,
    )


async def _sent(settings: SmtpSettings, parcel: Parcel) -> Outcome:
    channel = EmailChannel(settings, lambda: parcel.dated)
    try:
        opened = await channel.open(1)
        if not opened:
            raise Unreachable(f"the mail server at {settings.host}:{settings.port} can't be used; nothing was sent")
        outcome = await opened[0].deliver(parcel, parcel.dated)
        await channel.give_back(opened[0])
    finally:
        await channel.close()
    return outcome


def _tell(outcome: Outcome, to: str) -> None:
    """A line on the screen; what is no success is raised, and so ends with the exit code that fits."""
    match outcome:
        case Delivered(answer=answer):
            typer.echo(f"sent to {to}: {answer}")
        case RetryAt(why=why):
            raise Unreachable(f"not sent, try again later: {why}")
        case Dead(why=why):
            raise ConfigurationError(f"not sent, the mail server refused it: {why}")
        case Unknown(why=why):
            raise Unreachable(f"perhaps sent: {why}")
        case _ as never:
            assert_never(never)
