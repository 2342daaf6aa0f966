"""Where a shop wants to know what is clicked and opened: the mail says the same, and every link still leads there."""

import html
import re
from urllib.parse import urlsplit

from notifier.links import SAMPLE, Act, Signer, Token
from notifier.render import Rendered
from notifier.tracking import tracked
from tests.unit.notifier.builders import NOON

OURS = SAMPLE.unsubscribe
MAIL = Rendered(
    subject="Your cart",
    html=(
        '<body><p>Hello</p><a class="b" href="https://shop.example/cart?a=1&amp;b=2">Cart</a>'
        '<a href="https://shop.example/cart">Shop</a><a href="mailto:a@shop.example">Write</a>'
        f'<a href="{OURS}">Unsubscribe</a><img src="https://shop.example/mug.jpg"></body>'
    ),
    text=(
        "Cart (https://shop.example/cart?a=1&b=2)\nShop (https://shop.example/cart)\n"
        f"Write (mailto:a@shop.example)\nUnsubscribe ({OURS})\n"
    ),
)
SIGNER = Signer("of a sample: opens nothing")


def leads_to(link: str) -> str:
    _, _, act, text = urlsplit(link).path.split("/")
    if act != Act.CLICK:
        return link
    token = SIGNER.read(Act.CLICK, text, NOON)
    assert isinstance(token, Token)
    return token.detail


def hrefs(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]


def test_every_link_to_a_page_leads_there_by_way_of_us_in_both_parts() -> None:
    mail = tracked(MAIL, SAMPLE, clicks=True, opens=False)
    changed = [link for link in hrefs(mail.html) if "/m/click/" in link]
    assert [leads_to(link) for link in changed] == ["https://shop.example/cart?a=1&b=2", "https://shop.example/cart"]
    in_text = re.findall(r"\((\S+)\)", mail.text)
    assert [leads_to(link) if link.startswith("http") else link for link in in_text] == re.findall(
        r"\((\S+)\)", MAIL.text
    )
    assert [link for link in in_text if "/m/click/" in link] == changed


def test_what_leads_to_our_own_pages_or_to_no_page_stays_as_do_pictures() -> None:
    mail = tracked(MAIL, SAMPLE, clicks=True, opens=False)
    assert {OURS, "mailto:a@shop.example"} <= set(hrefs(mail.html))
    assert 'src="https://shop.example/mug.jpg"' in mail.html
    assert mail.subject == MAIL.subject


def test_the_picture_is_there_only_where_opening_is_asked_for() -> None:
    mail = tracked(MAIL, SAMPLE, clicks=False, opens=True)
    assert mail.html.count(html.escape(SAMPLE.pixel)) == 1
    assert mail.html.endswith("</body>")
    assert mail.text == MAIL.text


def test_without_either_the_mail_is_what_it_was() -> None:
    assert tracked(MAIL, SAMPLE, clicks=False, opens=False) == MAIL
