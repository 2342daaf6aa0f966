"""Ingest's settings."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, Field, InstanceOf, SecretStr
from pydantic_settings import NoDecode

from ingest.limits import Limits
from services.contracts.keys import WriteKey
from services.contracts.webhook_secrets import WebhookSecret
from services.settings import Duration, Group, HttpSettings, KafkaSettings, Settings


class IngestHttp(HttpSettings):
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes a free one")


class PublishSettings(Group):
    ack_deadline: Duration = Field(
        default=timedelta(seconds=5),
        description="for Kafka's acknowledgement, and again for the spool's disk; clients give up after 10 s and more",
    )
    retry_after: Duration = Field(
        default=timedelta(seconds=5), description="what a 503 asks clients to wait; a broker's restart takes about that"
    )


class SpoolSettings(Group):
    """Past either bound calls are answered 503: better that a shop keeps its events than that it believes in us."""

    max_bytes: int = Field(
        default=1_073_741_824,
        ge=0,
        description="of records on disk: a quarter of an hour of 1,000 events a second; leave the disk twice as much",
    )
    max_age: Duration = Field(
        default=timedelta(days=1),
        description="of the oldest: a Kafka that is away for longer is not coming back by itself",
    )
    leaving: Duration = Field(
        default=timedelta(seconds=5), description="what a stop waits for the spool to drain; the rest stays on disk"
    )


class RateSettings(Group):
    """Of one process: with three of them a storefront has three times as much. What is over is answered 429."""

    storefront_events: int = Field(
        default=2000, ge=1, description="a second, of one storefront: less than half of what a process takes in lists"
    )
    storefront_burst: int = Field(
        default=50_000, ge=1, description="at once, of one storefront: a sale's first seconds, or a nightly job's lists"
    )
    client_events: int = Field(
        default=100,
        ge=1,
        description="a second, of one address with a browser's key: an office, or a mobile provider's gateway",
    )
    client_burst: int = Field(default=2000, ge=1, description="at once, of one address with a browser's key")


class InFlightSettings(Group):
    max_bytes: int = Field(
        default=134_217_728,
        ge=1_048_576,
        description="of bodies that come in and records that wait for their acknowledgement; the process takes about "
        "twice that",
    )
    storefront_share: float = Field(
        default=0.5, gt=0, le=1, description="of it that one storefront may take; what is over is answered 503"
    )


def _write_keys(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    if not isinstance(given, str):
        return given
    try:
        return tuple(msgspec.json.decode(given, type=list[WriteKey]))
    except msgspec.DecodeError as error:
        raise ValueError(f'must be a JSON list of {{"storefront", "kind", "prefix", "sha256"}}: {error}') from None


def _webhook_secrets(given: Any) -> Any:  # noqa: ANN401  what pydantic hands over
    if not isinstance(given, str):
        return given
    try:
        return tuple(msgspec.json.decode(given, type=list[WebhookSecret]))
    except msgspec.DecodeError as error:
        raise ValueError(f'must be a JSON list of {{"storefront", "platform", "secret"}}: {error}') from None


class KafkaOnly(Settings):
    """Of `stagepost keys`, `stagepost forget-ingest` and `stagepost spool drain`."""

    kafka: KafkaSettings


class IngestSettings(Settings):
    kafka: KafkaSettings
    http: IngestHttp = IngestHttp()
    write_keys: Annotated[
        tuple[InstanceOf[WriteKey], ...],
        NoDecode,
        BeforeValidator(_write_keys),
        Field(description="keys beside those that `stagepost keys` makes, a JSON list; revoked by taking them out"),
    ] = ()
    webhook_secrets: Annotated[
        tuple[InstanceOf[WebhookSecret], ...],
        NoDecode,
        BeforeValidator(_webhook_secrets),
        Field(repr=False, description="a JSON list; normally through WEBHOOK_SECRETS_FILE"),
    ] = ()
    network_key: SecretStr = Field(
        min_length=16, description="hides which networks browsers call from; the same for every ingest"
    )
    state_folder: Path = Field(
        default=Path(".stagepost/ingest"),
        description="what must outlast a restart, on a disk: the lasting id of each process, and its spool; they may "
        "share it on one machine",
    )
    limits: Limits = Limits()
    rates: RateSettings = RateSettings()
    in_flight: InFlightSettings = InFlightSettings()
    publish: PublishSettings = PublishSettings()
    spool: SpoolSettings = SpoolSettings()
