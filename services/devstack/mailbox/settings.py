"""Settings of `stagepost mailbox`. Not to be confused with STAGEPOST_SMTP__…, which say where the notifier sends to."""

from pathlib import Path

from pydantic import Field

from services.settings import Group, HttpSettings, Settings


class MailboxGroup(Group):
    smtp_host: str = Field(default="127.0.0.1", description="address to take mail at")
    smtp_port: int = Field(default=1025, ge=0, le=65535)
    folder: Path = Field(default=Path(".stagepost/mailbox"), description="where messages are kept, a file each")


class MailboxSettings(Settings):
    http: HttpSettings = HttpSettings(port=8025)
    mailbox: MailboxGroup = MailboxGroup()
