"""What a mail says, and what it can't be made to say."""

from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.core import Locale

from notifier.content import Content, Material, content_of
from notifier.followups import FollowUp, Purpose
from notifier.language import language_for
from notifier.links import SAMPLE
from notifier.render import Rendered, Renderer, RenderError
from notifier.shown import safe_url, worth
from notifier.trial import try_out
from services.contracts.changes import Profile, Subject
from services.errors import ShopError
from services.shop import Look, Sender, Storefront
from tests.unit.notifier.builders import ABANDONED_CART, FOLLOW_UPS, THANK_YOU

ENGLISH = Locale("en")
MUG = {
    "product_id": "p1",
    "name": "Stoneware Mug",
    "variant": "Oat",
    "quantity": 2,
    "price": "18.50",
    "url": "https://shop.example/mug?a=1&b=2",
    "image_url": "https://shop.example/mug.jpg",
}


def shop(**changes: Any) -> Storefront:  # noqa: ANN401  any of its fields
    return Storefront(
        **{
            "name": "Fern & Fable",
            "url": "https://shop.example",
            "cart_url": "https://shop.example/cart",
            "currency": "EUR",
            "timezone": "Europe/Berlin",
            "sender": Sender(name="Fern & Fable", email="hello@shop.example"),
            **changes,
        }
    )


def mail(
    *items: dict[str, Any],
    follow_up: FollowUp = ABANDONED_CART,
    storefront: Storefront | None = None,
    traits: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    key: str = "F-1042",
    directory: Path = Path("nowhere"),
    **subject: Any,  # noqa: ANN401  any of Subject's fields
) -> Rendered:
    renderer = Renderer(directory)
    profile = Profile(traits=traits or {}, claims=claims or {})
    storefront = storefront or shop()
    locale = language_for(profile, storefront, renderer.languages)
    content = about(follow_up, storefront, profile, Subject(items=list(items), **subject), key=key, locale=locale)
    return renderer.render(follow_up.templates[0], content)


def about(
    follow_up: FollowUp,
    storefront: Storefront,
    profile: Profile,
    subject: Subject,
    *,
    key: str = "F-1042",
    locale: Locale = ENGLISH,
) -> Content:
    return content_of(
        Material(
            storefront=storefront,
            profile=profile,
            track=follow_up.track,
            key=key,
            subject=subject,
            marketing=follow_up.purpose is Purpose.MARKETING,
            links=SAMPLE,
            locale=locale,
        )
    )


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("follow_up", FOLLOW_UPS.values(), ids=FOLLOW_UPS)
def test_every_follow_up_renders_with_every_sample(follow_up: FollowUp) -> None:
    try_out(Renderer(Path("nowhere")), follow_up, shop())


@pytest.mark.parametrize(
    ("said", "locale", "shown"),
    [
        ("10 %", "en", "10%"),
        ("10%", "de", "10\u00a0%"),
        ("12,5 %", "en", "12.5%"),
        ("5 €", "en", "5 €"),
        ("a mug", "de", "a mug"),
        ("10 % or a mug", "en", "10 % or a mug"),
    ],
)
def test_a_share_is_written_as_it_is_written_there(said: str, locale: str, shown: str) -> None:
    assert worth(said, Locale(locale)) == shown


def test_a_link_with_brackets_in_it_takes_nothing_out_of_the_text() -> None:
    rendered = mail(MUG | {"url": 'https://shop.example/?a="><script>'}, value="37.00")
    assert 'Stoneware Mug (https://shop.example/?a="><script>)' in rendered.text
    assert "Total: €37.00" in rendered.text


@pytest.mark.parametrize("sign", ["\ufffe", "\uffff", "\x1b"])
def test_signs_that_no_mail_can_hold_are_left_out(sign: str) -> None:
    assert "Stone ware" in mail(MUG | {"name": f"Stone{sign}ware"}, traits={"first_name": f"Ada{sign}"}).text


def test_a_cart_of_which_not_everything_has_a_price_has_no_total() -> None:
    """Its value is the sum of what has one: less than what they would pay."""
    unpriced = {"product_id": "p2", "name": "Fern", "quantity": 1}
    assert "Total" in mail(MUG, value="37.00").text
    assert "Total" not in mail(MUG, unpriced, value="37.00").text
    assert "Total" in mail(MUG, unpriced, follow_up=THANK_YOU, value="41.90").text, "an order's is the shop's own"


