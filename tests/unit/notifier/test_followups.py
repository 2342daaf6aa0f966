"""What a marketer may write in followups.yaml, and how a slip is told."""

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.followups import Coupon, Entered, FollowUp, Left, OncePer, Purpose, Step
from notifier.followups_file import read_follow_ups
from services.contracts.storefront import Redirect
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
        stage="abandoned",
        until=Left(stage="abandoned"),
        purpose=Purpose.MARKETING,
        steps=(Step(number=1, after=timedelta(0), template="abandoned-cart"),),
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
    assert (found.steps[0].after, found.once_per) == (timedelta(minutes=30), OncePer.CAUSE)


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        (GOOD + "  waits: 3h\n", ":7:3", "did you mean `wait`?"),
        (GOOD.replace("entered: abandoned}", "entred: abandoned}"), ":2:23", "did you mean `entered`?"),
        (GOOD.replace("max_age: 24h", "max_age: a day"), ":6:3", "is no duration"),
        (GOOD.replace("left: abandoned", "left: active"), ":3:11", "write `abandoned` here"),
        (GOOD.replace("{left: abandoned}", "{}"), ":3:3", "write `left: stage`"),
        (GOOD.replace("max_age: 24h", "max_age: 0s"), ":6:3", "within no time"),
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


STEPS = """\
abandoned-cart:
  when: {track: cart, entered: abandoned, if: size(cart.items) > 0}
  until: {track: order, entered: [placed]}
  purpose: marketing
  priority: 10
  once_per: {customer: 30d}
  max_age: 24h
  holdout: 12.5%
  delivery: {redirect: staging@shop.example}
  steps:
    - {wait: 1h, template: abandoned-cart}
    - wait: 23h
      channel: [email, webhook]
      endpoint: retargeting
      coupon: {prefix: COMEBACK, worth: 10 %, valid: 7d}
      if: '!(customer.traits.vip == true) && stages.lifecycle == "at_risk"'
      variants: {a: {weight: 1, template: warm}, b: {weight: 3, template: plain}}
"""


def test_steps_wait_for_each_other_and_say_all_that_a_message_can(tmp_path: Path) -> None:
    found = read(tmp_path, STEPS)
    first, second = found.steps
    assert (first.number, first.after, first.channels) == (1, timedelta(hours=1), ("email",))
    assert (second.number, second.after, second.channels) == (2, timedelta(hours=24), ("email", "webhook"))
    coupon = Coupon(prefix="COMEBACK", worth="10 %", valid=timedelta(days=7))
    assert second.look("b") == ("plain", coupon)
    assert (first.look(None), found.templates) == (("abandoned-cart", None), ("abandoned-cart", "warm", "plain"))
    assert found.until == Entered(track="order", stages=frozenset({"placed"}))
    assert (found.once_per, found.cool_down) == (OncePer.CUSTOMER, timedelta(days=30))
    assert (found.priority, found.holdout, found.delivery) == (10, 0.125, Redirect(redirect="staging@shop.example"))
    assert found.condition is not None
    assert second.condition is not None


def test_what_stands_alone_is_one_step(tmp_path: Path) -> None:
    alone = read(tmp_path, GOOD + "  wait: 1h\n")
    listed = GOOD.replace("  template: abandoned-cart\n", "") + "  steps: [{wait: 1h, template: abandoned-cart}]\n"
    assert alone == read(tmp_path, listed)


def test_leaving_a_stage_starts_one_too(tmp_path: Path) -> None:
    found = read(
        tmp_path, GOOD.replace("entered: abandoned", "left: active").replace("  until: {left: abandoned}\n", "")
    )
    assert (found.stage, found.leaving) == ("active", True)


@pytest.mark.parametrize(
    ("was", "is_", "place", "said"),
    [
        ("size(cart.items)", "size(crat.items)", ":2:52", "did you mean cart?"),
        ("customer.traits.vip", "customer.trait.vip", ":16:23", "did you mean customer.traits?"),
        ("      endpoint: retargeting\n", "", ":13:7", "write `endpoint:`"),
        ("  holdout: 12.5%", "  holdout: 100%", ":8:3", "less than 100%"),
        ("{weight: 1, template: warm}", "{weight: 1}", ":17:18", "`template` is missing"),
        ("  max_age: 24h\n", "  max_age: 24h\n  template: alone\n", ":8:3", "write it into `steps`"),
    ],
)
def test_a_slip_in_a_step_is_told_where_it_stands(tmp_path: Path, was: str, is_: str, place: str, said: str) -> None:
    with pytest.raises(ShopError) as caught:
        read(tmp_path, STEPS.replace(was, is_))
    assert f"followups.yaml{place} " in str(caught.value)
    assert said in str(caught.value)
