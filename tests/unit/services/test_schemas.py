"""The schemas say what the files say: editors check what `stagepost check` would."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from services.durations import parse_duration
from services.schemas import names, schema_of
from services.shop import YamlFile, default_shop, demo_shop, plain
from services.shop_commands import register
from services.written import SPAN
from stage_engine.model.load import PRESETS

app = typer.Typer()
register(app)

FILES = [
    (name, path)
    for directory in (default_shop(), demo_shop())
    for name in ("storefronts", "lifecycle", "followups")
    for path in [directory / f"{name}.yaml"]
] + [
    *(("lifecycle", path) for path in sorted(PRESETS.glob("*.yaml"))),
    *(("scenarios", path) for path in sorted((default_shop() / "scenarios").glob("*.yaml"))),
]


def faults(name: str, data: object) -> list[str]:
    return [str(error.message) for error in Draft202012Validator(schema_of(name)).iter_errors(data)]


def read(path: Path) -> Any:  # noqa: ANN401  any YAML
    return plain(YamlFile(path).data)


def mappings(data: object, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(data, dict):
        yield where, data
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from mappings(inner, f"{where}.{key}")


@pytest.mark.parametrize("name", names())
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize(("name", "path"), FILES, ids=lambda value: str(getattr(value, "name", value)))
def test_the_files_that_come_along_fit(name: str, path: Path) -> None:
    assert faults(name, read(path)) == []


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("storefronts", ".main-shop"),
        ("storefronts", ".main-shop.sender"),
        ("followups", ".thank-you"),
        ("followups", ".thank-you.when"),
        ("followups", ".thank-you.until"),
        ("lifecycle", ""),
    ],
)
def test_an_unknown_key_does_not_fit(name: str, where: str) -> None:
    data = read(default_shop() / f"{name}.yaml")
    dict(mappings(data))[where]["colour_of_the_sea"] = "green"
    assert "colour_of_the_sea" in faults(name, data)[0]


@pytest.mark.parametrize(
    "where",
    ["", ".facts.orders", ".tracks.lifecycle", ".tracks.cart.stages.active", ".tracks.cart.stages.abandoned.enter.0"],
)
def test_an_unknown_key_of_a_model_does_not_fit(where: str) -> None:
    data = read(PRESETS / "parts" / "groundwork.yaml")
    dict(mappings(data))[where]["colour_of_the_sea"] = "green"
    assert "colour_of_the_sea" in faults("lifecycle", data)[0]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("30m", True), ("1h30m", True), (" 2 w ", True), ("0s", True), ("soon", False), ("5", False), ("", False)],
)
def test_a_length_of_time_is_the_same_to_editors_and_to_us(text: str, is_one: bool) -> None:  # noqa: FBT001
    fits = Draft202012Validator({"type": "string", "pattern": SPAN}).is_valid(text)
    assert fits is is_one
    if is_one:
        parse_duration(text)
    else:
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)


def test_a_key_with_nothing_after_it_does_not_fit() -> None:
    assert faults("followups", {"a": {**read(default_shop() / "followups.yaml")["thank-you"], "wait": None}})


@pytest.mark.parametrize("name", ["lifecycle", "followups"])
def test_every_key_is_explained(name: str) -> None:
    for where, shape in schema_of(name)["$defs"].items():
        assert shape["description"], where
        for key, said in shape.get("properties", {}).items():
            assert "description" in said or "$ref" in said or "additionalProperties" in said, f"{where}.{key}"


def test_the_command_prints_one_or_writes_all(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema", "followups"])
    assert json.loads(printed.stdout) == schema_of("followups")
    assert CliRunner().invoke(app, ["schema", "--write", str(tmp_path)]).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.json" for name in names()]


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["followups", "--write", "somewhere"]])
def test_one_that_is_not_there_is_a_fault_of_the_call(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["schema", *arguments]).exit_code == 2
