"""The mailbox, put together."""

import asyncio

from services.devstack.mailbox.http import create_app
from services.devstack.mailbox.refusals import Refusals
from services.devstack.mailbox.settings import MailboxSettings
from services.devstack.mailbox.smtp import MailboxSmtp
from services.devstack.mailbox.store import MessageStore
from services.process import Readiness, run_service


async def main(settings: MailboxSettings) -> None:
    box = settings.mailbox
    store, refusals = MessageStore(box.folder), Refusals()
    readiness = Readiness({"smtp"})

    async def take_mail(stopping: asyncio.Event) -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: MailboxSmtp(store, refusals), box.smtp_host, box.smtp_port
        )
        readiness.ready("smtp")
        await stopping.wait()
        server.close()

    await run_service(create_app(store, refusals, readiness), settings.http, {"smtp": take_mail})
