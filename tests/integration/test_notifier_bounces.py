"""A bounce or a complaint, from a provider's request to what it means: who may say it, and what is not sent then."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.bounces.routes import MOST_BYTES, BounceDesk
from notifier.bounces.sendgrid import SIGNATURE, TIMESTAMP
from notifier.bounces.settings import BounceSettings
from notifier.status import Status
from notifier.suppression import NOTHING, Why, lift, place_of, standing
from notifier.tables import customers, messages, metadata, outbox, suppressions
from services.http import answer_errors
from services.operator import bearer
from services.postgres import transaction
from tests.integration.notifier_world import Clock
from tests.unit.notifier.builders import NOON, uid
from tests.unit.notifier.test_bounces_dsn import dsn
from tests.unit.notifier.test_bounces_providers import CERTIFICATE, ID, bounce, sns

OPERATOR = "operator-key-of-a-test"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
SETTINGS = BounceSettings.model_validate(
    {
        "ses_topics": TOPIC,
        "sendgrid_key": PUBLIC,
        "postmark_login": "postmark:sixteen-letters-x",
        "mailgun_key": "key-of-mailgun",
    }
)


@pytest.fixture
async def engine(own_database: AsyncEngine) -> AsyncEngine:
    """With one message, sent to Ada."""
    async with transaction(own_database) as connection:
        for table in metadata.sorted_tables:
            await connection.execute(sa.delete(table))
        await connection.execute(
            sa.insert(customers).values(
                id=uid("ada"),
                storefront="main-shop",
                sequence=1,
                profile={"root": {"kind": "user_id", "value": "u-1"}},
                table_number=0,
            )
        )
        await connection.execute(
            sa.insert(messages).values(
                id=ID,
                storefront="main-shop",
                follow_up="abandoned-cart",
                step=1,
                channel="email",
                customer_id=uid("ada"),
                **{name: uid(name) for name in ("instance", "transition", "occasion", "cause")},
                status=Status.SENT,
                **dict.fromkeys(("at", "due_at", "expires_at", "created_at", "changed_at"), NOON),
                address="ada@mail.example",
                attempts=1,
                unknowns=0,
            )
        )
    return own_database


class Fetched:
    """What lies at Amazon's addresses, without Amazon."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, url: str) -> bytes | None:
        self.asked.append(url)
        return CERTIFICATE


@pytest.fixture
def fetched() -> Fetched:
    return Fetched()


def client(engine: AsyncEngine, fetched: Fetched, settings: BounceSettings = SETTINGS) -> httpx2.AsyncClient:
    app = FastAPI()
    answer_errors(app)
    desk = BounceDesk(engine, settings, fetched, Clock(NOON))
    app.include_router(desk.routes(bearer(SecretStr(OPERATOR))))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://notifier.test/v1/bounces")


def mailgun(event: str, **more: Any) -> bytes:  # noqa: ANN401  any field of Mailgun's
    timestamp = str(int(NOON.timestamp()))
    signature = hmac.new(b"key-of-mailgun", f"{timestamp}token".encode(), hashlib.sha256).hexdigest()
    said = {"event": event, "message": {"headers": {"message-id": f"{ID}@shop.example"}}, **more}
    return json.dumps(
        {"signature": {"timestamp": timestamp, "token": "token", "signature": signature}, "event-data": said}
    ).encode()


def sendgrid(event: dict[str, Any], at: datetime = NOON) -> tuple[bytes, dict[str, str]]:
    body, timestamp = json.dumps([event]).encode(), str(int(at.timestamp()))
    signature = base64.b64encode(PRIVATE.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return body, {SIGNATURE: signature, TIMESTAMP: timestamp}


POSTMARK = json.dumps({"RecordType": "Bounce", "Type": "HardBounce", "Metadata": {"stagepost": str(ID)}}).encode()
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"postmark:sixteen-letters-x").decode()}
MAIL = {"Authorization": f"Bearer {OPERATOR}"}
SENDGRID = sendgrid({"event": "bounce", "type": "bounce", "smtp-id": f"<{ID}@shop.example>"})
HARD: dict[str, tuple[bytes, dict[str, str]]] = {
    "dsn": (dsn(), MAIL),
    "ses": (sns(bounce("Permanent")), {}),
    "sendgrid": SENDGRID,
    "postmark": (POSTMARK, LOGIN),
    "mailgun": (mailgun("failed", severity="permanent", reason="bounce"), {}),
}


