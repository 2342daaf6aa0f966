"""`stagepost init`: what it writes is sound from the first minute."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from services.checks import check_shop
from services.shop import YamlFile
from services.shop_commands import register
from stage_engine.model.load import presets
from stage_engine.scenarios.run import run

app = typer.Typer()
register(app)


def init(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", str(directory), *arguments])


@pytest.mark.parametrize("preset", presets())
def test_what_it_writes_is_sound_with_every_preset_and_its_stories_come_out_right(tmp_path: Path, preset: str) -> None:
    shop = tmp_path / "shop"
    assert init(shop, "--preset", preset).exit_code == 0
    report = check_shop(shop)
    assert report.found == ()
    assert report.counts["scenario"] == 2
    assert not run(shop, [], verbose=False, coverage=False, say=lambda _: None).failed
    assert YamlFile(shop / "lifecycle.yaml").data == {"extends": preset}


def test_its_files_name_their_schemas_beside_them(tmp_path: Path) -> None:
    init(tmp_path / "shop")
    files = [*(tmp_path / "shop").glob("*.yaml"), *(tmp_path / "shop" / "scenarios").glob("*.yaml")]
    assert len(files) == 4
    for file in files:
        said, schema = file.read_text(encoding="utf-8").splitlines()[0].split("$schema=")
        assert said == "# yaml-language-server: "
        assert (file.parent / schema).is_file()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "followups.yaml").write_text("# mine\n")
    found = init(tmp_path)
    assert found.exit_code == 2
    assert "nothing is overwritten" in found.output
    assert [path.name for path in tmp_path.iterdir()] == ["followups.yaml"]


def test_a_directory_that_is_empty_is_filled_and_one_that_is_not_there_is_made(tmp_path: Path) -> None:
    assert init(tmp_path).exit_code == 0
    assert init(tmp_path / "my" / "shops" / "one").exit_code == 0
    assert (tmp_path / "my" / "shops" / "one" / "README.md").is_file()


def test_a_preset_that_is_not_there_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = init(tmp_path / "shop", "--preset", "seven-stages")
    assert found.exit_code == 2
    assert "shop/lifecycle.yaml:4:1 there is no preset `seven-stages`; did you mean `seven-stage`?" in found.output
    assert list(tmp_path.iterdir()) == []
