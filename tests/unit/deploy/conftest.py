"""What the files under deploy/ and the handbook are held against: the services' settings as the code has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from console.settings import ConsoleSettings
from ingest.settings import IngestSettings
from migrations.migrate import MigrateSettings
from notifier.settings import NotifierSettings
from services.settings import PREFIX, Settings
from stage_engine.revision_desk import RevisionSettings
from stage_engine.settings import EngineSettings

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours, by the command that runs it: what it is told, by the names of the variables."""

    command: str
    settings: type[Settings]

    @property
    def fields(self) -> dict[str, FieldInfo]:
        return dict(_fields(self.settings, PREFIX))

    @property
    def port(self) -> int:
        port: int = self.settings.model_fields["http"].default.port
        return port


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), field


PROCESSES = {
    process.command: process
    for process in (
        Process("ingest", IngestSettings),
        Process("stage-engine", EngineSettings),
        Process("notifier", NotifierSettings),
        Process("console", ConsoleSettings),
        Process("migrate", MigrateSettings),
        Process("apply", RevisionSettings),
    )
}


@pytest.fixture(scope="session")
def processes() -> dict[str, Process]:
    return PROCESSES


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def operations() -> str:
    return (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def compose(deploy: Path) -> dict[str, Any]:
    return read_yaml(deploy / "compose.yaml")


def read_yaml(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return found
