"""What the console is told from outside."""

from datetime import timedelta

from pydantic import AnyHttpUrl, Field, SecretStr

from services.settings import Duration, HttpSettings, PostgresSettings, Settings


class ConsoleHttp(HttpSettings):
    port: int = Field(default=8083, ge=0, le=65535, description="0 takes a free one")


class ConsoleSettings(Settings):
    postgres: PostgresSettings
    operator_key: SecretStr = Field(min_length=16, description="what operators sign in with")
    session: Duration = Field(default=timedelta(hours=12), description="a working day; then the key is asked for again")
    http: ConsoleHttp = ConsoleHttp()
    ingest_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:8080"), description="shown in the call that sends a first event"
    )
    mailbox_url: AnyHttpUrl | None = Field(default=None, description="of the dev stack's mailbox, to link to it")
