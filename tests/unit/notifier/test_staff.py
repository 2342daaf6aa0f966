"""What goes to the shop's own people: to them alone, whatever the customer said, and about the customer."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from notifier.followups import EMAIL, FollowUp, Step
from notifier.followups_file import read_follow_ups
from notifier.reach import Aim, Reachable, aim
from notifier.reasons import Reason
from notifier.shipped import FILE
from services.checks import Level, check_shop
from services.contracts.changes import Address, Profile
from services.contracts.events import SaidBy
from services.errors import ShopError
from services.new_shop import write_shop
from services.shop import YamlFile
from tests.unit.notifier.builders import THANK_YOU
from tests.unit.notifier.test_render import shop

TOLD = Step(number=1, after=timedelta(), template="unhappy-answer", to_staff=True)
UNHAPPY: FollowUp = replace(THANK_YOU, name="unhappy-answer", steps=(TOLD,))
NO_MAIL = Reachable(
    profile=Profile(
        addresses={"email": Address(value="ann@mail.example", said_by=SaidBy.BROWSER)}, consent={"email": False}
    ),
    claim_spent=True,
    claim_capped=True,
    suppressed=None,
)


def test_the_shops_own_people_are_told_whatever_the_customer_said_about_mail() -> None:
    found = aim(UNHAPPY, TOLD, shop(staff="service@shop.example"), NO_MAIL)
    assert found == Aim(channel=EMAIL, address="service@shop.example", claim=False)


def test_an_address_of_theirs_that_is_none_gets_nothing() -> None:
    gone = replace(NO_MAIL, suppressed="hard_bounce")
    assert aim(UNHAPPY, TOLD, shop(staff="gone@shop.example"), gone) is Reason.SUPPRESSED


@pytest.mark.parametrize("staff", [None, "no address"])
def test_without_an_address_of_theirs_nobody_is_told_and_never_the_customer(staff: str | None) -> None:
    assert aim(UNHAPPY, TOLD, shop(staff=staff), NO_MAIL) is Reason.NOT_CONFIGURED


def test_the_one_that_comes_along_goes_to_them() -> None:
    assert [step.to_staff for step in read_follow_ups(YamlFile(FILE))["unhappy-answer"].steps] == [True]


@pytest.mark.parametrize(
    ("more", "said"),
    [("  purpose: marketing\n", ":3:3 what goes to the shop's own people is no marketing"),
     ("  channel: webhook\n  endpoint: x\n", ":3:3 the shop's own people are told by email")],
)  # fmt: skip
def test_it_is_no_marketing_and_goes_by_mail(tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "followups.yaml").write_text("unhappy-answer:\n  extends: shipped\n" + more)
    with pytest.raises(ShopError) as caught:
        read_follow_ups(YamlFile(tmp_path / "followups.yaml"))
    assert said in str(caught.value)


def test_check_asks_for_their_address(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", "seven-stage")
    (tmp_path / "shop" / "followups.yaml").write_text("unhappy-answer: shipped\n")
    (fault,) = check_shop(tmp_path / "shop").of(Level.FAULT)
    assert "main-shop does not say who is told; write their address as `staff:` of it" in str(fault)