async def against(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with engine.connect() as connection:
        found = await connection.execute(sa.select(suppressions.c.scope, suppressions.c.why))
        return [(row.scope, row.why) for row in found]


async def stands(engine: AsyncEngine) -> list[tuple[str, str]]:
    place = place_of("main-shop", "ada@mail.example")
    async with engine.connect() as connection:
        found = (await standing(connection, [place])).get(place, NOTHING)
        return [(scope, why) for scope, why in found.by_scope.items()]


async def said(engine: AsyncEngine) -> list[tuple[str, dict[str, Any]]]:
    async with engine.connect() as connection:
        found = await connection.execute(sa.select(outbox.c.name, outbox.c.value).order_by(outbox.c.id))
        return [(row.name, json.loads(row.value)) for row in found]


@pytest.mark.parametrize("provider", HARD)
async def test_a_hard_bounce_stops_all_mail_to_the_address_and_is_said_of_the_customer(
    engine: AsyncEngine, fetched: Fetched, provider: str
) -> None:
    body, headers = HARD[provider]
    async with client(engine, fetched) as http:
        for _ in range(2):  # providers post again when they hear nothing
            answer = await http.post(f"/{provider}", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"reports": 1, "known": 1})
    assert await against(engine) == [("all", "hard_bounce")]
    ((name, event),) = await said(engine)
    assert name == "Message Bounced"
    assert event["properties"]["kind"] == "hard"
    assert "ada@mail.example" not in json.dumps(event), "an address would weld strangers to it"


@pytest.mark.parametrize(
    ("provider", "body", "headers"),
    [
        ("ses", sns({**bounce(""), "notificationType": "Complaint", "complaint": {}}), {}),
        ("mailgun", mailgun("complained"), {}),
        ("sendgrid", *sendgrid({"event": "spamreport", "stagepost": str(ID)})),
        ("postmark", POSTMARK.replace(b'"Bounce"', b'"SpamComplaint"'), LOGIN),
    ],
)
async def test_a_complaint_stops_marketing(
    engine: AsyncEngine, fetched: Fetched, provider: str, body: bytes, headers: dict[str, str]
) -> None:
    async with client(engine, fetched) as http:
        assert (await http.post(f"/{provider}", content=body, headers=headers)).json() == {"reports": 1, "known": 1}
    assert await against(engine) == [("marketing", "complaint")]
    assert [name for name, _ in await said(engine)] == ["Message Complained"]


async def test_a_soft_bounce_is_said_and_stops_nothing(engine: AsyncEngine, fetched: Fetched) -> None:
    async with client(engine, fetched) as http:
        await http.post("/dsn", content=dsn(status="5.2.2"), headers=MAIL)
    assert await against(engine) == []
    ((name, event),) = await said(engine)
    assert (name, event["properties"]["kind"]) == ("Message Bounced", "soft")


async def test_a_report_of_a_mail_that_others_sent_is_taken_and_changes_nothing(
    engine: AsyncEngine, fetched: Fetched
) -> None:
    strange = dsn().replace(str(ID).encode(), str(UUID(int=5)).encode())
    async with client(engine, fetched) as http:
        answer = await http.post("/dsn", content=strange, headers=MAIL)
    assert answer.json() == {"reports": 1, "known": 0}
    assert await against(engine) == []


@pytest.mark.parametrize("provider", HARD)
async def test_one_byte_changed_or_no_signature_is_a_401_and_changes_nothing(
    engine: AsyncEngine, fetched: Fetched, provider: str
) -> None:
    body, headers = HARD[provider]
    changed = {
        "dsn": (body, {"Authorization": f"Bearer {OPERATOR[:-1]}y"}),
        "ses": (body.replace(b"Permanent", b"Permanenu"), headers),
        "sendgrid": (body.replace(b"bounce", b"bouncf"), headers),
        "postmark": (body, {"Authorization": LOGIN["Authorization"][:-2] + "A="}),
        "mailgun": (body.replace(b'"token"', b'"tokem"', 2), headers),
    }[provider]
    async with client(engine, fetched) as http:
        assert (await http.post(f"/{provider}", content=changed[0], headers=changed[1])).status_code == 401
        if headers:
            assert (await http.post(f"/{provider}", content=body)).status_code == 401
    assert await against(engine) == []
    assert await said(engine) == []


