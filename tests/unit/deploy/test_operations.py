"""docs/operations.md, held against the code: a setting that nobody can find is none."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BeforeValidator, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.durations import spoken
from services.shop import default_shop


def row(name: str, field: FieldInfo, default: str) -> str:
    return f"| `{name}` | {default} | {field.description} |"


def as_written(field: FieldInfo) -> str:
    """The default, as it would stand in the environment."""
    if field.default_factory is default_shop:
        return "the default shop"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "**must be given**"
    if default is None or default in ((), {}):
        return "none"
    if isinstance(default, timedelta):
        return f"`{_duration(field, default)}`"
    return f"`{default}`"


def _duration(field: FieldInfo, default: timedelta) -> str:
    """As `1h30m` where the setting takes that, else by ISO 8601 as pydantic does."""
    takes_spoken = any(
        isinstance(part, BeforeValidator) and part.func(spoken(default)) == default for part in field.metadata
    )
    iso: str = TypeAdapter(timedelta).dump_python(default, mode="json")
    return spoken(default) if takes_spoken else iso


@pytest.mark.parametrize("command", ["ingest", "stage-engine", "notifier", "console", "migrate", "apply"])
def test_every_setting_is_in_the_handbook_with_its_default_and_reason(
    command: str, operations: str, processes: dict[str, Any]
) -> None:
    process = processes[command]
    missing = []
    for name, field in process.fields.items():
        assert field.description, f"{name} says nothing about itself"
        default = as_written(field)
        if name == "STAGEPOST_HTTP__PORT":
            default = "`8080` ingest, `8081` stage-engine, `8082` notifier, `8083` console"
            assert f"`{process.port}` {command}" in default
        if row(name, field, default) not in operations:
            missing.append(row(name, field, default))
    assert missing == []


def test_the_handbook_names_no_setting_that_is_gone(operations: str, processes: dict[str, Any]) -> None:
    known = {name for process in processes.values() for name in process.fields}
    named = set(re.findall(r"^\| `(STAGEPOST_\w+)` \|", operations, re.MULTILINE))
    assert named == known


def test_every_link_of_the_handbook_leads_somewhere(operations: str, deploy: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", operations):
        assert (deploy.parent / "docs" / target).resolve().exists(), target
