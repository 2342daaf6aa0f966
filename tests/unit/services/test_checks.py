"""`stagepost check`: all files at once, each finding at its line."""

import json
import re
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from services.checks import check_shop
from services.shop import default_shop, demo_shop
from services.shop_commands import register

app = typer.Typer()
app.callback()(lambda: None)  # so that it takes a command's name though there may be only one
register(app)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the default shop."""
    return Path(shutil.copytree(default_shop(), tmp_path / "shop"))


def check(shop: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", str(shop), *arguments])


def told(shop: Path) -> list[str]:
    return [str(finding).removeprefix(f"{shop}/") for finding in check_shop(shop).found]


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize("directory", [default_shop(), demo_shop()])
def test_the_shops_that_come_along_are_sound(directory: Path) -> None:
    found = check(directory, "--strict")
    summary, *told = found.output.splitlines()
    assert (found.exit_code, summary.split(": ")[-1]) == (0, "sound")
    assert told[0].endswith("can get in a week:")
    assert found.output.startswith(f"{directory}/: 1 storefront, 8 tracks, ")
    assert re.search(r"2 follow-ups, 2 templates, \d+ scenarios: sound$", summary)


def test_a_shop_that_is_not_there_is_a_fault_and_init_writes_one(tmp_path: Path) -> None:
    found = check(tmp_path / "shop")
    assert found.exit_code == 2
    assert "there is no such directory; `stagepost init" in found.output


def test_faults_of_all_files_are_told_at_once_in_the_order_of_files_and_lines(shop: Path) -> None:
    change(shop / "storefronts.yaml", "Europe/Berlin", "Europe/Berlim")
    change(shop / "storefronts.yaml", "currency: EUR", "currency: Euro")
    change(shop / "lifecycle.yaml", "seven-stage\n", "seven-stage\ntrack: {}\n")
    change(shop / "followups.yaml", "  template: thank-you", "  tempalte: thank-you")
    found = check(shop)
    assert found.exit_code == 2
    assert [line.removeprefix(f"{shop}/") for line in found.output.splitlines()[:-1]] == [
        "followups.yaml:9:1 `template` is missing; write it, as in `template: abandoned-cart`",
        "followups.yaml:13:3 `tempalte` is not known here; did you mean `template`?",
        "lifecycle.yaml:3:1 `track` is not known here; did you mean `tracks`?",
        "storefronts.yaml:6:3 Euro is no ISO 4217 code; write it as in EUR",
        "storefronts.yaml:7:3 there is no time zone Europe/Berlim; did you mean Europe/Berlin?",
    ]
    assert found.output.endswith(": 5 faults\n")


def test_a_missing_file_is_told_beside_the_faults_of_the_others(shop: Path) -> None:
    (shop / "followups.yaml").unlink()
    change(shop / "storefronts.yaml", "currency: EUR", "currency: Euro")
    assert told(shop) == [
        "followups.yaml:1:1 No such file or directory; `stagepost init` writes a shop directory",
        "storefronts.yaml:6:3 Euro is no ISO 4217 code; write it as in EUR",
    ]


def test_a_follow_up_may_name_only_tracks_and_stages_of_the_lifecycle(shop: Path) -> None:
    change(shop / "followups.yaml", "entered: abandoned", "entered: abandond")
    change(shop / "followups.yaml", "left: abandoned", "left: abandond")
    change(shop / "followups.yaml", "track: order", "track: orders")
    assert told(shop) == [
        "followups.yaml:3:23 the track `cart` has no stage `abandond`; did you mean `abandoned`?",
        "followups.yaml:10:10 lifecycle.yaml has no track `orders`; did you mean `order`?",
    ]


def test_a_stage_that_ends_a_follow_up_must_be_one_too(shop: Path) -> None:
    change(shop / "followups.yaml", "entered: [cancelled]", "entered: [cancelled, gone]")
    (said,) = told(shop)
    assert said.startswith("followups.yaml:11:11 the track `order` has no stage `gone`; there are: placed, ")


def test_a_template_that_is_not_there_is_told_of_where_it_is_named(shop: Path) -> None:
    change(shop / "followups.yaml", "template: thank-you", "template: thanks")
    (said,) = told(shop)
    assert said.startswith("followups.yaml:13:3 there is no template thanks.mjml; write ")


@pytest.mark.parametrize(
    ("template", "line", "said"),
    [
        ("<mjml>\n{% if %}</mjml>", 2, "Expected an expression"),
        ("<mjml>\n\n{{ shoe_size }}</mjml>{% block subject %}x{% endblock %}", 3, "'shoe_size' is undefined"),
    ],
)
def test_a_template_s_fault_is_told_at_its_line(shop: Path, template: str, line: int, said: str) -> None:
    (shop / "templates").mkdir()
    (shop / "templates" / "thank-you.mjml").write_text(template)
    (found,) = told(shop)
    assert found.startswith(f"templates/thank-you.mjml:{line}:1 thank-you.mjml: ")
    assert said in found


def test_what_trust_in_browsers_means_is_told_and_is_no_fault(shop: Path) -> None:
    change(shop / "storefronts.yaml", "  locale: en", "  locale: en\n  trust: browser")
    (said,) = told(shop)
    assert said.startswith("storefronts.yaml:9:3 note: `trust: browser` lets orders count that anybody")
    assert check(shop, "--strict").exit_code == 0


def test_programs_get_json(shop: Path) -> None:
    change(shop / "storefronts.yaml", "currency: EUR", "currency: Euro")
    found = check(shop, "--json")
    said = json.loads(found.stdout)
    assert (found.exit_code, said["refused"]) == (2, True)
    assert said["findings"] == [
        {
            "file": f"{shop}/storefronts.yaml",
            "line": 6,
            "column": 3,
            "level": "fault",
            "message": "Euro is no ISO 4217 code",
            "fix": "write it as in EUR",
        }
    ]
    assert said["counts"]["track"] == 8


def test_without_a_name_the_shop_of_the_environment_is_checked(shop: Path) -> None:
    found = CliRunner().invoke(app, ["check"], env={"STAGEPOST_SHOP": str(shop)})
    assert (found.exit_code, found.output.partition(":")[0]) == (0, f"{shop}/")


def test_keys_that_yaml_takes_for_something_else_are_names(shop: Path) -> None:
    text = (shop / "followups.yaml").read_text(encoding="utf-8")
    (shop / "followups.yaml").write_text(text.replace("thank-you:", "2026:") + "true: {}\n", encoding="utf-8")
    assert [line.split(";")[0] for line in told(shop)] == [
        f"followups.yaml:35:1 `{key}` is missing" for key in ("max_age", "purpose", "when")
    ]


@pytest.mark.parametrize("junk", ["", "[]", "7", "[1, {a: b}]", "main-shop: 7", "tracks: 7", "a: {when: []}", "a: [b"])
@pytest.mark.parametrize("file", ["storefronts.yaml", "lifecycle.yaml", "followups.yaml", "scenarios/first-steps.yaml"])
def test_whatever_stands_in_a_file_is_told_and_never_stumbled_over(shop: Path, file: str, junk: str) -> None:
    (shop / file).write_text(junk, encoding="utf-8")
    found = check_shop(shop)
    assert all(
        finding.file.endswith(file) for finding in found.found if "lifecycle.yaml has no track" not in str(finding)
    )
