"""Handing a mail to a real SMTP server: every way in which that can end."""

import asyncio
import ssl
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest
import trustme
from pydantic import SecretStr

from notifier.channels.channel import Parcel
from notifier.channels.email import EmailChannel
from notifier.outcomes import MAIL_PAUSES, Dead, Delivered, Outcome, RetryAt, Unknown
from notifier.render import Rendered
from notifier.settings import SmtpSettings
from tests.integration.notifier_world import Clock, smtp_server
from tests.unit.notifier.builders import parcel

RENDERED = Rendered(subject="Grüße", html="<p>Hi</p>", text="Hi\n.\n..\n.end\n")


def channel(port: int, clock: Clock, **changes: object) -> EmailChannel:
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": timedelta(seconds=1), **changes}
    return EmailChannel(SmtpSettings.model_validate(settings), clock)


def mail(attempt: int = 1) -> Parcel:
    return parcel(id=uuid4(), content=RENDERED, dated=Clock().now, attempt=attempt)


async def delivered(port: int, message: Parcel, clock: Clock) -> Outcome:
    sending = channel(port, clock)
    (connection,) = await sending.open(1)
    outcome = await connection.deliver(message, clock.now)
    await sending.give_back(connection)
    await sending.close()
    return outcome


async def test_a_mail_arrives_as_it_was_written_dots_and_all() -> None:
    async with smtp_server() as server:
        message = mail()
        assert isinstance(await delivered(server.port, message, Clock()), Delivered)
        (envelope,) = server.taken
        assert (envelope.mail_from, envelope.rcpt_tos) == ("hello@shop.example", ["ada@mail.example"])
        received = message_from_bytes(bytes(envelope.original_content or b""), policy=policy.default)
        text = received.get_body(("plain",))
        assert received["Message-ID"] == f"<{message.id}@shop.example>"
        assert text is not None
        assert text.get_content().replace("\r\n", "\n") == RENDERED.text


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["550 no such user <ada@mail.example>", "552 mailbox full"])
async def test_a_lasting_refusal_is_dead_and_does_not_keep_the_address(command: str, answer: str) -> None:
    async with smtp_server() as server:
        server.at[command] = answer
        outcome = await delivered(server.port, mail(), Clock())
        assert isinstance(outcome, Dead)
        assert outcome.why.startswith(answer[:3])
        assert "ada@" not in outcome.why


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ("550 5.1.1 no such user", True),
        ("550 5.2.1 disabled", True),
        ("550 5.7.1 not wanted", False),
        ("550 no", False),
    ],
)
async def test_only_a_server_that_says_so_has_no_such_address(answer: str, gone: bool) -> None:  # noqa: FBT001  a case
    async with smtp_server() as server:
        server.at["RCPT"] = answer
        outcome = await delivered(server.port, mail(), Clock())
        assert isinstance(outcome, Dead)
        assert outcome.no_such_address is gone


async def test_each_mails_bounces_go_to_an_address_of_its_own_where_there_is_a_mailbox_for_them() -> None:
    async with smtp_server() as server:
        message = mail()
        sending = channel(server.port, Clock(), bounces_to="bounces@mail.shop.example")
        (connection,) = await sending.open(1)
        assert isinstance(await connection.deliver(message, Clock().now), Delivered)
        await connection.quit()
        assert server.taken[0].mail_from == f"bounces+{message.id.hex}@mail.shop.example"


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["421 shutting down", "450 busy", "451 try again"])
async def test_a_passing_refusal_is_tried_again_later(command: str, answer: str) -> None:
    async with smtp_server() as server:
        server.at[command] = answer
        clock = Clock()
        outcome = await delivered(server.port, mail(), clock)
        assert isinstance(outcome, RetryAt)
        assert outcome.counted
        assert outcome.at > clock.now


async def test_passing_refusals_end_in_dead() -> None:
    async with smtp_server() as server:
        server.at["RCPT"] = "450 busy"
        assert isinstance(await delivered(server.port, mail(attempt=len(MAIL_PAUSES) + 1), Clock()), Dead)


async def test_a_refused_sender_does_not_bury_the_mail_to_everybody() -> None:
    async with smtp_server() as server:
        server.at["MAIL"] = "550 not allowed"
        assert isinstance(await delivered(server.port, mail(), Clock()), RetryAt)


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_connection_lost_before_the_content_is_tried_again_and_costs_no_attempt(command: str) -> None:
    async with smtp_server() as server:
        server.drop_at = command
        outcome = await delivered(server.port, mail(), Clock())
        assert isinstance(outcome, RetryAt)
        assert not outcome.counted