def test_items_come_with_picture_quantity_price_and_link() -> None:
    rendered = mail(MUG, value="37.00", url="https://shop.example/c/1")
    links = Links(rendered.html).links
    assert "https://shop.example/mug.jpg" in links
    assert "https://shop.example/mug?a=1&b=2" in links
    assert "https://shop.example/c/1" in links
    for part in (rendered.text, rendered.html.replace("&nbsp;", " ")):
        assert "Stoneware Mug" in part
        assert "€18.50" in part
        assert "€37.00" in part
    assert "2 \N{MULTIPLICATION SIGN} €18.50" in rendered.text


@pytest.mark.parametrize(
    ("locale", "currency", "expected"),
    [
        ("en", "EUR", "€1,234.50"),
        ("de", "EUR", "1.234,50 €"),
        ("de_AT", "EUR", "€ 1.234,50"),
        ("en_GB", "GBP", "£1,234.50"),
        ("en", "JPY", "¥1,234"),
        ("xx", "CHF", "CHF1,234.50"),
    ],
)
def test_money_is_written_as_the_shops_country_does(locale: str, currency: str, expected: str) -> None:
    rendered = mail({**MUG, "price": "1234.50", "quantity": 1}, storefront=shop(locale=locale, currency=currency))
    assert expected in rendered.text.replace("\u00a0", " ")


def test_an_order_in_another_currency_is_shown_in_its_own() -> None:
    assert "$18.50" in mail(MUG, currency="USD").text


def test_amounts_are_exact() -> None:
    rendered = mail({**MUG, "price": "0.1", "quantity": 3})
    assert "€0.30" in rendered.text
    assert Decimal("0.1") * 3 == Decimal("0.3")


def test_without_a_link_of_its_own_a_cart_leads_to_the_shops_cart_and_else_to_the_shop() -> None:
    assert "https://shop.example/cart" in Links(mail(MUG).html).links
    assert "Return to your cart (https://shop.example)" in mail(MUG, storefront=shop(cart_url=None)).text


def test_of_items_that_a_browser_named_only_their_number_is_told() -> None:
    rendered = mail(
        {"product_id": "WIN-A-PRIZE-at-evil", "quantity": 2}, {"sku": "x", "variant": "call me", "quantity": 1}
    )
    for part in (rendered.html, rendered.text):
        assert "WIN-A-PRIZE" not in part
        assert "call me" not in part
    assert "3 things are waiting in your cart" in rendered.text


def test_unnamed_items_beside_named_ones_are_counted() -> None:
    assert "and 3 more" in mail(MUG, {"product_id": "p2", "quantity": 3}).text


def test_what_only_a_browser_said_of_the_customer_is_not_in_the_mail() -> None:
    rendered = mail(MUG, claims={"first_name": "Visit evil.example"})
    assert "evil" not in rendered.html + rendered.text + rendered.subject
    assert "Ada" in mail(MUG, traits={"first_name": "Ada"}).subject


@pytest.mark.parametrize("template", ["abandoned-cart", "thank-you"])
def test_braces_in_customer_data_stay_literal(template: str) -> None:
    follow_up = FOLLOW_UPS[template]
    name = "{{ 7 * 7 }}{% raw %}{{ shop.__class__ }}"
    rendered = mail({**MUG, "name": name}, traits={"first_name": name}, follow_up=follow_up)
    assert name in rendered.text
    assert "{{ 7 * 7 }}" in rendered.html
    assert "49" not in rendered.text


def test_markup_in_customer_data_is_text() -> None:
    evil = "</mj-text><script>alert(1)</script><mj-raw><img src=x onerror=alert(1)>"
    rendered = mail({**MUG, "name": evil, "variant": evil}, traits={"first_name": evil})
    tags = Links(rendered.html).tags
    assert "script" not in tags
    assert "mj-raw" not in tags
    assert "x" not in Links(rendered.html).links
    assert "<script>alert(1)</script>" in rendered.text


def test_a_quote_does_not_break_out_of_an_attribute() -> None:
    rendered = mail({**MUG, "url": 'https://shop.example/"onmouseover="alert(1)'})
    assert 'onmouseover="alert' not in rendered.html


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "data:text/html,<script>",
        "https:///no-host",
        "//shop.example/x",
        "https://shop.example/\nx",
        "https://shop.example\\@evil.example/",
        "ftp://shop.example/x",
        "https://[",
        "",
        7,
    ],
)
def test_only_web_addresses_become_links(url: object) -> None:
    assert safe_url(url) is None
    rendered = mail({**MUG, "url": url, "image_url": url}, url=str(url))
    assert all(
        link.startswith(("https://shop.example", "mailto:hello@", SAMPLE.base)) for link in Links(rendered.html).links
    )


