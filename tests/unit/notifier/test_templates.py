"""The mails that are shipped: all of them can be written, in both parts and all languages, and lead where they may."""

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.domains import own_domains, own_url
from notifier.followups import Coupon, FollowUp
from notifier.links import SAMPLE
from notifier.render import Renderer, RenderError
from notifier.samples import sample_contents
from notifier.words import OURS
from services.shop import Look
from tests.unit.notifier.builders import ABANDONED_CART, THANK_YOU
from tests.unit.notifier.test_render import MUG, Links, mail, shop

PARTS = {"base", "letter", "items", "coupon", "survey"}
MAILS = sorted({path.stem for path in OURS.glob("*.mjml")} - PARTS)
COUPON = Coupon(prefix="ADA", worth="10 %", valid=timedelta(days=7))
RENDERER = Renderer(Path("nowhere"))
STOREFRONT = shop(address="Lindenweg 3, 50674 Köln", look=Look(logo="https://shop.example/logo.png"))


@pytest.mark.parametrize("template", MAILS)
@pytest.mark.parametrize("follow_up", [ABANDONED_CART, THANK_YOU], ids=["marketing", "transactional"])
def test_a_mail_can_be_written_of_whomever_in_every_language(template: str, follow_up: FollowUp) -> None:
    for said, content in sample_contents(follow_up, STOREFRONT, RENDERER.languages, COUPON).items():
        rendered = RENDERER.render(template, content)
        assert rendered.subject, said
        assert f'lang="{content.lang}"' in rendered.html
        assert "Lindenweg 3, 50674 Köln" in rendered.text
        assert "None" not in rendered.subject + rendered.text, said
        assert "{" not in rendered.subject + rendered.text, said


@pytest.mark.parametrize("template", MAILS)
def test_whoever_reads_the_text_gets_every_link_of_the_mail(template: str) -> None:
    content = next(iter(sample_contents(ABANDONED_CART, STOREFRONT, coupon=COUPON).values()))
    rendered = RENDERER.render(template, content)
    pictures = {"https://shop.example/logo.png"}
    for link in set(Links(rendered.html).links) - pictures:
        assert link.removeprefix("mailto:") in rendered.text


@pytest.mark.parametrize(
    ("template", "lines"),
    [
        ("nps-survey", ["0 = Not at all likely, 10 = Very likely"]),
        ("csat-survey", ["1 = Gar nicht, 5 = Sehr"]),
        ("abandoned-cart", ["2 \u00d7 €18.50 = €37.00", "Total: €129.00"]),
        ("abandoned-cart", ["3 things are waiting in your cart"]),
        ("win-back", ["10%", "Your own code: ADA-GSCS4-DY6E7"]),
        ("browse-abandonment", ["Moss green, 130 cm", "€68.00"]),
        ("unhappy-answer", ["Name: Ada Quill", "What they said: NPS 3"]),
    ],
)
def test_what_stands_side_by_side_in_the_mail_can_be_told_apart_in_its_text(template: str, lines: list[str]) -> None:
    contents = sample_contents(ABANDONED_CART, STOREFRONT, RENDERER.languages, COUPON)
    texts = [RENDERER.render(template, content).text.splitlines() for content in contents.values()]
    assert any(set(lines) <= set(text) for text in texts)


@pytest.mark.parametrize("template", ["browse-abandonment", "review-request"])
def test_who_is_to_pay_nothing_is_shown_no_sum(template: str) -> None:
    content = next(iter(sample_contents(ABANDONED_CART, STOREFRONT, coupon=COUPON).values()))
    text = RENDERER.render(template, content).text
    assert "Stoneware Mug" in text
    assert "Total" not in text
    assert "2 \u00d7" not in text


@pytest.mark.parametrize("template", MAILS)
def test_every_picture_says_what_it_shows(template: str) -> None:
    html = RENDERER.render(
        template, next(iter(sample_contents(ABANDONED_CART, STOREFRONT, coupon=COUPON).values()))
    ).html
    assert html.count("<img") == html.count('alt="') - html.count('alt=""')


def test_a_german_customer_of_an_english_shop_gets_german() -> None:
    rendered = mail(MUG, traits={"locale": "de-DE", "first_name": "Ada"}, value="1234.50")
    assert rendered.subject == "Ada, Ihr Warenkorb wartet"
    assert "Summe: 1.234,50 €" in rendered.text
    assert 'lang="de"' in rendered.html


