"""The follow-ups that come along: all can be switched on by a line, in every preset, and each has its end."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from notifier.conditions import scope
from notifier.followups import FollowUp
from notifier.followups_file import read_follow_ups
from notifier.plan import happened_in
from notifier.render import Renderer
from notifier.shipped import FILE, shipped
from notifier.trial import try_out
from services.checks import Level, check_shop
from services.contracts.changes import Profile
from services.errors import ShopError
from services.new_shop import write_shop
from services.shop import YamlFile
from tests.unit.notifier.test_guard import instance_of
from tests.unit.notifier.test_render import shop

ALL = read_follow_ups(YamlFile(FILE))
DOCS = (Path(__file__).parents[3] / "docs" / "followups.md").read_text(encoding="utf-8")
(BROWSING,) = re.findall(r"```yaml lifecycle.yaml\nextends: seven-stage\n(.*?)```", DOCS, re.DOTALL)
PRESETS = ["crm", "five-stage-reach", "sales-cycle", "seven-stage", "six-stage"]


def read(folder: Path, text: str) -> dict[str, FollowUp]:
    (folder / "followups.yaml").write_text(text, encoding="utf-8")
    return dict(read_follow_ups(YamlFile(folder / "followups.yaml")))


@pytest.mark.parametrize("name", shipped())
def test_one_line_switches_it_on(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"{name}: shipped") == {name: ALL[name]}


def test_what_stands_beside_replaces_and_null_takes_away(tmp_path: Path) -> None:
    found = read(tmp_path, "win-back:\n  extends: shipped\n  max_age: 2d\n  coupon: null\n  holdout: 10%\n")["win-back"]
    assert found.max_age.days == 2
    assert found.steps[0].coupon is None
    assert found.holdout == 0.1
    assert (found.track, found.stage) == ("lifecycle", "churned")


@pytest.mark.parametrize(
    ("stages", "hours", "reminded"),
    [
        ({}, 0, True),
        ({"checkout": "begun"}, 0, False),
        ({"checkout": "abandoned"}, 0, False),
        ({"checkout": "failed"}, 3, False),
        ({"checkout": "abandoned"}, 30 * 24, True),
        ({"checkout": "completed"}, 0, True),
    ],
)
def test_whoever_stopped_at_the_checkout_is_not_reminded_of_that_cart_and_is_of_a_later_one(
    stages: dict[str, str], hours: int, *, reminded: bool
) -> None:
    """An abandoned checkout stands there for good, unless something is bought."""
    condition, cart = ALL["abandoned-cart"].condition, instance_of("active", "abandoned")
    happened = happened_in(cart, cart.moves[-1].id)
    assert condition is not None
    assert happened is not None
    since = dict.fromkeys(stages, happened.move.at - timedelta(hours=hours))
    assert condition.holds(scope(cart, happened, Profile(), stages, since)) is reminded


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        ("win-back: shiped", ":1:1", "write `shipped` here"),
        ("winback: shipped", ":1:1", "no follow-up `winback` comes along; there are: abandoned-cart"),
        ("win-back:\n  extends: seven-stage", ":2:3", "write `shipped` here"),
        ("win-back:\n  extends: shipped\n  waits: 3d", ":3:3", "did you mean `wait`?"),
    ],
)
def test_a_slip_is_told_with_its_place(tmp_path: Path, written: str, place: str, said: str) -> None:
    with pytest.raises(ShopError) as caught:
        read(tmp_path, written)
    assert f"followups.yaml{place} " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_each_has_what_ends_it_and_can_be_written(name: str) -> None:
    assert ALL[name].until is not None
    try_out(Renderer(Path("nowhere")), ALL[name], shop())


@pytest.mark.parametrize("preset", PRESETS)
def test_all_of_them_stand_on_every_preset(tmp_path: Path, preset: str) -> None:
    write_shop(tmp_path / "shop", preset)
    (tmp_path / "shop" / "followups.yaml").write_text("".join(f"{name}: shipped\n" for name in shipped()))
    with (tmp_path / "shop" / "lifecycle.yaml").open("a") as lifecycle:
        lifecycle.write(BROWSING)
    with (tmp_path / "shop" / "storefronts.yaml").open("a") as storefronts:
        storefronts.write("\n  staff: service@shop.example\n")
    report = check_shop(tmp_path / "shop")
    assert [str(finding) for finding in report.of(Level.FAULT)] == []
    assert [str(finding) for finding in report.of(Level.WARNING)] == []
