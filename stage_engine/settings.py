"""The stage engine's settings, from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from services.settings import Duration, HttpSettings, KafkaSettings, PostgresSettings, Settings
from services.shop import default_shop


class EngineSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings
    http: HttpSettings = HttpSettings(port=8081)
    operator_key: SecretStr = Field(description="opens the operators' routes")
    shop: Path = Field(default_factory=default_shop, description="the shop directory")
    settle_grace: Duration = Field(
        default=timedelta(seconds=2),
        description="how long ago an event must have been received to be surely on the topic: longer than a send takes",
    )
