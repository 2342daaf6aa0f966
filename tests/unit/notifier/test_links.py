"""A link in a mail does what it was made for, for as long as it is good, and can't be made to do anything else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from notifier.links import LONGEST_TOKEN, SAMPLE, VALID, Act, BadLink, LinkMaker, Refusal, Signer, Token
from notifier.settings import LinksSettings
from tests.unit.notifier.builders import NOON

SIGNER = Signer("s" * 32)
MAKER = LinkMaker(base="https://mail.shop.example/", signer=SIGNER)
MESSAGE = UUID(int=7)

tokens = st.builds(
    Token,
    act=st.sampled_from(Act),
    message=st.uuids(),
    expires_at=st.integers(1, 2**32 - 1).map(lambda s: datetime.fromtimestamp(s, UTC)),
    detail=st.text(max_size=60, alphabet=st.characters(exclude_categories=["Cs"])),
)


def token_of(link: str) -> tuple[Act, str]:
    _, prefix, act, text = urlsplit(link).path.split("/")
    assert prefix == "m"
    return Act(act), text


@given(tokens)
def test_what_was_signed_is_read(token: Token) -> None:
    text = SIGNER.sign(token)
    assert SIGNER.read(token.act, text, token.expires_at - timedelta(seconds=1)) == token
    assert SIGNER.read(token.act, text, token.expires_at) is Refusal.EXPIRED


@given(tokens, st.data())
def test_no_other_spelling_of_a_token_is_taken(token: Token, data: st.DataObject) -> None:
    text = SIGNER.sign(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_=+/.\n é").filter(lambda c: c != text[at]))
    for changed in (text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text + other):
        assert SIGNER.read(token.act, changed, NOON) is Refusal.FORGED


@given(st.text(max_size=200))
def test_whatever_else_is_sent_is_refused(text: str) -> None:
    assert SIGNER.read(Act.UNSUBSCRIBE, text, NOON) is Refusal.FORGED


@given(tokens, st.sampled_from(Act))
def test_a_link_for_one_thing_opens_no_other(token: Token, act: Act) -> None:
    read = SIGNER.read(act, SIGNER.sign(token), token.expires_at - timedelta(seconds=1))
    assert read == (token if act is token.act else Refusal.FORGED)


def test_the_secret_before_is_believed_until_it_is_taken_away() -> None:
    old = SIGNER.sign(Token(act=Act.UNSUBSCRIBE, message=MESSAGE, expires_at=NOON))
    earlier = NOON - timedelta(days=1)
    new = Signer("n" * 32, "s" * 32)
    assert isinstance(new.read(Act.UNSUBSCRIBE, old, earlier), Token)
    assert Signer("n" * 32).read(Act.UNSUBSCRIBE, old, earlier) is Refusal.FORGED
    signed_now = new.sign(Token(act=Act.UNSUBSCRIBE, message=MESSAGE, expires_at=NOON))
    assert SIGNER.read(Act.UNSUBSCRIBE, signed_now, earlier) is Refusal.FORGED


def test_every_link_of_a_mail_is_below_one_path_names_its_message_and_is_the_same_at_every_attempt() -> None:
    links, again = MAKER.of(MESSAGE, NOON), MAKER.of(MESSAGE, NOON)
    made = [
        (links.unsubscribe, again.unsubscribe),
        (links.preferences, again.preferences),
        (links.confirm, again.confirm),
        (links.pixel, again.pixel),
        (links.answer("nps", 9), again.answer("nps", 9)),
        (links.click("https://shop.example/mug?a=1&b=2"), again.click("https://shop.example/mug?a=1&b=2")),
    ]
    acts = set()
    for link, same in made:
        assert link == same
        assert link.startswith("https://mail.shop.example/m/")
        act, text = token_of(link)
        token = SIGNER.read(act, text, NOON)
        assert isinstance(token, Token)
        assert (token.message, token.expires_at) == (MESSAGE, NOON + VALID[act])
        acts.add(act)
    assert acts == set(Act)


@pytest.mark.parametrize(
    "url", ["https://shop.example/mug?a=1&b=2#top", "https://shop.example/%C3%A4%20b", "http://a.b/c"]
)
def test_a_click_leads_where_the_mail_said(url: str) -> None:
    token = SIGNER.read(Act.CLICK, token_of(MAKER.of(MESSAGE, NOON).click(url))[1], NOON)
    assert isinstance(token, Token)
    assert token.detail == url


def test_an_address_too_long_to_be_signed_is_linked_as_it_is() -> None:
    url = "https://shop.example/" + "a" * LONGEST_TOKEN
    assert MAKER.of(MESSAGE, NOON).click(url) == url


def test_an_answer_has_its_score_beside_it() -> None:
    link = MAKER.of(MESSAGE, NOON).answer("nps", 9)
    assert urlsplit(link).query == "score=9"
    token = SIGNER.read(Act.ANSWER, token_of(link)[1], NOON)
    assert isinstance(token, Token)
    assert token.detail == "nps"
    assert urlsplit(MAKER.of(MESSAGE, NOON).answer("csat")).query == ""


@pytest.mark.parametrize(
    ("kind", "score", "said"),
    [("npss", 9, "there are nps, csat, ces, delivery"), ("nps", 11, "from 0 to 10"), ("csat", 0, "from 1 to 5")],
)
def test_a_survey_that_is_none_or_a_score_it_does_not_have_is_refused(kind: str, score: int, said: str) -> None:
    with pytest.raises(BadLink, match=said):
        SAMPLE.answer(kind, score)


@pytest.mark.parametrize("url", ["http://mail.shop.example", "mail.shop.example", "https://", "https://a.example/?x=1"])
def test_links_that_no_mail_program_would_follow_are_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError):
        LinksSettings(url=url, secret="s" * 32)
    assert LinksSettings(url="http://127.0.0.1:8082", secret="s" * 32).maker().base == "http://127.0.0.1:8082"


def test_a_customer_is_seen_in_the_console_where_somebody_says_where_that_is() -> None:
    known = replace(MAKER, console="https://console.example/").of(MESSAGE, NOON)
    assert known.customer("c1") == "https://console.example/customers/c1"
    assert known.customer("c1").startswith(known.bases)
    assert MAKER.of(MESSAGE, NOON).customer("c1") is None
