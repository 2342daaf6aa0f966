"""How a mail is put together, before any server sees it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

import pytest
from msgspec.structs import replace

from notifier.bounces.report import message_in
from notifier.channels.channel import Parcel, Payload
from notifier.channels.email import MEANT_FOR, TRIAL, build, envelope_sender
from notifier.followups import Purpose
from notifier.render import Rendered
from services.contracts.storefront import Sender, Storefront
from tests.unit.notifier.builders import NOON, STOREFRONT, parcel, uid


def received(sent: Parcel) -> EmailMessage:
    """As the other side reads it: from bytes."""
    return cast("EmailMessage", message_from_bytes(build(sent).as_bytes(), policy=policy.default))


def from_(sender: Sender) -> Storefront:
    return replace(STOREFRONT, sender=sender)


def test_message_id_and_date_are_the_same_at_every_attempt() -> None:
    first, second = received(parcel()), received(parcel(attempt=2))
    assert first["Message-ID"] == second["Message-ID"] == f"<{uid('message')}@shop.example>"
    assert first["Date"] == second["Date"]
    assert first["Date"].datetime == NOON


def test_it_has_a_text_part_before_its_html_part() -> None:
    parts = list(received(parcel()).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert "你好" in parts[0].get_content()
    assert "你好" in parts[1].get_content()


def test_what_travels_is_ascii_in_short_lines() -> None:
    lines = build(parcel(content=Rendered(subject="你" * 80, html="<p>" + "ü" * 5000, text="ü" * 5000))).as_bytes()
    assert lines.isascii()
    assert max(len(line) for line in lines.split(b"\r\n")) <= 998
    assert b"\n" not in lines.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", ["Ада Лавлейс", "愛", 'Zoë "Z" O\'Neil', "عائشة", "a@b, <c>"])
def test_any_script_may_stand_in_a_name(name: str) -> None:
    to = received(parcel(name=name))["To"].addresses
    assert [(address.display_name, address.addr_spec) for address in to] == [(name, "ada@mail.example")]


@pytest.mark.parametrize("field", ["name", "subject", "sender"])
def test_a_line_break_never_becomes_a_header(field: str) -> None:
    evil = "Ada\r\nBcc: all@mail.example\r\n\r\nbody"
    changes: dict[str, Any] = {
        "name": {"name": evil},
        "subject": {"content": Rendered(subject=evil, html="<p>", text="")},
        "sender": {"storefront": from_(Sender(name=evil, email="hello@shop.example"))},
    }[field]
    message = received(parcel(**changes))
    assert message["Bcc"] is None
    assert len(message["To"].addresses) == 1
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "address",
    ["ada@mail.example\r\nBcc: x@mail.example", "ada@mail.example\n", "not one", "ada@mail.example, b@mail.example"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        build(parcel(address=address))
    with pytest.raises(ValueError, match="no address"):
        build(parcel(storefront=from_(Sender(name="x", email=address))))


def test_marketing_can_be_unsubscribed_by_the_mail_programs_own_button_and_a_thank_you_need_not() -> None:
    page = "https://mail.shop.example/m/unsubscribe/" + "Ab9_-" * 14
    sent = build(parcel(unsubscribe=page)).as_bytes()
    assert f"List-Unsubscribe: <{page}>,\r\n <mailto:hello@shop.example?subject=unsubscribe>\r\n".encode() in sent
    assert received(parcel(unsubscribe=page))["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    thanks = received(parcel(unsubscribe=page, purpose=Purpose.TRANSACTIONAL))
    assert thanks["List-Unsubscribe"] is None
    assert thanks["List-Unsubscribe-Post"] is None


def test_what_is_redirected_says_so_and_whom_it_was_meant_for_and_nobody_can_unsubscribe_them_by_it() -> None:
    message = received(
        parcel(address="team@shop.example", meant_for="a…@mail.example", unsubscribe="https://m.example/u")
    )
    assert message["To"].addresses[0].addr_spec == "team@shop.example"
    assert message["Subject"] == f"{TRIAL} Your cart"
    assert message[MEANT_FOR] == "a…@mail.example"
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None
    assert received(parcel())[MEANT_FOR] is None


def test_without_a_page_it_is_unsubscribed_by_mail_and_nothing_promises_a_button() -> None:
    message = received(parcel(unsubscribe=None))
    assert message["List-Unsubscribe"] == "<mailto:hello@shop.example?subject=unsubscribe>"
    assert message["List-Unsubscribe-Post"] is None


def test_what_is_for_programs_is_no_mail() -> None:
    with pytest.raises(ValueError, match="HTML and text"):
        build(parcel(content=Payload(body="{}")))


def test_each_mail_says_which_message_it_is_for_whoever_replaces_its_message_id() -> None:
    message = received(parcel())
    assert message["X-Stagepost-Message"] == message["X-PM-Metadata-stagepost"] == str(uid("message"))
    assert message["Feedback-ID"] == "abandoned-cart:marketing:main-shop:stagepost"


def test_bounces_go_to_the_sender_or_to_an_address_of_each_messages_own() -> None:
    assert envelope_sender(parcel(), None) == "hello@shop.example"
    own = envelope_sender(parcel(), "bounces@mail.shop.example")
    assert own == f"bounces+{uid('message').hex}@mail.shop.example"
    assert message_in(own) == uid("message")
    assert len(own.partition("@")[0]) <= 64, "more is no address"