def test_a_subject_is_one_line_of_plain_text() -> None:
    rendered = mail(MUG, traits={"first_name": "Tom & \r\nBcc: all@mail.example <b>"})
    assert rendered.subject == "Tom & Bcc: all@mail.example <b>, your cart is waiting"


def test_an_order_shows_its_number_but_not_an_events_id() -> None:
    assert mail(MUG, follow_up=THANK_YOU).subject == "Thank you for your order F-1042"
    assert mail(MUG, follow_up=THANK_YOU, key="018f6e1c-4b1d-7c6e-9d53-5b8f4f0a9c11").subject == (
        "Thank you for your order"
    )


def test_marketing_says_how_to_stop_it_and_a_thank_you_need_not() -> None:
    assert {SAMPLE.unsubscribe, SAMPLE.preferences} <= set(Links(mail(MUG).html).links)
    assert "nsubscribe" not in mail(MUG, follow_up=THANK_YOU).html


def test_a_mail_loads_nothing_but_the_shops_pictures() -> None:
    page = mail(MUG, storefront=shop(look=Look(logo="https://shop.example/logo.png"))).html
    assert "fonts.googleapis" not in page
    assert "https://shop.example/logo.png" in Links(page).links


@pytest.mark.parametrize(("colour", "ink"), [("#1f4b3f", "#ffffff"), ("#ffd84d", "#1c1c1a")])
def test_a_button_can_be_read_on_any_colour(colour: str, ink: str) -> None:
    content = about(ABANDONED_CART, shop(look=Look(colour=colour)), Profile(), Subject())
    assert content.shop.ink == ink


def test_a_long_cart_is_cut_and_says_so() -> None:
    items = [{**MUG, "name": f"Thing {n}", "quantity": 1} for n in range(40)]
    rendered = mail(*items)
    assert "and 28 more" in rendered.text
    assert "Thing 20" not in rendered.text


@pytest.mark.parametrize("quantity", [0, -4, "many", None, 10**30])
def test_a_quantity_that_makes_no_sense_does_no_harm(quantity: object) -> None:
    assert "Stoneware Mug" in mail({**MUG, "quantity": quantity}).text


@pytest.mark.parametrize("price", ["NaN", "Infinity", "free", None, {}])
def test_a_price_that_makes_no_sense_is_left_out(price: object) -> None:
    text = mail({**MUG, "price": price}).text
    assert "2 pieces" in text
    assert "€" not in text


def test_the_shops_own_template_stands_before_ours(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "abandoned-cart.mjml").write_text(
        "{% extends 'base.mjml' %}{% block subject %}Oi {{ shop.name }}{% endblock %}"
        "{% block content %}<mj-section><mj-column><mj-text>Ours</mj-text></mj-column></mj-section>{% endblock %}"
    )
    rendered = mail(MUG, directory=tmp_path)
    assert rendered.subject == "Oi Fern & Fable"
    assert "Ours" in rendered.text


HEAD = (
    "<mjml><mj-head><mj-title>{% block subject %}x{% endblock %}</mj-title></mj-head><mj-body><mj-section><mj-column>"
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{% block subject %}{{ nmae }}{% endblock %}<mjml><mj-body></mj-body></mjml>", "nmae"),
        ("<mjml><mj-body></mj-body></mjml>", "subject"),
        ("{% block subject %}x{% endblock %}<mjml><mj-body>", "MJML"),
        ("{% block subject %}x{% endblock %}{% if %}", "xpected an expression"),
        (
            HEAD + "<mj-button href='javascript:x()'>x</mj-button></mj-column></mj-section></mj-body></mjml>",
            "javascript",
        ),
        ("{% block subject %}{{ shop.__class__.__mro__ }}{% endblock %}<mjml><mj-body></mj-body></mjml>", "__class__"),
    ],
)
def test_a_template_that_is_wrong_is_told_before_anything_is_sent(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "abandoned-cart.mjml").write_text(body)
    with pytest.raises(RenderError):
        mail(MUG, directory=tmp_path)
    with pytest.raises(ShopError, match="abandoned-cart") as caught:
        try_out(Renderer(tmp_path), ABANDONED_CART, shop())
    assert said in str(caught.value)
