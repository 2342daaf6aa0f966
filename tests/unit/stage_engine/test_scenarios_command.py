"""`stagepost test`: what it prints, and its exit codes."""

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from services.shop import default_shop
from stage_engine.commands import register
from tests.unit.stage_engine.scenario_builders import shown

app = typer.Typer()
register(app)
FAILS = "it fails:\n  - given: {event: Product Viewed}\n  - expect: {stage: {lifecycle: churned}}\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the default shop with one scenario that holds."""
    found = Path(shutil.copytree(default_shop(), tmp_path / "shop", ignore=shutil.ignore_patterns("scenarios")))
    write(found, "views", "it holds:\n  - given: {event: Product Viewed}\n  - expect: {stage: {lifecycle: interest}}\n")
    return found


def write(shop: Path, name: str, text: str) -> None:
    (shop / "scenarios").mkdir(exist_ok=True)
    (shop / "scenarios" / f"{name}.yaml").write_text(text, encoding="utf-8")


def run(shop: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["test", str(shop), *arguments])


def test_all_that_hold_are_counted(shop: Path) -> None:
    assert (run(shop).exit_code, run(shop).output) == (0, "1 scenario passed, 0 failed\n")


def test_a_failure_exits_with_one_and_names_its_place(shop: Path) -> None:
    write(shop, "more", FAILS)
    found = run(shop)
    assert found.exit_code == 1
    assert "✗ it fails\n" in found.output
    assert f"{shop}/scenarios/more.yaml:3:5\n" in found.output
    assert found.output.endswith("1 scenario passed, 1 failed\n")


def test_a_fault_in_any_file_exits_with_two_and_plays_nothing(shop: Path) -> None:
    write(shop, "more", "a: [{advance: x}]")
    write(shop, "no-yaml", "a: [")
    found = run(shop)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "more.yaml:1:6 `x` is no duration" in found.stderr
    assert "no-yaml.yaml:1:5 this is no YAML" in found.stderr


def test_a_fault_of_the_model_is_told_as_everywhere(shop: Path) -> None:
    (shop / "lifecycle.yaml").write_text("extends: eight-stage\n", encoding="utf-8")
    assert run(shop).exit_code == 2
    assert "there is no preset `eight-stage`" in run(shop).stderr


def test_no_scenarios_at_all_is_a_fault(shop: Path) -> None:
    shutil.rmtree(shop / "scenarios")
    found = run(shop)
    assert found.exit_code == 2
    assert "holds no scenario; write one as in docs/scenarios.md" in found.stderr


def test_some_are_chosen_by_name_or_by_file(shop: Path) -> None:
    write(shop, "more", FAILS)
    assert run(shop, "it HOLDS").output == "1 scenario passed, 0 failed\n"
    assert run(shop, "more").exit_code == 1
    assert run(shop, "nothing").exit_code == 2
    assert "no scenario is called `nothing`" in run(shop, "nothing").stderr


def test_the_directory_may_stand_in_the_environment(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEPOST_SHOP", str(shop))
    assert CliRunner().invoke(app, ["test", "holds"]).output == "1 scenario passed, 0 failed\n"


def test_what_holds_is_told_at_length_where_asked(shop: Path) -> None:
    assert "✓ it holds\n  2026-01-01 00:00  Product Viewed user_id customer\n" in run(shop, "-v").output


def test_what_no_scenario_walks_is_named(shop: Path) -> None:
    found = run(shop, "--coverage")
    assert found.exit_code == 0
    assert "never fired    order: shipped on Order Shipped, from placed (order.shipped[0])" in found.output
    assert "never reached  lifecycle: churned" in found.output
    assert "lifecycle.interest[0]" not in found.output
    assert "cart.active.on" not in found.output.split("never reached")[1]


def test_a_failure_shows_the_journey_beside_what_was_expected_within_a_hundred_columns() -> None:
    said = shown(
        "given: {event: Product Added, at: 2026-03-01 10:00, email: somebody.with.a.long.name@shop.example,"
        " cart_id: c1, product_id: p1}",
        "advance: 2h",
        "expect: {stage: {cart: active}, reasons: an answer that nobody gave, facts: {orders: 0}}",
    )
    lines = said.splitlines()
    assert max(map(len, lines)) <= 100
    assert "  2026-03-01 10:00  Product Added" in said
    assert any("cart c1 → abandoned" in line for line in lines)
    beside = [line[64:].strip() for line in lines]
    assert beside[3:5] == ["expected at 2026-03-01 12:00", "─" * 34]
    assert beside[5:7] == ["✗ cart: active", "is abandoned"]
    assert "✓ orders: 0" in said


def test_what_was_taken_back_stands_in_the_journey() -> None:
    said = shown(
        "given: {event: Product Added, cart_id: c1, product_id: p1}",
        "advance: 2h",
        "given: {event: Order Completed, order_id: o1, ago: 90m}",
        "expect: {stage: {cart: abandoned}}",
    )
    assert "Order Completed (comes late)" in said
    assert "taken back: cart c1 → abandoned" in said
