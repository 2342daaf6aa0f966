"""Mails that report of a mail, as real servers write them."""

import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.bounces.dsn import DEEPEST, MOST_READ, read
from notifier.bounces.report import Bounced, Complained, NotAReport, says_no_such_address

ID = UUID("3f2c1d9a-5b7e-4c11-9c0e-8a6d2f4b7e10")
ORIGINAL = f"""From: Fern <hello@shop.example>
To: <ada@mail.example>
Subject: Your cart
Message-ID: <{ID}@shop.example>
"""


def dsn(
    *,
    status: str = "5.1.1",
    diagnosis: str | None = None,
    action: str = "failed",
    returned: str = ORIGINAL,
    kind: str = "text/rfc822-headers",
    to: str = "hello@shop.example",
) -> bytes:
    """As Postfix writes it."""
    return f"""Return-Path: <>
Delivered-To: {to}
Date: Sun, 22 Nov 2026 12:00:00 +0000 (UTC)
From: MAILER-DAEMON@mx.mail.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F2.1/mx"
Message-Id: <20261122120000.4F2@mx.mail.example>

This is a MIME-encapsulated message.

--4F2.1/mx
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--4F2.1/mx
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.mail.example
X-Postfix-Sender: rfc822; hello@shop.example
Arrival-Date: Sun, 22 Nov 2026 11:59:59 +0000 (UTC)

Final-Recipient: rfc822; ada@mail.example
Original-Recipient: rfc822;ada@mail.example
Action: {action}
Status: {status}
Remote-MTA: dns; mail.example
Diagnostic-Code: smtp; 550 {diagnosis or status} <ada@mail.example>: Recipient address rejected:
    User unknown in virtual mailbox table

--4F2.1/mx
Content-Description: Undelivered Message Headers
Content-Type: {kind}

{returned}
--4F2.1/mx--
""".encode()


def arf(kind: str = "abuse") -> bytes:
    """As a mailbox provider's feedback loop writes it (RFC 5965)."""
    return f"""From: <feedback@mail.example>
To: <abuse@shop.example>
Subject: FW: Your cart
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.
--part
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <ada@mail.example>

--part
Content-Type: message/rfc822

{ORIGINAL}
Hello
--part--
""".encode()


def test_no_such_address_is_a_hard_bounce_and_the_note_has_no_address_in_it() -> None:
    (report,) = read(dsn())
    assert isinstance(report, Bounced)
    assert (report.message, report.hard) == (ID, True)
    assert "User unknown" in report.note
    assert "ada@" not in report.note


@pytest.mark.parametrize("status", ["5.2.2", "5.7.1", "5.0.0", "5.3.4", "5.5.0", "5.4.1", "4.4.1"])
def test_what_says_nothing_of_the_address_is_a_soft_one(status: str) -> None:
    (report,) = read(dsn(status=status))
    assert isinstance(report, Bounced)
    assert not report.hard


@pytest.mark.parametrize(("diagnosis", "hard"), [("5.1.1", True), ("5.2.2", False)])
def test_what_says_only_that_it_failed_is_read_by_what_the_far_side_answered(diagnosis: str, *, hard: bool) -> None:
    """Exim writes 5.0.0 whatever it was, and what the other server said beside it."""
    (report,) = read(dsn(status="5.0.0", diagnosis=diagnosis))
    assert isinstance(report, Bounced)
    assert report.hard is hard
    (other,) = read(dsn(status="5.7.1", diagnosis="5.1.1"))
    assert isinstance(other, Bounced)
    assert not other.hard, "whoever says more than that is believed"


@pytest.mark.parametrize("status", ["", "5.0.0"])
def test_where_the_far_side_answered_from_is_no_code(status: str) -> None:
    """A full mailbox would have suppressed a good address for good."""
    (report,) = read(dsn(status=status, diagnosis="host mx.mail.example[5.1.1.20] said: over quota"))
    assert isinstance(report, Bounced)
    assert not report.hard


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_what_has_not_failed_is_no_bounce(action: str) -> None:
    assert read(dsn(action=action)) == ()


