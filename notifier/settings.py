"""What the notifier is told from outside."""

import base64
import ssl
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from notifier.addresses import deliverable
from notifier.blast_store import BlastSettings
from notifier.bounces.settings import BounceSettings
from notifier.claims import Caps
from notifier.links import VALID, LinkMaker, Signer
from services.settings import Duration, Group, HttpSettings, KafkaSettings, PostgresSettings, Settings


def _json(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    if not isinstance(given, str):
        return given
    try:
        return msgspec.json.decode(given)
    except msgspec.DecodeError as error:
        raise ValueError(f'must be JSON, as in {{"gmail.com": 20}}: {error}') from None


def _bounces_to(address: str) -> str:
    given = deliverable(address)
    if given is None or "+" in given:
        raise ValueError("is no address; write it as bounces@mail.shop.example")
    return given


class SmtpSettings(Group):
    host: str = Field(description="the mail relay")
    port: int = Field(default=587, ge=1, le=65535, description="587 for STARTTLS, 465 for TLS from the first byte")
    username: str | None = Field(default=None, description="to log in with; none: no login")
    password: SecretStr | None = Field(default=None, description="to log in with; refused where security is `none`")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only where the way to the server is private: mail is readable on it"
    )
    ca_file: Path | None = Field(default=None, description="PEM of who signed the server's certificate")
    bounces_to: Annotated[str, AfterValidator(_bounces_to)] | None = Field(
        default=None,
        description="a mailbox of yours that takes `+…` after its name: each mail's bounces go to one of its own there",
    )
    pace: Annotated[dict[str, Annotated[float, Field(gt=0)]], NoDecode, BeforeValidator(_json)] | None = Field(
        default=None,
        description='JSON: mails a second of each notifier by domain, {"gmail.com": 20}; none: what large ones bear',
    )
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


def _a_place_to_go(url: str) -> str:
    parts = urlsplit(url)
    if parts.query or parts.fragment or not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("is no place to link to; write it as https://mail.shop.example")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("links in mails must begin with https://; plain http is for this machine alone")
    return url


class LinksSettings(Group):
    url: Annotated[str, AfterValidator(_a_place_to_go)] = Field(
        description="where browsers reach the notifier's `/m/`, through your proxy; https, as mail programs ask"
    )
    secret: SecretStr = Field(
        min_length=32, description="signs the links in mails; who has it can answer and unsubscribe for anybody"
    )
    previous_secret: SecretStr | None = Field(
        default=None, description="the one before: links that it signed still work while they are good"
    )
    console_url: Annotated[str, AfterValidator(_a_place_to_go)] | None = Field(
        default=None,
        description="where your own people reach the console: mail to them then links to the customer there",
    )

    def maker(self) -> LinkMaker:
        previous = self.previous_secret.get_secret_value() if self.previous_secret else None
        signer = Signer(self.secret.get_secret_value(), previous)
        return LinkMaker(base=self.url, signer=signer, console=self.console_url)


def _secrets(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    """A secret may stand alone: two are for the time in which one takes the other's place."""
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given, type=dict[str, str | list[str]])
        except msgspec.DecodeError as error:
            raise ValueError(f'must be JSON, as in {{"main-shop/retargeting": "whsec_…"}}: {error}') from None
    return {name: (one,) if isinstance(one, str) else one for name, one in dict(given).items()}


def _signs(secret: SecretStr) -> SecretStr:
    said = secret.get_secret_value()
    try:
        key = base64.b64decode(said.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not said.startswith("whsec_") or not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"a secret is written whsec_ and {LEAST_KEY} to {MOST_KEY} bytes in base64")
    return secret


LEAST_KEY: Final = 24
MOST_KEY: Final = 64
"""Bytes, as Standard Webhooks asks."""


def _networks(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    if not isinstance(given, str):
        return given
    return tuple(ip_network(one.strip()) for one in given.split(",") if one.strip())


class WebhookSettings(Group):
    secrets: Annotated[
        dict[str, tuple[Annotated[SecretStr, AfterValidator(_signs)], ...]],
        NoDecode,
        BeforeValidator(_secrets),
    ] = Field(
        default_factory=dict,
        description="JSON: what each endpoint's webhooks are signed with, by `storefront/endpoint`",
    )
    allow_private: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        NoDecode,
        BeforeValidator(_networks),
        Field(description="networks of yours, with commas, that webhooks may go to; for development"),
    ] = ()
    connections: int = Field(default=8, ge=1, le=100, description="so many webhooks at a time to each endpoint")
    timeout: Duration = Field(
        default=timedelta(seconds=20),
        ge=timedelta(seconds=1),
        le=timedelta(seconds=60),
        description="for one webhook, from its name's look-up to the answer; Standard Webhooks says 15 to 30 s",
    )


class WebhooksOnly(Settings):
    """Of `stagepost check`."""

    webhooks: WebhookSettings = WebhookSettings()


class MailOnly(Settings):
    """Of `stagepost doctor mail` and `send-test`."""

    smtp: SmtpSettings


class NotifierHttp(HttpSettings):
    port: int = Field(default=8082, ge=0, le=65535, description="0 takes a free one")


class NotifierSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings
    smtp: SmtpSettings
    links: LinksSettings
    webhooks: WebhookSettings = WebhookSettings()
    bounces: BounceSettings = BounceSettings()
    operator_key: SecretStr = Field(min_length=16, description="opens the operators' routes")
    http: NotifierHttp = NotifierHttp()
    claims: Caps = Caps()
    blast: BlastSettings = BlastSettings()
    messages_kept: Duration | None = Field(
        default=None,
        ge=max(VALID.values()),
        description="how long messages are kept after their `max_age`, two years or more; none: for ever",
    )
