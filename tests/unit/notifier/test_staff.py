"""What goes to the shop's own people: to them alone, whatever the customer said, and about the customer."""

import html
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from babel.core import Locale
from hypothesis import given
from hypothesis.strategies import text

from notifier.content import Material, content_of
from notifier.followups import EMAIL, FollowUp, Step
from notifier.followups_file import read_follow_ups
from notifier.holdings import Customer, Instance, Move
from notifier.links import SAMPLE
from notifier.packing import concerned
from notifier.reach import Aim, Reachable, aim
from notifier.render import Rendered, Renderer
from notifier.shipped import FILE
from notifier.shown import LONGEST_WORDS, MOST_LINES, words
from services.checks import Level, check_shop
from services.contracts.changes import Address, Cause, Profile, Subject
from services.contracts.events import SaidBy
from services.contracts.reasons import Reason
from services.errors import ShopError
from services.new_shop import write_shop
from services.shop import YamlFile
from stage_engine.subjects import MAX_COMMENT
from tests.unit.notifier.builders import NOON, THANK_YOU, uid
from tests.unit.notifier.test_render import Links, shop

RENDERER = Renderer(Path("nowhere"))
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


HOSTILE = """<a href="https://evil.example/x">Click</a> {{ shop.url }} <b>now</b>
url(https://evil.example/y.png) & javascript:alert(1)
\x00\x07


Das ist „kaputt“ — 壊れた"""


def told_of(comment: str | None, language: str = "en", profile: Profile | None = None) -> Rendered:
    """As it is written for an unhappy customer who wrote this."""
    move = Move(
        id=uid("move"),
        to_stage="unhappy",
        at=NOON,
        cause=Cause(identity=uid("i"), event_id="e1"),
        starts=True,
        facts={"csat": 1},
    )
    instance = Instance(
        instance=uid("satisfaction"),
        customer_id=uid("ann"),
        track="satisfaction",
        key="",
        stage="unhappy",
        since=NOON,
        subject=Subject(comment=comment),
        moves=(move,),
        moved_by=0,
    )
    profile = profile or Profile(traits={"first_name": "Ann"})
    ann = Customer(id=uid("ann"), storefront="main-shop", profile=profile)
    storefront = shop(staff="service@shop.example", locale=language)
    content = content_of(
        Material(
            storefront=storefront,
            profile=Profile(),
            track="satisfaction",
            key="",
            subject=instance.subject,
            marketing=False,
            links=SAMPLE,
            locale=Locale(language),
            concerned=concerned(ann, instance, move.id, SAMPLE),
        )
    )
    return RENDERER.render("unhappy-answer", content)


@pytest.mark.parametrize(("language", "quoted"), [("en", "“It came broken.”"), ("de", "„It came broken.“")])
def test_they_read_why_somebody_is_unhappy_and_where_to_see_them(language: str, quoted: str) -> None:
    rendered = told_of("It came broken.", language)
    for part in (rendered.text, html.unescape(rendered.html)):
        assert quoted in part
        assert "CSAT 1" in part
        assert f"https://console.example/customers/{uid('ann')}" in part


def test_without_a_comment_nothing_is_quoted() -> None:
    assert not set("“”") & set(told_of(None).text)


def test_what_a_customer_wrote_is_text_and_leads_nowhere() -> None:
    without, rendered = Links(told_of(None).html), told_of(HOSTILE)
    written = Links(rendered.html)
    assert written.links == without.links
    assert set(written.tags) - {"p"} == set(without.tags) - {"p"}
    for part in (rendered.text, html.unescape(rendered.html)):
        assert '<a href="https://evil.example/x">Click</a> {{ shop.url }} <b>now</b>' in part
        assert "url(https://evil.example/y.png) & javascript:alert(1)" in part
        assert "Das ist „kaputt“ — 壊れた" in part
        assert not set("\x00\x07") & set(part)


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\r\nBcc: x@evil.example", "\ufffe", "\uffff", "\x85"])
def test_signs_that_no_mail_can_hold_keep_nobody_from_being_told(sign: str) -> None:
    addresses = {"sms": Address(value=f"+49{sign}30", said_by=SaidBy.SERVER)}
    profile = Profile(traits={"first_name": f"Ann{sign}", "last_name": "Quill"}, addresses=addresses)
    rendered = told_of(f"It is{sign} broken.", profile=profile)
    assert rendered.subject.startswith("Ann")
    assert "Quill is not happy" in rendered.subject
    assert "\n" not in rendered.subject
    assert "broken." in rendered.text


def test_they_write_to_an_address_that_a_server_said_and_to_nobody_beside() -> None:
    ann = Address(value="ann?bcc=x@mail.example", said_by=SaidBy.SERVER)
    rendered = told_of(None, profile=Profile(addresses={"email": ann}))
    assert "mailto:ann%3Fbcc%3Dx@mail.example" in Links(rendered.html).links
    claimed = Address(value=ann.value, said_by=SaidBy.BROWSER)
    assert "ann?" not in told_of(None, profile=Profile(addresses={"email": claimed, "sms": claimed})).text


@given(text())
def test_whatever_they_wrote_they_are_told_of_it_in_bounds(comment: str) -> None:
    shown = words(comment)
    assert len(shown) <= MOST_LINES
    assert sum(map(len, shown)) <= LONGEST_WORDS + 1
    assert not set("\ufffe\uffff") & set("".join(shown))
    assert all(line and line == line.strip() and len(line.splitlines()) == 1 for line in shown)


def test_what_is_cut_of_it_shows_that_it_was() -> None:
    assert words("a" * LONGEST_WORDS) == ("a" * LONGEST_WORDS,)
    assert words("a" * (LONGEST_WORDS + 1)) == ("a" * LONGEST_WORDS + "…",)
    assert words("a\n" * (MOST_LINES + 1)) == (*["a"] * (MOST_LINES - 1), "a…")
    assert LONGEST_WORDS < MAX_COMMENT, "what the engine cut is cut here as well, and shows it"
