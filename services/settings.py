"""Settings that several processes share. Each process composes its own frozen class and passes it in.

All is read from the environment: `STAGEPOST_KAFKA__BOOTSTRAP_SERVERS` sets `kafka.bootstrap_servers`. A value may stand
in a file instead, as secrets do: `STAGEPOST_POSTGRES__DSN_FILE=/run/secrets/dsn`.
"""

import os
import ssl
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.durations import parse_duration
from services.errors import ConfigurationError

PREFIX = "STAGEPOST_"


def _duration(value: Any) -> Any:  # noqa: ANN401  whatever stands in the environment
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""Written as in the shop's files: `500ms` is not one, `2s`, `30m` and `1h30m` are."""


def _networks(value: Any) -> Any:  # noqa: ANN401  whatever stands in the environment
    return tuple(ip_network(part) for part in value.replace(",", " ").split()) if isinstance(value, str) else value


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
"""Written with commas: `10.0.0.0/8, 192.0.2.7`."""


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Group):
    bootstrap_servers: str = Field(description="host:port, several with commas")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="as Kafka calls it: SSL encrypts, SASL logs in; SASL_SSL over any network not yours",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="how to log in, where the protocol has SASL"
    )
    sasl_username: str | None = Field(default=None, description="for SASL")
    sasl_password: SecretStr | None = Field(default=None, description="for SASL")
    ca_file: Path | None = Field(default=None, description="PEM of who signed the brokers' certificates")
    cert_file: Path | None = Field(default=None, description="PEM of our own certificate, for brokers that ask")
    key_file: Path | None = Field(default=None, description="PEM of the key to it, where it is not in the same file")
    replication_factor: int = Field(
        default=1, ge=1, description="of topics that `stagepost migrate` creates; 3 in production"
    )

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client is made with."""
        encrypted = self.security_protocol.endswith("SSL")
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "ssl_context": self._ssl_context() if encrypted else None,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
        }

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


class PostgresSettings(Group):
    dsn: SecretStr = Field(description="postgresql://user:password@host:port/database?sslmode=verify-full")
    pool_size: int = Field(default=8, ge=1, description="connections a process keeps")
    statement_timeout: Duration = Field(
        default=timedelta(seconds=30), description="a statement longer than this is stuck, not slow"
    )
    transaction_timeout: Duration = Field(
        default=timedelta(seconds=60),
        description="for the whole transaction and for idling inside one: a stopped process must free its locks",
    )


class HttpSettings(Group):
    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 inside a container")
    port: int = Field(ge=0, le=65535, description="0 takes a free one")
    shutdown_grace: Duration = Field(
        default=timedelta(seconds=10), description="time for requests under way when told to stop"
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="networks of the proxies before us, with commas: X-Forwarded-For and -Proto are believed from "
        "these only, and nobody else's word says where a call comes from",
    )


class LogSettings(Group):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is logged; libraries' lines as well"
    )
    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="auto: pretty on a terminal")


class _Files(PydanticBaseSettingsSource):
    """`NAME_FILE=path` stands for `NAME=content`. An own source because pydantic's secrets are a directory of all."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  the interface
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, path in os.environ.items():
            if (where := self._field_of(name)) is None:
                continue
            *groups, leaf = where
            place = found
            for group in groups:
                place = place.setdefault(group, {})
            place[leaf] = Path(path).read_text(encoding="utf-8").strip()
        return found

    def takes(self, name: str) -> bool:
        """Such a variable is no field's own: pydantic's source for the environment must not see it."""
        return self._field_of(name) is not None

    def _field_of(self, name: str) -> list[str] | None:
        upper = name.upper()
        if not (upper.startswith(PREFIX) and upper.endswith("_FILE")):
            return None
        *groups, leaf = upper.removeprefix(PREFIX).removesuffix("_FILE").lower().split("__")
        return [*groups, leaf] if self._is_field(groups, leaf) else None

    def _is_field(self, groups: list[str], leaf: str) -> bool:
        """Fields that are themselves called `…_file` are not secrets in files."""
        model: Any = self.settings_cls
        for group in groups:
            if group not in model.model_fields:
                return False
            model = model.model_fields[group].annotation
            if not hasattr(model, "model_fields"):
                return False
        return leaf in model.model_fields


class Settings(BaseSettings):
    """Base of each process's own settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore")

    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the interface
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the interface
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = _Files(settings_cls)
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {k: v for k, v in env_settings.env_vars.items() if not files.takes(k)}
        return init_settings, env_settings, files

    @classmethod
    def load(cls) -> Self:
        """From the environment; raises ConfigurationError that names each variable and what is wrong with it."""
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(
                "\n".join(
                    f"{PREFIX}{'__'.join(variable).upper()}: {fault['msg']}"
                    for fault in error.errors(include_url=False, include_input=False)
                    for variable in _variables(cls, [str(part) for part in fault["loc"]])
                )
            ) from None
        except OSError as error:
            raise ConfigurationError(f"a secret's file can't be read: {error.filename}: {error.strerror}") from None


def _variables(model: type[BaseModel], path: list[str]) -> list[list[str]]:
    """The path itself, or of a group that is missing as a whole the paths of what it needs."""
    kind: Any = model
    for step in path:
        field = kind.model_fields.get(step) if hasattr(kind, "model_fields") else None
        kind = field.annotation if field is not None else None
    needed = [name for name, field in getattr(kind, "model_fields", {}).items() if field.is_required()]
    return [[*path, name] for name in needed] or [path]
