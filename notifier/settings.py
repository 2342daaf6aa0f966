"""What the notifier is told from outside."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from notifier.claims import Caps
from notifier.links import LinkMaker, Signer
from services.settings import Duration, Group, HttpSettings, KafkaSettings, PostgresSettings, Settings


class SmtpSettings(Group):
    host: str = Field(description="the mail relay")
    port: int = Field(default=587, ge=1, le=65535, description="587 for STARTTLS, 465 for TLS from the first byte")
    username: str | None = Field(default=None, description="to log in with; none: no login")
    password: SecretStr | None = Field(default=None, description="to log in with; refused where security is `none`")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only where the way to the server is private: mail is readable on it"
    )
    ca_file: Path | None = Field(default=None, description="PEM of who signed the server's certificate")
    connections: int = Field(default=4, ge=1, le=50, description="kept open and used again; so many mails at a time")
    timeout: Duration = Field(
        default=timedelta(seconds=20), description="for one answer of the server; RFC 5321 allows minutes, queues don't"
    )

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if self.security == "none" and self.password is not None:
            raise ValueError("a password would travel in clear; set SECURITY to starttls or tls")
        return self

    def tls_context(self) -> ssl.SSLContext | None:
        return None if self.security == "none" else ssl.create_default_context(cafile=self.ca_file)


class LinksSettings(Group):
    url: str = Field(
        description="where browsers reach the notifier's `/m/`, through your proxy; https, as mail programs ask"
    )
    secret: SecretStr = Field(
        min_length=32, description="signs the links in mails; who has it can answer and unsubscribe for anybody"
    )
    previous_secret: SecretStr | None = Field(
        default=None, description="the one before: links that it signed still work while they are good"
    )

    @model_validator(mode="after")
    def _a_place_to_go(self) -> Self:
        parts = urlsplit(self.url)
        if parts.query or parts.fragment or not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError("is no place to link to; write it as https://mail.shop.example")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("links in mails must begin with https://; plain http is for this machine alone")
        return self

    def maker(self) -> LinkMaker:
        previous = self.previous_secret.get_secret_value() if self.previous_secret else None
        return LinkMaker(base=self.url, signer=Signer(self.secret.get_secret_value(), previous))


class NotifierHttp(HttpSettings):
    port: int = Field(default=8082, ge=0, le=65535, description="0 takes a free one")


class NotifierSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings
    smtp: SmtpSettings
    links: LinksSettings
    operator_key: SecretStr = Field(min_length=16, description="opens the operators' routes")
    http: NotifierHttp = NotifierHttp()
    claims: Caps = Caps()