def test_the_whole_mail_may_come_back() -> None:
    assert [report.message for report in read(dsn(returned=f"{ORIGINAL}\nHello", kind="message/rfc822"))] == [ID]


def test_a_relay_that_replaced_the_message_id_left_our_own_header() -> None:
    returned = f"Message-ID: <0102018@eu-west-1.amazonses.com>\nX-Stagepost-Message: {ID}\n"
    assert [report.message for report in read(dsn(returned=returned))] == [ID]


def test_without_the_mail_the_bounce_address_tells_of_which_it_is() -> None:
    returned = "Subject: Your cart\n"
    assert [report.message for report in read(dsn(returned=returned, to=f"bounces+{ID.hex}@shop.example"))] == [ID]
    assert read(dsn(returned=returned)) == (), "it may be of a mail that others sent"


def test_a_complaint_is_one() -> None:
    assert read(arf()) == (Complained(message=ID, note="abuse"),)
    assert read(arf("not-spam")) == ()


@pytest.mark.parametrize("kind", ["auth-failure", "virus"])
def test_what_a_machine_found_in_a_mail_is_nobodys_complaint(kind: str) -> None:
    assert read(arf(kind)) == ()


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"Subject: hi\n\nhello", b"Content-Type: multipart/report\n\n--"])
def test_another_mail_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAReport):
        read(raw)


def test_a_mail_in_a_mail_without_end_is_refused() -> None:
    """Anybody may write to the address that bounces go to."""
    mails = "Content-Type: message/rfc822\n\n" * 5000
    parts = "".join(f"--b{n}\nContent-Type: multipart/mixed; BOUNDARY*0 = b{n + 1}\n\n" for n in range(DEEPEST + 1))
    for within in (mails, parts):
        head = "Content-Type: multipart/report; report-type=delivery-status; boundary=b0\n\n--b0\n"
        with pytest.raises(NotAReport, match="deeper"):
            read((head + within).encode())


def test_of_a_long_mail_that_came_back_the_beginning_is_enough() -> None:
    whole = dsn(returned=ORIGINAL + "\nHello again" * 60_000, kind="message/rfc822")
    assert len(whole) > 2 * MOST_READ
    assert [report.message for report in read(whole)] == [ID]


def test_a_report_about_a_report_does_not_look_inside_what_came_back() -> None:
    inner = dsn().decode().replace("4F2.1/mx", "inner")
    other = f"Message-ID: <{UUID(int=7)}@shop.example>\n{inner}"
    assert {report.message for report in read(dsn(returned=other, kind="message/rfc822"))} == {UUID(int=7)}


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_whatever_is_cut_or_spoilt_ends_as_a_value_or_a_refusal(noise: bytes, at: int) -> None:
    whole = dsn()
    for raw in (whole[:at], whole[:at] + noise + whole[at:], noise):
        with contextlib.suppress(NotAReport):
            assert all(isinstance(report, Bounced | Complained) for report in read(raw))


@pytest.mark.parametrize(
    "said",
    [
        "550 5.1.1 no such user",
        "550 5.1.1 <x>: user unknown",
        "smtp; 550 5.1.10 null MX",
        "550-5.1.1 The account does not exist",
        "5.2.1",
        "no such user here (#5.1.1)",
        "user unknown, 5.1.1.",
        "mx.mail.example[5.2.2.20] said: 550 5.1.1 user unknown",
    ],
)
def test_a_server_that_says_so_at_once_is_understood_too(said: str) -> None:
    assert says_no_such_address(said)


@pytest.mark.parametrize(
    "said",
    [
        "550 no such user",
        "552 5.2.2 full",
        "192.15.1.1",
        "550 5.7.1 <5.1.1>",
        "550 host mx.mail.example[5.1.1.20] said: over quota",
        "host 192.5.1.1 said: 550 over quota",
        "host 10.5.2.1.example said: 550 over quota",
        "release 5.1.1.20261122 is full",
    ],
)
def test_a_number_that_only_looks_like_it_says_nothing(said: str) -> None:
    assert not says_no_such_address(said)