async def test_a_connection_lost_after_the_final_dot_is_unknown() -> None:
    async with smtp_server() as server:
        server.drop_at = "DATA"
        outcome = await delivered(server.port, mail(), Clock())
        assert isinstance(outcome, Unknown)
        assert len(server.taken) == 1, "the server has it, and we can't know"


async def test_silence_after_the_final_dot_is_unknown() -> None:
    async with smtp_server() as server:
        sending = channel(server.port, Clock(), timeout=timedelta(milliseconds=300))
        (connection,) = await sending.open(1)
        server.at["DATA"] = "250-still thinking"  # a line that promises another
        assert isinstance(await connection.deliver(mail(), Clock().now), Unknown)
        assert not connection.client.is_connected


async def test_a_refusal_leaves_the_connection_good_for_the_next_mail() -> None:
    async with smtp_server() as server:
        sending, clock = channel(server.port, Clock()), Clock()
        (connection,) = await sending.open(1)
        server.at["RCPT"] = "550 no"
        assert isinstance(await connection.deliver(mail(), clock.now), Dead)
        server.at.clear()
        assert isinstance(await connection.deliver(mail(), clock.now), Delivered)
        await sending.close()


async def test_connections_are_used_again() -> None:
    async with smtp_server() as server:
        clock = Clock()
        sending = channel(server.port, clock)
        for _ in range(5):
            (connection,) = await sending.open(1)
            assert isinstance(await connection.deliver(mail(), clock.now), Delivered)
            await sending.give_back(connection)
        await sending.close()
        assert len(set(map(id, server.sessions))) == 1


async def test_a_connection_that_was_idle_too_long_is_not_trusted() -> None:
    async with smtp_server() as server:
        clock = Clock()
        sending = channel(server.port, clock)
        for _ in range(2):
            (connection,) = await sending.open(1)
            assert isinstance(await connection.deliver(mail(), clock.now), Delivered)
            await sending.give_back(connection)
            clock.pass_by(timedelta(minutes=1))
        await sending.close()
        assert len(set(map(id, server.sessions))) == 2


async def test_a_server_that_is_away_is_left_alone_for_a_while() -> None:
    async with smtp_server() as server:
        port = server.port
    clock = Clock()
    sending = channel(port, clock)
    assert await sending.open(2) == []
    assert sending.resting
    clock.pass_by(timedelta(seconds=10))
    assert not sending.resting


@pytest.mark.parametrize("greeting", [b"", b"421 too busy\r\n", b"554 not you\r\n", b"220-wait\r\n"])
async def test_a_server_that_hangs_up_instead_of_greeting_is_left_alone_for_a_while(greeting: bytes) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        sending = channel(server.sockets[0].getsockname()[1], Clock())
        assert await sending.open(1) == []
        assert sending.resting


async def test_a_server_without_tls_gets_no_mail_unless_the_shop_says_so() -> None:
    async with smtp_server() as server:
        assert await channel(server.port, Clock(), security="starttls").open(1) == []
        (connection,) = await channel(server.port, Clock(), security="none").open(1)
        await connection.quit()


def test_tls_is_what_one_gets_without_a_word() -> None:
    assert SmtpSettings(host="mail.example").security == "starttls"


def test_a_password_never_travels_in_clear() -> None:
    with pytest.raises(ValueError, match="in clear"):
        SmtpSettings(host="mail.example", security="none", username="u", password=SecretStr("p"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Who signed, and the certificate of this machine's address with its key."""
    folder = tmp_path_factory.mktemp("tls")
    signer, own = folder / "signer.pem", folder / "own.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(signer)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
    return signer, own


async def test_mail_goes_over_starttls_to_a_server_whose_signer_is_trusted(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1])
    async with smtp_server(tls=context, require_starttls=True) as server:
        assert await channel(server.port, Clock(), security="starttls").open(1) == [], "an unknown signer"
        trusting = channel(server.port, Clock(), security="starttls", ca_file=certificate[0])
        (connection,) = await trusting.open(1)
        assert isinstance(await connection.deliver(mail(), Clock().now), Delivered)
        assert server.sessions[0].ssl is not None
        await connection.quit()
