"""The mailbox, asked as its clients ask: over SMTP and over HTTP, on this machine's own sockets."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import pytest

from services.devstack.mailbox.http import create_app
from services.devstack.mailbox.refusals import Action, Refusal, Refusals, Stage
from services.devstack.mailbox.smtp import MailboxSmtp
from services.devstack.mailbox.store import MessageStore
from services.process import Readiness


@dataclass
class Box:
    store: MessageStore
    refusals: Refusals
    smtp_port: int
    http: httpx2.AsyncClient

    async def send(self, message: EmailMessage, *, timeout: float = 5) -> None:  # noqa: ASYNC109  the client's own
        await aiosmtplib.send(message, hostname="127.0.0.1", port=self.smtp_port, start_tls=False, timeout=timeout)

    async def messages(self, **query: int) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.http.get("/api/v1/messages", params=query)).json()
        return answer

    async def refuse(self, **refusal: Any) -> None:  # noqa: ANN401  any JSON
        assert (await self.http.put("/api/v1/refusals", json=refusal)).status_code == 200


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    store, refusals = MessageStore(tmp_path), Refusals()
    server = await asyncio.get_running_loop().create_server(lambda: MailboxSmtp(store, refusals), "127.0.0.1", 0)
    transport = httpx2.ASGITransport(create_app(store, refusals, Readiness()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mailbox") as http:
        yield Box(store, refusals, server.sockets[0].getsockname()[1], http)
    server.close()


def mail(subject: str = "Grüße", to: str = "Ada <ada@example.com>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Fern & Fable <hello@shop.example>", to, subject
    message["Message-ID"] = "<one@shop.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content("Hello\n.a line with a dot\n")
    message.add_alternative("<p>Hello</p>", subtype="html")
    return message


async def test_a_message_is_listed_in_mailpit_s_shape(box: Box) -> None:
    await box.send(mail())
    page = await box.messages()
    assert {name: page[name] for name in ("total", "count", "messages_count", "start")} == {
        "total": 1,
        "count": 1,
        "messages_count": 1,
        "start": 0,
    }
    (listed,) = page["messages"]
    assert listed["MessageID"] == "one@shop.example"
    assert listed["From"] == {"Name": "Fern & Fable", "Address": "hello@shop.example"}
    assert listed["To"] == [{"Name": "Ada", "Address": "ada@example.com"}]
    assert listed["Subject"] == "Grüße"
    assert listed["Snippet"] == "Hello .a line with a dot"
    assert listed["Created"].endswith("Z")


async def test_one_message_has_its_text_html_and_headers(box: Box) -> None:
    await box.send(mail())
    id_ = (await box.messages())["messages"][0]["ID"]
    message = (await box.http.get(f"/api/v1/message/{id_}")).json()
    assert message["Text"] == "Hello\n.a line with a dot\n"
    assert message["HTML"] == "<p>Hello</p>\n"
    assert message["Date"] == "2026-11-22T09:00:00.000Z"
    assert message["ReturnPath"] == "hello@shop.example"
    headers = (await box.http.get(f"/api/v1/message/{id_}/headers")).json()
    assert headers["Message-ID"] == ["<one@shop.example>"]
    assert headers["X-Envelope-To"] == ["ada@example.com"]
    assert (await box.http.get("/api/v1/message/latest")).json()["ID"] == id_


async def test_an_unknown_message_is_a_404(box: Box) -> None:
    answer = await box.http.get("/api/v1/message/..%2F..%2Fetc")
    assert answer.status_code == 404
    assert (await box.http.get("/api/v1/message/nothing")).json()["code"] == "not_found"


async def test_the_newest_comes_first_and_pages_are_cut(box: Box) -> None:
    for number in range(5):
        await box.send(mail(f"Number {number}"))
    page = await box.messages(start=1, limit=2)
    assert [m["Subject"] for m in page["messages"]] == ["Number 3", "Number 2"]
    assert (page["total"], page["count"], page["start"]) == (5, 2, 1)
    assert (await box.http.get("/api/v1/messages?limit=x")).status_code == 400


async def test_messages_outlive_the_process_until_they_are_deleted(box: Box, tmp_path: Path) -> None:
    await box.send(mail())
    assert len(MessageStore(tmp_path)) == 1
    await box.http.delete("/api/v1/messages")
    assert (await box.messages())["total"] == 0
    assert len(MessageStore(tmp_path)) == 0


async def test_a_message_without_anything_is_kept_too(box: Box) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=box.smtp_port, start_tls=False) as client:
        await client.sendmail("a@example.com", ["b@example.com"], b"Date: nonsense\r\n\r\n\xff\xfe")
    (listed,) = (await box.messages())["messages"]
    assert listed["From"] == {"Name": "", "Address": ""}
    assert (await box.http.get(f"/api/v1/message/{listed['ID']}")).status_code == 200


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "after-dot"])
@pytest.mark.parametrize("code", [450, 550, 552])
async def test_a_refusal_is_answered_at_its_stage_and_nothing_is_kept(box: Box, stage: str, code: int) -> None:
    await box.refuse(address="*", stage=stage, code=code, message="not today")
    with pytest.raises((aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused)) as refused:
        await box.send(mail())
    answer = refused.value
    if isinstance(answer, aiosmtplib.SMTPRecipientsRefused):
        answer = answer.recipients[0]
    assert (answer.code, answer.message) == (code, "not today")
    assert len(box.store) == 0


async def test_a_greeting_can_be_refused(box: Box) -> None:
    await box.refuse(stage="connect", code=421, message="too busy")
    with pytest.raises(aiosmtplib.SMTPConnectResponseError, match="too busy"):
        await box.send(mail())


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data"])
async def test_a_connection_dropped_before_the_dot_keeps_nothing(box: Box, stage: str) -> None:
    await box.refuse(stage=stage, action="drop")
    with pytest.raises((aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError)):
        await box.send(mail())
    assert len(box.store) == 0


async def test_a_connection_dropped_after_the_dot_has_kept_the_message(box: Box) -> None:
    await box.refuse(stage="after-dot", action="drop")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await box.send(mail())
    assert len(box.store) == 1


async def test_a_server_that_hangs_after_the_dot_has_kept_the_message(box: Box) -> None:
    await box.refuse(stage="after-dot", action="hang")
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await box.send(mail(), timeout=0.3)
    assert len(box.store) == 1


async def test_421_ends_the_connection(box: Box) -> None:
    await box.refuse(stage="rcpt", code=421, message="going away")
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=box.smtp_port, start_tls=False)
    await client.connect()
    await client.mail("a@example.com")
    with pytest.raises(aiosmtplib.SMTPResponseException, match="going away"):
        await client.rcpt("b@example.com")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()


async def test_others_are_not_refused(box: Box) -> None:
    await box.refuse(address="Bob@Example.com", code=550)
    await box.send(mail(to="ada@example.com"))
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await box.send(mail(to="bob@example.com"))
    assert len(box.store) == 1


async def test_a_refusal_holds_for_its_times(box: Box) -> None:
    await box.refuse(code=450, times=2)
    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await box.send(mail())
    await box.send(mail())
    assert (await box.http.get("/api/v1/refusals")).json() == []


async def test_refusals_are_deleted(box: Box) -> None:
    await box.refuse(code=550)
    await box.http.delete("/api/v1/refusals")
    await box.send(mail())
    assert len(box.store) == 1


@pytest.mark.parametrize(
    "wrong", [{"code": 200}, {"stage": "never"}, {"message": "two\r\nlines"}, {"unknown": 1}, {"times": 0}]
)
async def test_a_refusal_that_cannot_be_meant_is_a_400(box: Box, wrong: dict[str, Any]) -> None:
    answer = await box.http.put("/api/v1/refusals", json=wrong)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"


def test_the_newest_refusal_counts_and_replaces_its_like() -> None:
    refusals = Refusals()
    refusals.add(Refusal(code=550))
    refusals.add(Refusal(address="a@b.c", code=450, action=Action.REFUSE))
    refusals.add(Refusal(address="a@b.c", code=421))
    assert len(refusals.all) == 2
    found = refusals.take(Stage.RCPT, ["a@b.c"])
    assert found is not None
    assert found.code == 421


async def test_the_page_runs_only_its_own_script_and_shows_mail_without_scripts(box: Box) -> None:
    page = await box.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert 'sandbox="allow-popups' in page.text
    assert "allow-scripts" not in page.text
    assert "allow-same-origin" not in page.text
    for file in ("/page.js", "/page.css"):
        assert (await box.http.get(file)).status_code == 200
