"""The far side of each channel, as a real server of this process that does what it is told.

A new channel comes with one of these and nothing else: test_channels.py has all that it has to keep.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from typing import Any, Protocol

from notifier.channels.channel import Channel, Parcel
from notifier.channels.email import EmailChannel
from notifier.outcomes import MAX_ATTEMPTS
from notifier.settings import SmtpSettings
from tests.integration.notifier_world import Answering, Clock, smtp_server
from tests.unit.notifier.builders import parcel


class FarSide(Protocol):
    attempts: int
    """After so many refusals a message is given up."""
    bad_addresses: tuple[str, ...]

    def channel(self, clock: Clock) -> Channel[Any]: ...

    def parcel(self, **changes: Any) -> Parcel: ...  # noqa: ANN401  any of its fields

    def refuse_for_now(self) -> None: ...

    def refuse_for_ever(self) -> None: ...

    def take_and_say_nothing(self) -> None:
        """It has the parcel then, and nobody hears of it."""
        ...

    def be_well(self) -> None: ...

    def go_away(self) -> None:
        """Nobody listens any more, and open connections are gone."""
        ...

    @property
    def ids(self) -> list[str]:
        """Of what it took, as the far side tells two of a kind apart."""
        ...

    @property
    def open_connections(self) -> int: ...


@dataclass
class MailServer:
    server: Answering
    attempts: int = MAX_ATTEMPTS
    bad_addresses: tuple[str, ...] = (
        "ada@mail.example\r\nBcc: x@mail.example",
        "not one",
        "a@b.example, c@d.example",
        "",
    )

    def channel(self, clock: Clock) -> EmailChannel:
        timeout = timedelta(milliseconds=500)
        return EmailChannel(
            SmtpSettings(host="127.0.0.1", port=self.server.port, security="none", timeout=timeout), clock
        )

    def parcel(self, **changes: Any) -> Parcel:  # noqa: ANN401  any of its fields
        return parcel(**changes)

    def refuse_for_now(self) -> None:
        self.server.at["RCPT"] = "450 busy, <ada@mail.example>"

    def refuse_for_ever(self) -> None:
        self.server.at["RCPT"] = "550 no such user <ada@mail.example>"

    def take_and_say_nothing(self) -> None:
        self.server.at["DATA"] = "250-still thinking"  # a line that promises another

    def be_well(self) -> None:
        self.server.at.clear()

    def go_away(self) -> None:
        self.server.go_away()

    @property
    def ids(self) -> list[str]:
        taken = [message_from_bytes(bytes(mail.original_content or b"")) for mail in self.server.taken]
        return [mail["Message-ID"] for mail in taken]

    @property
    def open_connections(self) -> int:
        return self.server.open_connections


@asynccontextmanager
async def mail_server() -> AsyncIterator[FarSide]:
    async with smtp_server() as server:
        yield MailServer(server)


FAR_SIDES = {"email": mail_server}
