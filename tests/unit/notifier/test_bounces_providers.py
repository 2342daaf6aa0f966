"""What providers post of bounces and complaints, in the shapes of their documentation, each with its signature."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from notifier.bounces import mailgun, postmark, sendgrid, ses
from notifier.bounces.amazon import whole
from notifier.bounces.report import Bounced, Complained, NotAReport, Report, noted
from tests.unit.notifier.builders import NOON

ID = UUID("3f2c1d9a-5b7e-4c11-9c0e-8a6d2f4b7e10")


def kinds(reports: tuple[Report, ...]) -> list[str]:
    assert all(report.message == ID for report in reports)
    assert not any("@" in report.note for report in reports)
    return ["complaint" if isinstance(r, Complained) else "hard" if r.hard else "soft" for r in reports]


def spoilt(body: bytes) -> bytes:
    """One byte changed."""
    return body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]


# SES

SIGNER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(name := x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")]))
    .issuer_name(name)
    .public_key(SIGNER.public_key())
    .serial_number(1)
    .not_valid_before(NOON - timedelta(days=1))
    .not_valid_after(NOON + timedelta(days=1))
    .sign(SIGNER, SHA256())
    .public_bytes(Encoding.PEM)
)
HEADERS = [{"name": "From", "value": "Fern <hello@shop.example>"}, {"name": "X-Stagepost-Message", "value": str(ID)}]


def sns(message: object, *, version: str = "2", **more: Any) -> bytes:  # noqa: ANN401  any field of SNS
    said: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:bounces",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-11-22T12:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem",
        **more,
    }
    confirms = said["Type"] != "Notification"
    names = ["Message", "MessageId", *(["SubscribeURL"] if confirms else ["Subject"]), "Timestamp"]
    names += [*(["Token"] if confirms else []), "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
    digest = SHA256() if version == "2" else SHA1()  # noqa: S303  as SNS signs by default
    said["Signature"] = base64.b64encode(SIGNER.sign(text.encode(), padding.PKCS1v15(), digest)).decode()
    return json.dumps(said).encode()


def bounce(kind: str, **mail: Any) -> dict[str, Any]:  # noqa: ANN401  any field of SES's `mail`
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": kind,
            "bounceSubType": "General",
            "bouncedRecipients": [
                {
                    "emailAddress": "ada@mail.example",
                    "status": "5.1.1",
                    "action": "failed",
                    "diagnosticCode": "smtp; 550 5.1.1 <ada@mail.example>... User",
                }
            ],
            "timestamp": "2026-11-22T12:00:00.000Z",
        },
        "mail": {"source": "hello@shop.example", "messageId": "0102018", "headers": HEADERS, **mail},
    }


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_ses_is_believed_by_its_signature(version: str, more: dict[str, str]) -> None:
    said = ses.notice(sns(bounce("Permanent"), version=version, **more))
    assert ses.verified(said, CERTIFICATE)
    assert kinds(ses.read(said)) == ["hard"]


def test_ses_is_not_believed_when_anything_was_changed() -> None:
    whole = json.loads(sns(bounce("Permanent"), Subject="x"))
    for name in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Signature"):
        changed = {**whole, name: whole[name][:-1] + ("A" if whole[name][-1] != "A" else "B")}
        assert not ses.verified(ses.notice(json.dumps(changed).encode()), CERTIFICATE), name
    assert not ses.verified(ses.notice(json.dumps(whole).encode()), b"no certificate")


def test_ses_asks_to_be_confirmed_and_signs_that_too() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    said = ses.notice(sns("You have chosen …", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t"))
    assert said.confirms
    assert ses.verified(said, CERTIFICATE)
    assert ses.read(said) == ()


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (bounce("Transient"), ["soft"]),
        (bounce("Undetermined"), ["soft"]),
        ({**bounce("Permanent"), "notificationType": "", "eventType": "Bounce"}, ["hard"]),
        (bounce("Permanent", headers=[{"name": "Message-ID", "value": f"<{ID}@shop.example>"}]), ["hard"]),
        (bounce("Permanent", headers=[]), []),
        (
            {
                "notificationType": "Complaint",
                "complaint": {"complaintFeedbackType": "abuse"},
                "mail": {"headers": HEADERS},
            },
            ["complaint"],
        ),
        ({"notificationType": "Delivery", "delivery": {}, "mail": {"headers": HEADERS}}, []),
        ({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "…"}, []),
    ],
)
def test_what_ses_says(message: dict[str, Any], found: list[str]) -> None:
    assert kinds(ses.read(ses.notice(sns(message)))) == found


@pytest.mark.parametrize(
    ("url", "is_theirs"),
    [
        ("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/x.pem", True),
        ("http://sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com.evil.example/x.pem", False),
        ("https://evil.example/sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://user@sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com:8443/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com@evil.example/x.pem", False),
        ("https://bucket.s3.amazonaws.com/x.pem", False),
        (None, False),
    ],
)
def test_a_certificate_comes_from_amazon_or_not_at_all(url: str | None, is_theirs: bool) -> None:  # noqa: FBT001  a case
    assert ses.is_amazons(url) is is_theirs


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem", True),
        ("/?Action=GetTopicAttributes&TopicArn=theirs", False),
        ("/?Action=GetTopicAttributes&x=/SimpleNotificationService-01.pem", False),
        ("/SimpleNotificationService-01.pem?Action=GetTopicAttributes", False),
        ("/theirs/SimpleNotificationService-01.pem", False),
        ("/x.pem", False),
    ],
)
def test_what_somebody_has_written_at_amazons_is_no_certificate(path: str, is_one: bool) -> None:  # noqa: FBT001  a case
    assert ses.is_certificate(f"https://sns.eu-west-1.amazonaws.com{path}") is is_one
    assert not ses.is_certificate(f"https://evil.example{path}")


async def test_a_certificate_that_comes_in_pieces_is_read_whole() -> None:
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())
    pieces = aiohttp.StreamReader(protocol, 2**16)
    reading = asyncio.create_task(whole(pieces))
    for start in range(0, len(CERTIFICATE), 100):
        pieces.feed_data(CERTIFICATE[start : start + 100])
        await asyncio.sleep(0)
    pieces.feed_eof()
    assert await reading == CERTIFICATE


@given(st.text())
def test_what_is_noted_of_a_report_can_be_kept(said: str) -> None:
    assert noted("5.1.1", said, "\x00").isprintable()


# SendGrid

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def test_sendgrid_is_believed_by_its_signature_alone() -> None:
    body, key = b'[{"event":"bounce"}]', sendgrid.public_key(PUBLIC)
    signature = base64.b64encode(PRIVATE.sign(b"1764500000" + body, ec.ECDSA(SHA256()))).decode()
    assert sendgrid.verified(body, signature, "1764500000", key)
    assert not sendgrid.verified(spoilt(body), signature, "1764500000", key)
    assert not sendgrid.verified(body, signature, "1764500001", key)
    for wrong in ("", "AAAA", "ü", signature[:-4]):
        assert not sendgrid.verified(body, wrong, "1764500000", key)


@pytest.mark.parametrize(
    ("age", "recent"),
    [
        (timedelta(), True),
        (timedelta(hours=24), True),
        (timedelta(hours=25), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-6), False),
    ],
)
def test_sendgrids_word_is_good_for_as_long_as_it_tries(age: timedelta, *, recent: bool) -> None:
    assert sendgrid.is_recent(str((NOON - age).timestamp()), NOON) is recent


@pytest.mark.parametrize("said", ["", "nan", "inf", "-inf", "yesterday", "1e400", "2026-11-22T12:00:00Z"])
def test_what_is_no_time_is_not_recent(said: str) -> None:
    assert not sendgrid.is_recent(said, NOON)


@pytest.mark.parametrize(
    ("said", "recent"),
    [
        ("2026-11-22T12:00:00.000Z", True),
        ("2026-11-22T10:30:00.000Z", True),
        ("2026-11-22T10:00:00.000Z", False),
        ("2026-11-21T12:00:00.000Z", False),
        ("2026-11-22T12:06:00.000Z", False),
        ("0001-01-01T00:00:00", False),
        ("noon", False),
        ("", False),
    ],
)
def test_a_notice_of_sns_is_good_for_as_long_as_it_tries(said: str, *, recent: bool) -> None:
    assert ses.is_recent(ses.notice(sns(bounce("Permanent"), Timestamp=said)), NOON) is recent


@pytest.mark.parametrize("text", ["", "AAAA", "no base64", base64.b64encode(CERTIFICATE).decode()])
def test_sendgrids_key_is_looked_at_when_it_is_set(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each is said in the library's own words
        sendgrid.public_key(text)


def test_what_sendgrid_says() -> None:
    mail = {
        "email": "ada@mail.example",
        "timestamp": 1513299569,
        "smtp-id": f"<{ID}@shop.example>",
        "sg_message_id": "14c5",
    }
    events = [
        {**mail, "event": "processed"},
        {**mail, "event": "deferred", "response": "400 try again later", "attempt": "5"},
        {
            **mail,
            "event": "bounce",
            "reason": "500 unknown recipient ada@mail.example",
            "status": "5.0.0",
            "type": "bounce",
        },
        {**mail, "event": "bounce", "reason": "blocked by policy", "status": "5.7.1", "type": "blocked"},
        {**mail, "event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
        {**mail, "event": "dropped", "reason": "Unsubscribed Address"},
        {"email": "ada@mail.example", "event": "spamreport", "stagepost": str(ID)},
        {"email": "ada@mail.example", "event": "spamreport"},
    ]
    assert kinds(sendgrid.read(json.dumps(events).encode())) == ["hard", "soft", "hard", "complaint"]


# Postmark


def test_postmark_is_believed_by_the_password_in_its_url() -> None:
    given = "Basic " + base64.b64encode(b"postmark:s3cret").decode()
    assert postmark.verified(given, "postmark:s3cret")
    for wrong in (
        "",
        "Basic",
        "Basic ü",
        given[:-2],
        given.replace("Basic", "Bearer"),
        "Basic " + base64.b64encode(b"postmark:").decode(),
    ):
        assert not postmark.verified(wrong, "postmark:s3cret")


@pytest.mark.parametrize(
    ("record", "kind", "found"),
    [
        ("Bounce", "HardBounce", ["hard"]),
        ("Bounce", "BadEmailAddress", ["hard"]),
        ("Bounce", "SoftBounce", ["soft"]),
        ("Bounce", "Blocked", ["soft"]),
        ("Bounce", "Transient", ["soft"]),
        ("Bounce", "AutoResponder", []),
        ("Bounce", "SpamNotification", ["complaint"]),
        ("SpamComplaint", "SpamComplaint", ["complaint"]),
        ("Delivery", "", []),
    ],
)
def test_what_postmark_says(record: str, kind: str, found: list[str]) -> None:
    said = {
        "RecordType": record,
        "ID": 4323372036854775807,
        "Type": kind,
        "TypeCode": 1,
        "Name": "Hard bounce",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "smtp;550 5.1.1 ada@mail.example",
        "Email": "ada@mail.example",
        "Metadata": {"stagepost": str(ID)},
    }
    assert kinds(postmark.read(json.dumps(said).encode())) == found
    del said["Metadata"]
    assert postmark.read(json.dumps(said).encode()) == (), "its MessageID is not ours"


# Mailgun

KEY = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0"


def signed(event: dict[str, Any], *, age: timedelta = timedelta()) -> bytes:
    timestamp, token = str(int((NOON - age).timestamp())), "c" * 50
    signature = hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return json.dumps(
        {"signature": {"timestamp": timestamp, "token": token, "signature": signature}, "event-data": event}
    ).encode()


def failed(severity: str, reason: str) -> dict[str, Any]:
    return {
        "event": "failed",
        "severity": severity,
        "reason": reason,
        "recipient": "ada@mail.example",
        "message": {"headers": {"message-id": f"{ID}@shop.example", "to": "ada@mail.example"}},
        "delivery-status": {"code": 550, "message": "5.1.1 <ada@mail.example> unknown", "attempt-no": 1},
        "user-variables": {},
    }


def test_mailgun_is_believed_by_its_signature_while_it_is_young() -> None:
    body = signed(failed("permanent", "bounce"))
    assert mailgun.verified(body, KEY, NOON)
    assert not mailgun.verified(body, KEY + "x", NOON)
    assert not mailgun.verified(body.replace(b'"ccc', b'"ccd'), KEY, NOON)
    assert not mailgun.verified(signed({}, age=timedelta(days=1)), KEY, NOON)
    assert not mailgun.verified(b"{}", KEY, NOON)


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (failed("permanent", "bounce"), ["hard"]),
        (failed("permanent", "suppress-bounce"), ["hard"]),
        (failed("permanent", "old"), ["soft"]),
        (failed("temporary", "generic"), []),
        ({**failed("", ""), "event": "complained"}, ["complaint"]),
        ({**failed("", ""), "event": "delivered"}, []),
        ({"event": "complained", "message": {"headers": {}}, "user-variables": {"stagepost": str(ID)}}, ["complaint"]),
        ({"event": "complained", "message": {"headers": {"message-id": "20130503@other.example"}}}, []),
    ],
)
def test_what_mailgun_says(event: dict[str, Any], found: list[str]) -> None:
    assert kinds(mailgun.read(signed(event))) == found


# All of them


@pytest.mark.parametrize("lies", [timedelta(), timedelta(hours=9)])
def test_a_report_of_mailgun_is_no_younger_than_its_signature_whatever_it_says_of_itself(lies: timedelta) -> None:
    """The signature covers its own time and nothing else."""
    body = signed({**failed("", ""), "event": "complained", "timestamp": NOON.timestamp()}, age=lies)
    assert [report.at for report in mailgun.read(body)] == [NOON - lies]


@pytest.mark.parametrize("said", ["", "soon", "2026-11-22T12:00:00", "0001-01-01T00:00:00+09:00", 7, 1e30, -1e30, True])
def test_a_report_that_tells_no_time_is_one_all_the_same(said: object) -> None:
    mail = {"event": "spamreport", "stagepost": str(ID), "timestamp": said}
    told = {"RecordType": "SpamComplaint", "Metadata": {"stagepost": str(ID)}, "BouncedAt": said}
    for reports in (
        sendgrid.read(json.dumps([mail]).encode()),
        postmark.read(json.dumps(told).encode()),
        mailgun.read(signed({**failed("", ""), "event": "complained", "timestamp": said})),
        ses.read(ses.notice(sns({**bounce("Permanent")}, Timestamp=str(said)))),
    ):
        assert len(kinds(reports)) == 1


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda said: json.dumps(said).encode()
    )
)
def test_whatever_is_posted_ends_as_a_value_or_a_refusal(body: bytes) -> None:
    for read in (mailgun.read, postmark.read, sendgrid.read, lambda raw: ses.read(ses.notice(raw))):
        with contextlib.suppress(NotAReport):
            assert all(isinstance(report, Bounced | Complained) for report in read(body))
    assert not mailgun.verified(body, KEY, NOON)


@pytest.mark.parametrize("bounce", [{"bouncedRecipients": ["x"]}, {"bounceType": 5}, []])
def test_what_has_another_shape_is_refused(bounce: object) -> None:
    said = {"notificationType": "Bounce", "bounce": bounce, "mail": {"headers": HEADERS}}
    with pytest.raises(NotAReport):
        ses.read(ses.notice(sns(said)))
