"""The stage engine's settings, from the environment."""

from datetime import timedelta

from pydantic import Field, SecretStr

from services.settings import Duration, HttpSettings, KafkaSettings, PostgresSettings, Settings


class EngineHttp(HttpSettings):
    port: int = Field(default=8081, ge=0, le=65535, description="0 takes a free one")


class EngineSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings
    http: EngineHttp = EngineHttp()
    operator_key: SecretStr = Field(min_length=16, description="opens the operators' routes")
    silent_after: Duration = Field(
        default=timedelta(minutes=15),
        description="an ingest silent for so long is passed over; longer than it takes to bring one back",
    )
    changes_kept: Duration = Field(
        default=timedelta(days=30),
        description="how long published changes can be read again over HTTP; longer than a subscriber is ever away",
    )
    history_kept: Duration | None = Field(
        default=None,
        description="how long events are kept after they were received; none: for ever",
    )