@pytest.mark.parametrize(
    ("provider", "body", "headers"),
    [
        ("ses", sns(bounce("Permanent"), Timestamp="2026-11-22T09:59:59.000Z"), {}),
        ("ses", sns(bounce("Permanent"), Timestamp="2026-11-22T12:05:01.000Z"), {}),
        ("sendgrid", *sendgrid({"event": "bounce", "stagepost": str(ID)}, NOON - timedelta(hours=25, seconds=1))),
        ("sendgrid", *sendgrid({"event": "bounce", "stagepost": str(ID)}, NOON + timedelta(minutes=5, seconds=1))),
    ],
)
async def test_what_was_signed_longer_ago_than_its_sender_tries_is_refused_and_changes_nothing(
    engine: AsyncEngine, fetched: Fetched, provider: str, body: bytes, headers: dict[str, str]
) -> None:
    async with client(engine, fetched) as http:
        answer = await http.post(f"/{provider}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "stale")
    assert await against(engine) == []


def complaints(at: datetime) -> dict[str, tuple[bytes, dict[str, str]]]:
    """The same complaint of that time, by each who says when it was."""
    ses, postmark = {**bounce(""), "notificationType": "Complaint", "complaint": {}}, json.loads(POSTMARK)
    said = {"RecordType": "SpamComplaint", "BouncedAt": f"{at:%Y-%m-%dT%H:%M:%S}.2735393+00:00"}
    return {
        "ses": (sns(ses, Timestamp=at.isoformat()), {}),
        "sendgrid": sendgrid({"event": "spamreport", "stagepost": str(ID), "timestamp": int(at.timestamp())}),
        "postmark": (json.dumps(postmark | said).encode(), LOGIN),
        "mailgun": (mailgun("complained", timestamp=at.timestamp()), {}),
    }


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "postmark", "mailgun"])
async def test_a_complaint_that_is_said_again_does_not_stop_who_has_subscribed_since_and_a_new_one_does(
    engine: AsyncEngine, fetched: Fetched, provider: str
) -> None:
    async def comes(at: datetime) -> list[tuple[str, str]]:
        """What stands then."""
        body, headers = complaints(at)[provider]
        async with client(engine, fetched) as http:
            assert (await http.post(f"/{provider}", content=body, headers=headers)).json()["known"] == 1
        return await stands(engine)

    assert await comes(NOON - timedelta(hours=1)) == [("marketing", "complaint")]
    async with transaction(engine) as connection:
        place = place_of("main-shop", "ada@mail.example")
        since = NOON - timedelta(minutes=30)
        await lift(connection, place=place, why=[Why.COMPLAINT], because="they subscribed again", now=since)
    assert await comes(NOON - timedelta(hours=1)) == []
    assert await comes(NOON) == [("marketing", "complaint")]


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "postmark", "mailgun"])
async def test_who_is_not_expected_finds_no_door(engine: AsyncEngine, fetched: Fetched, provider: str) -> None:
    body, headers = HARD[provider]
    async with client(engine, fetched, BounceSettings()) as http:
        answer = await http.post(f"/{provider}", content=body, headers=headers)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert fetched.asked == []


async def test_a_topic_of_somebody_elses_is_refused_however_well_it_is_signed(
    engine: AsyncEngine, fetched: Fetched
) -> None:
    async with client(engine, fetched) as http:
        theirs = sns(bounce("Permanent"), TopicArn="arn:aws:sns:eu-west-1:666666666666:bounces")
        assert (await http.post("/ses", content=theirs)).status_code == 403
        elsewhere = sns(bounce("Permanent"), SigningCertURL="https://evil.example/cert.pem")
        assert (await http.post("/ses", content=elsewhere)).status_code == 401
    assert fetched.asked == [], "nothing is fetched from an address that a stranger names"
    assert await against(engine) == []


async def test_a_subscription_is_confirmed_once_its_signature_is_seen(engine: AsyncEngine, fetched: Fetched) -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    confirm = sns("You have chosen …", Type="SubscriptionConfirmation", SubscribeURL=url, Token="t")
    async with client(engine, fetched) as http:
        forged = confirm.replace(b"Token=t", b"Token=u")
        assert (await http.post("/ses", content=forged)).status_code == 401
        assert url not in fetched.asked
        assert (await http.post("/ses", content=confirm)).status_code == 200
    assert fetched.asked[-1] == url


async def test_what_is_too_large_or_no_report_is_refused(engine: AsyncEngine, fetched: Fetched) -> None:
    async with client(engine, fetched) as http:
        assert (await http.post("/dsn", content=b"x" * (MOST_BYTES + 1), headers=MAIL)).status_code == 413
        assert (await http.post("/dsn", content=b"Subject: hi\n\nhello", headers=MAIL)).status_code == 400
        assert (await http.post("/ses", content=b"{")).status_code == 400
