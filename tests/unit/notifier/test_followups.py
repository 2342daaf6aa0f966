"""What a marketer may write in followups.yaml, and how a slip is told."""

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.followups import Entered, FollowUp, Left, OncePer, Purpose
from notifier.followups_file import read_follow_ups
from services.errors import ShopError
from services.shop import YamlFile

GOOD = """\
abandoned-cart:
  when: {track: cart, entered: abandoned}
  until: {left: abandoned}
  purpose: marketing
  template: abandoned-cart
  max_age: 24h
"""


def read(tmp_path: Path, text: str) -> FollowUp:
    file = tmp_path / "followups.yaml"
    file.write_text(text, encoding="utf-8")
    return next(iter(read_follow_ups(YamlFile(file)).values()))


def test_the_shipped_file_says_what_it_always_said(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found == FollowUp(
        name="abandoned-cart",
        track="cart",
        entered="abandoned",
        until=Left(stage="abandoned"),
        purpose=Purpose.MARKETING,
        template="abandoned-cart",
        wait=timedelta(0),
        max_age=timedelta(hours=24),
        once_per=OncePer.INSTANCE,
        resend_unknown=False,
    )


@pytest.mark.parametrize("directory", ["shop", "examples/demo-shop"])
def test_both_shop_directories_can_be_read(directory: str) -> None:
    found = read_follow_ups(YamlFile(Path(__file__).parents[3] / directory / "followups.yaml"))
    assert found["thank-you"].until == Entered(stages=frozenset({"cancelled"}))
    assert found["thank-you"].purpose is Purpose.TRANSACTIONAL


@pytest.mark.parametrize(("track", "expected"), [("cart", "instance"), ("order", "instance"), ("lifecycle", "cause")])
def test_carts_and_orders_are_mailed_once_each_and_customers_once_a_cause(
    tmp_path: Path, track: str, expected: str
) -> None:
    assert read(tmp_path, GOOD.replace("track: cart", f"track: {track}")).once_per == expected


def test_wait_and_once_per_can_be_said(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + "  wait: 30m\n  once_per: cause\n")
    assert (found.wait, found.once_per) == (timedelta(minutes=30), OncePer.CAUSE)


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        (GOOD + "  waits: 3h\n", ":7:3", "did you mean `wait`?"),
        (GOOD.replace("entered: abandoned}", "entred: abandoned}"), ":2:23", "did you mean `entered`?"),
        (GOOD.replace("max_age: 24h", "max_age: a day"), ":6:3", "is no duration"),
        (GOOD.replace("left: abandoned", "left: active"), ":3:11", "write `abandoned` here"),
        (GOOD.replace("{left: abandoned}", "{}"), ":3:3", "write either"),
        (GOOD + "  wait: 25h\n", ":6:3", "longer"),
        (GOOD + "  resend_unknown: true\n", ":7:3", "marketing is never sent twice"),
        (GOOD.replace("purpose: marketing", "purpose: spam"), ":4:3", "spam"),
        (GOOD.replace("template: abandoned-cart", "template: ../secret"), ":5:3", "no template's name"),
        (GOOD.replace("abandoned-cart:", "Abandoned Cart:"), ":1:1", "can't name a follow-up"),
        (GOOD.replace("  max_age: 24h\n", ""), ":1:1", "max_age"),
    ],
)
def test_a_slip_is_told_with_its_place_and_the_fix(tmp_path: Path, written: str, place: str, said: str) -> None:
    with pytest.raises(ShopError) as caught:
        read(tmp_path, written)
    assert f"followups.yaml{place} " in str(caught.value)
    assert said in str(caught.value)


def test_an_empty_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "followups.yaml").write_text("# nothing yet\n")
    assert read_follow_ups(YamlFile(tmp_path / "followups.yaml")) == {}
