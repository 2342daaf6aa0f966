"""The presets: scenarios walk every stage and rule of them; docs/lifecycles.md names nothing that is not there."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from notifier.shipped import shipped
from services.contracts.storefront import Sender, Storefront
from services.contracts.vocabulary import NAMES
from stage_engine.model.load import PRESETS, load_model, presets
from stage_engine.model.model import EventRule, Model, Track
from stage_engine.scenarios.coverage import covered
from stage_engine.scenarios.play import Played, play
from stage_engine.scenarios.read import read_file
from stage_engine.scenarios.show import failure

SHARED = "groundwork"
PUBLISHED = ["crm", "five-stage-reach", "sales-cycle", "seven-stage", "six-stage"]
DOCS = (Path(__file__).resolve().parents[2] / "docs" / "lifecycles.md").read_text(encoding="utf-8")
SHOP = Storefront(
    name="Shop",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Shop", email="hello@shop.example"),
)


@cache
def model(preset: str) -> Model:
    return load_model(PRESETS / f"{preset}.yaml")


@cache
def played(preset: str) -> tuple[Played, ...]:
    readings = [read_file(PRESETS / "scenarios" / f"{name}.yaml", model(preset), SHOP) for name in (SHARED, preset)]
    assert [str(fault) for reading in readings for fault in reading.faults] == []
    return tuple(play(scenario, model(preset), SHOP) for reading in readings for scenario in reading.scenarios)


def unreached(track: Track) -> set[str]:
    """Stages to which no way leads that documented events alone can take."""
    ways = [rule for rule in track.rules() if not isinstance(rule, EventRule) or rule.on & NAMES]
    begins = track.begins_on is None or bool(track.begins_on & NAMES)
    reached = {track.start} if begins else set()
    while (
        found := {rule.target for rule in ways if reached and (rule.sources is None or rule.sources & reached)}
        - reached
    ):
        reached |= found
    return set(track.stages) - reached


def test_there_are_the_five_that_were_published() -> None:
    assert presets() == PUBLISHED


@pytest.mark.parametrize("preset", PUBLISHED)
def test_every_scenario_of_a_preset_holds(preset: str) -> None:
    assert "\n".join(failure(one, one.failed) for one in played(preset) if one.failed) == ""


@pytest.mark.parametrize("preset", PUBLISHED)
def test_no_rule_of_a_preset_is_never_fired_and_no_stage_never_reached(preset: str) -> None:
    found = covered(model(preset), (move for one in played(preset) for move in one.moves))
    assert (found.never_fired, found.never_reached) == ((), ())


@pytest.mark.parametrize("preset", PUBLISHED)
def test_documented_events_lead_to_every_stage(preset: str) -> None:
    assert {track.name: unreached(track) for track in model(preset).tracks if unreached(track)} == {}


def test_a_stage_that_only_an_undocumented_event_reaches_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.yaml"
    stages = "hidden: {enter: [{on: Tea Taken}]}, beyond: {enter: [{after: 1d, from: hidden}]}"
    path.write_text(f"extends: crm\ntracks: {{lifecycle: {{stages: {{{stages}}}}}}}", encoding="utf-8")
    assert unreached(load_model(path).track("lifecycle")) == {"hidden", "beyond"}


def test_a_rule_that_no_scenario_fires_is_found(tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.yaml"
    text = (
        "extends: crm\ntracks: {lifecycle: {stages: {vip: {enter: [{on: Loyalty Joined, when: facts.orders > 99}]}}}}"
    )
    path.write_text(text, encoding="utf-8")
    found = covered(load_model(path), (move for one in played("crm") for move in one.moves))
    assert [rule.split(" ")[-1] for rule in found.never_fired] == ["(lifecycle.vip[0])"]
    assert found.never_reached == ("lifecycle: vip",)


@pytest.mark.parametrize("preset", PUBLISHED)
def test_an_order_wins_back_who_is_at_risk_and_who_has_churned(preset: str) -> None:
    back = [
        rule
        for rule in model(preset).track("lifecycle").rules()
        if isinstance(rule, EventRule) and rule.sources == {"at_risk", "churned"} and rule.on == {"Order Completed"}
    ]
    assert len(back) == 1


# docs/lifecycles.md


def sections() -> Iterator[tuple[str, list[list[str]]]]:
    """Each preset, and the shared part as the groundwork, with the rows of its table."""
    for section in re.split(r"^## ", DOCS, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
        name = re.match(r"`([\w-]+)`", title)
        if name or title == "What all five have":
            yield (name[1] if name else SHARED), rows[1:]


ROWS = [(preset, row) for preset, rows in sections() for row in rows]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def models_of(section: str) -> Sequence[str]:
    return PUBLISHED if section == SHARED else [section]


def test_every_preset_has_its_table() -> None:
    assert sorted({section for section, _ in ROWS}) == sorted([*PUBLISHED, SHARED])
    assert {len(row) for _, row in ROWS} == {6}
    assert len(ROWS) > 60


@pytest.mark.parametrize("preset", PUBLISHED)
def test_every_stage_of_a_preset_stands_in_its_table_or_in_the_shared_one(preset: str) -> None:
    told = {name for section, row in ROWS if section in (preset, SHARED) for name in quoted(row[1])}
    stages = {
        track.name + ": " + stage if track.name != "lifecycle" else stage
        for track in model(preset).tracks
        for stage in track.stages
    }
    assert stages - told <= {"cart: active", "cart: ordered"}


@pytest.mark.parametrize(("section", "row"), ROWS, ids=lambda value: value if isinstance(value, str) else value[0][:40])
def test_all_that_a_row_names_is_there(section: str, row: list[str]) -> None:
    _, stage, by, kpi, follow_up, shown_by = row
    for preset in models_of(section):
        tracks = {track.name: track for track in model(preset).tracks}
        rules = {rule.id for track in tracks.values() for rule in track.rules()}
        if not stage.startswith(("out of scope", "every stage")):
            for name in quoted(stage):
                track, _, named = name.rpartition(": ")
                assert named in tracks[track or "lifecycle"].stages
        assert {name for name in quoted(by) if "[" not in name} <= NAMES
        assert {name for name in quoted(by) if "[" in name} <= rules
        assert set(quoted(kpi)) <= set(model(preset).facts)
        if shown_by:
            assert shown_by in {one.scenario.name for one in played(preset)}
    assert set(quoted(follow_up)) <= set(shipped())
    coming = follow_up.partition("*coming*: ")[2].split(", ")
    assert not set(coming) & set(shipped()), "this follow-up has come"


def test_the_rule_that_wins_back_is_the_one_that_is_named() -> None:
    for section, row in ROWS:
        if row[0] == "won back":
            (named,) = (name for name in quoted(row[2]) if "[" in name)
            rule = next(rule for rule in model(section).track("lifecycle").rules() if rule.id == named)
            assert rule.sources == {"at_risk", "churned"}
            assert rule.target in quoted(row[1])
