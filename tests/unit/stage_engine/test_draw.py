"""`stagepost draw`: a track as Mermaid. The form was tried on Mermaid 11's own reader."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.shop import default_shop
from stage_engine.commands import register
from stage_engine.model.draw import markdown, mermaid
from tests.unit.stage_engine.builders import SEVEN, model

app = typer.Typer(pretty_exceptions_enable=False)
register(app)


def drawn(stages: str, per: str = "customer", facts: str = "") -> list[str]:
    found = mermaid(model(f"{facts}\ntracks: {{way: {{per: {per}, stages: {{{stages}}}}}}}").track("way"))
    first, *rest = found.splitlines()
    assert first == "stateDiagram-v2"
    return [line.removeprefix("    ") for line in rest]


def test_what_leads_where_and_why() -> None:
    said = drawn(
        "a: {start: true}, b: {enter: [{on: Order Completed, when: facts.n == 1, from: a}]},"
        " c: {enter: [{after: 90d, since: facts.last_order_at, from: b}]},"
        " d: {final: true, enter: [{after: 7d, from: c}, {after: 1d, idle: true, from: b}]}",
        facts="facts: {n: {count: Order Completed}, last_order_at: {latest: Order Completed}}",
    )
    assert said == [
        "[*] --> a",
        "a --> b: Order Completed [facts.n == 1]",
        "b --> c: after 90d since last order",
        "c --> d: after 7d",
        "b --> d: after 1d without activity",
        "d --> [*]",
    ]


def test_what_begins_a_cart_stands_at_its_beginning_and_brings_it_back() -> None:
    assert mermaid(SEVEN.track("cart")).splitlines()[1:4] == [
        "    [*] --> active: Cart Updated, Product Added, Product Removed",
        "    abandoned --> active: Cart Updated, Product Added, Product Removed",
        "    active --> abandoned: after 1h without activity [size(cart.items) > 0]",
    ]


def test_a_rule_from_anywhere_is_drawn_once() -> None:
    said = mermaid(SEVEN.track("lifecycle"))
    assert said.count("purchase: Order Completed [facts.orders == 1]") == 1
    assert '    state "any other stage" as any_other\n' in said
    assert "    any_other --> purchase: Order Completed [facts.orders == 1]\n" in said


def test_names_and_conditions_that_mermaid_can_not_read_are_coded() -> None:
    said = drawn(
        'end: {start: true}, "at risk: <b>": {final: true, enter: '
        "[{on: Survey Answered, when: 'event.kind == \"a;b#1\" ? event.x < 3 : event.y > 2'}]}"
    )
    assert said == [
        'state "end" as s0',
        'state "at risk#58; #60;b>" as s1',
        "[*] --> s0",
        's0 --> s1: Survey Answered [event.kind == "a#59;b#35;1" ? event.x #60; 3 #58; event.y > 2]',
        "s1 --> [*]",
    ]


def test_a_rule_that_can_move_nobody_is_not_drawn() -> None:
    said = drawn(
        "a: {start: true}, b: {final: true, enter: [{on: Product Viewed}]},"
        " c: {final: true, enter: [{on: Product Viewed}]}"
    )
    assert not [line for line in said if line.startswith("a --> b")]


def test_every_track_has_a_heading_and_a_diagram() -> None:
    said = markdown(SEVEN.tracks)
    assert [line for line in said.splitlines() if line.startswith("#")] == [
        f"## {track.name}" for track in SEVEN.tracks
    ]
    assert said.count("```mermaid\nstateDiagram-v2\n") == len(SEVEN.tracks) > 2


@pytest.mark.parametrize(("arguments", "code", "said"), [([], 0, "## lifecycle"), (["--track", "cart"], 0, "## cart")])
def test_the_command_prints_them(arguments: list[str], code: int, said: str) -> None:
    found = CliRunner().invoke(app, ["draw", str(default_shop()), *arguments])
    assert (found.exit_code, found.output.splitlines()[0]) == (code, said)


def test_a_track_that_is_not_there_and_a_model_that_can_not_be_read_exit_2(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["draw", str(default_shop()), "--track", "carts"])
    assert (found.exit_code, "has no track `carts`" in found.output) == (2, True)
    assert CliRunner().invoke(app, ["draw", str(tmp_path)]).exit_code == 2


def test_the_drawing_in_the_documentation_is_the_preset_s() -> None:
    page = (Path(__file__).parents[3] / "docs" / "shop.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{mermaid(SEVEN.track('cart'))}```" in page
