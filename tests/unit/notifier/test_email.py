"""How a mail is put together, before any server sees it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

import pytest

from notifier.channels.email import Mail, build
from notifier.render import Rendered
from services.shop import Sender
from tests.unit.notifier.builders import NOON, uid


def mail(**changes: Any) -> Mail:  # noqa: ANN401  any of its fields
    return Mail(
        **{
            "id": uid("message"),
            "sender": Sender(name="Fern & Fable", email="hello@shop.example"),
            "recipient": "ada@mail.example",
            "recipient_name": "Ada",
            "rendered": Rendered(subject="Your cart", html="<p>Grüße, 你好</p>", text="Grüße, 你好\n.\nend\n"),
            "marketing": True,
            "dated": NOON,
            "attempt": 1,
            **changes,
        }
    )


def received(sent: Mail) -> EmailMessage:
    """As the other side reads it: from bytes."""
    return cast("EmailMessage", message_from_bytes(build(sent).as_bytes(), policy=policy.default))


def test_message_id_and_date_are_the_same_at_every_attempt() -> None:
    first, second = received(mail()), received(mail(attempt=2))
    assert first["Message-ID"] == second["Message-ID"] == f"<{uid('message')}@shop.example>"
    assert first["Date"] == second["Date"]
    assert first["Date"].datetime == NOON


def test_it_has_a_text_part_before_its_html_part() -> None:
    parts = list(received(mail()).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert "你好" in parts[0].get_content()
    assert "你好" in parts[1].get_content()


def test_what_travels_is_ascii_in_short_lines() -> None:
    lines = build(mail(rendered=Rendered(subject="你" * 80, html="<p>" + "ü" * 5000, text="ü" * 5000))).as_bytes()
    assert lines.isascii()
    assert max(len(line) for line in lines.split(b"\r\n")) <= 998
    assert b"\n" not in lines.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", ["Ада Лавлейс", "愛", 'Zoë "Z" O\'Neil', "عائشة", "a@b, <c>"])
def test_any_script_may_stand_in_a_name(name: str) -> None:
    to = received(mail(recipient_name=name))["To"].addresses
    assert [(address.display_name, address.addr_spec) for address in to] == [(name, "ada@mail.example")]


@pytest.mark.parametrize("field", ["recipient_name", "subject", "sender"])
def test_a_line_break_never_becomes_a_header(field: str) -> None:
    evil = "Ada\r\nBcc: all@mail.example\r\n\r\nbody"
    changes: dict[str, Any] = {
        "recipient_name": {"recipient_name": evil},
        "subject": {"rendered": Rendered(subject=evil, html="<p>", text="")},
        "sender": {"sender": Sender(name=evil, email="hello@shop.example")},
    }[field]
    message = received(mail(**changes))
    assert message["Bcc"] is None
    assert len(message["To"].addresses) == 1
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "address",
    ["ada@mail.example\r\nBcc: x@mail.example", "ada@mail.example\n", "not one", "ada@mail.example, b@mail.example"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        build(mail(recipient=address))
    with pytest.raises(ValueError, match="no address"):
        build(mail(sender=Sender(name="x", email=address)))


def test_marketing_can_be_unsubscribed_by_the_mail_program_and_a_thank_you_need_not() -> None:
    assert received(mail())["List-Unsubscribe"] == "<mailto:hello@shop.example?subject=unsubscribe>"
    assert received(mail(marketing=False))["List-Unsubscribe"] is None