def test_a_file_for_one_language_stands_before_the_one_for_all(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "abandoned-cart.de.mjml").write_text(
        "{% extends 'letter.mjml' %}{% block subject %}Nur für Sie{% endblock %}", encoding="utf-8"
    )
    assert mail(MUG, traits={"locale": "de"}, directory=tmp_path).subject == "Nur für Sie"
    assert mail(MUG, directory=tmp_path).subject == "Your cart at Fern & Fable is waiting"


def test_a_template_that_extends_one_of_ours_has_its_words(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "gift.mjml").write_text("{% extends 'abandoned-cart.mjml' %}", encoding="utf-8")
    (tmp_path / "templates" / "words.en.yaml").write_text("gift: {button: Unwrap it}", encoding="utf-8")
    content = next(iter(sample_contents(ABANDONED_CART, STOREFRONT, coupon=COUPON).values()))
    rendered = Renderer(tmp_path).render("gift", content)
    assert rendered.subject == "Ada, your cart is waiting"
    assert "Unwrap it (" in rendered.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("thank-you: {title: 'Hi {{ nmae }}'}", "words.en.yaml:1:13: 'nmae' is undefined"),
        ("thank-you: {title: '{% if %}'}", "words.en.yaml:1:13: Expected an expression"),
    ],
)
def test_words_that_cannot_be_said_are_told_with_their_place(tmp_path: Path, words: str, said: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "words.en.yaml").write_text(words, encoding="utf-8")
    with pytest.raises(RenderError) as caught:
        mail(MUG, follow_up=THANK_YOU, directory=tmp_path)
    assert said in str(caught.value)


def test_a_template_without_its_words_says_where_to_write_them(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "gift.mjml").write_text("{% extends 'letter.mjml' %}", encoding="utf-8")
    content = next(iter(sample_contents(ABANDONED_CART, STOREFRONT, coupon=COUPON).values()))
    with pytest.raises(RenderError, match=r"no words `preview` .*templates/words.en.yaml, below `gift:`"):
        Renderer(tmp_path).render("gift", content)


def test_markup_in_words_is_text(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "words.en.yaml").write_text("thank-you: {title: 'A <b>big</b> & warm thanks'}")
    rendered = mail(MUG, follow_up=THANK_YOU, directory=tmp_path)
    assert "A <b>big</b> & warm thanks" in rendered.text


# Where a mail may lead


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://shop.example/mug", True),
        ("https://www.shop.example/mug", True),
        ("https://SHOP.example/mug", True),
        ("https://pictures.cdn.example/mug.jpg", True),
        ("https://evil.example/mug", False),
        ("https://notshop.example/mug", False),
        ("https://shop.example.evil.example/", False),
        ("https://shop.example@evil.example/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_the_shops_own_domains_and_those_it_names_are_led_to(url: str, own: bool) -> None:  # noqa: FBT001
    storefront = shop(url="https://www.shop.example", cart_url=None, domains=["cdn.example"])
    assert own_url(url, own_domains(storefront)) == (url if own else None)
    rendered = mail({**MUG, "url": url, "image_url": url}, storefront=storefront)
    assert (url in Links(rendered.html).links) == own


@pytest.mark.parametrize(
    "foreign",
    [
        '<mj-image src="https://evil.example/pixel.png" alt="" />',
        '<mj-button href="https://evil.example/">x</mj-button>',
        '<mj-text><span style="background: url(https://evil.example/x.png)">x</span></mj-text>',
    ],
)
def test_a_foreign_link_in_a_template_is_refused_and_says_what_to_do(tmp_path: Path, foreign: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "thank-you.mjml").write_text(
        "{% extends 'base.mjml' %}{% block subject %}x{% endblock %}{% block content %}"
        f"<mj-section><mj-column>{foreign}</mj-column></mj-section>{{% endblock %}}"
    )
    with pytest.raises(RenderError, match=r"evil.example, which is not the shop's; add it to `domains`"):
        mail(MUG, follow_up=THANK_YOU, directory=tmp_path)
    assert mail(MUG, follow_up=THANK_YOU, directory=tmp_path, storefront=shop(domains=["evil.example"])).html


def test_answers_of_one_click_are_ours_and_one_for_each_score() -> None:
    content = next(iter(sample_contents(THANK_YOU, STOREFRONT).values()))
    links = Links(RENDERER.render("nps-survey", content).html).links
    assert [link for link in links if link.startswith(SAMPLE.base)] == [SAMPLE.answer("nps", n) for n in range(11)]


def test_the_last_day_of_a_coupon_is_the_shops_day_in_the_readers_language() -> None:
    samples = sample_contents(ABANDONED_CART, STOREFRONT, {"en", "de"}, COUPON)
    said = {content.lang: content.coupon.expires for content in samples.values() if content.coupon}
    assert said == {"en": "January 8, 2030", "de": "8. Januar 2030"}
