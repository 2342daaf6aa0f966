"""`stagepost send-test`, the command itself, against a real mail server."""

import asyncio
import os
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from services.new_shop import write_shop
from tests.integration.notifier_world import Answering, smtp_server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_shop(tmp_path / "shop", "seven-stage")
    (tmp_path / "shop" / "followups.yaml").write_text("abandoned-cart: shipped\n")
    return tmp_path / "shop"


async def send_test(server: Answering, directory: Path, *said: str) -> tuple[int, str]:
    """The exit code, and what stood on the screen."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("stagepost"),
        *("send-test", "abandoned-cart", "--shop", directory, *said),
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("STAGEPOST_")},
            "STAGEPOST_SMTP__HOST": "127.0.0.1",
            "STAGEPOST_SMTP__PORT": str(server.port),
            "STAGEPOST_SMTP__SECURITY": "none",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_test_says_that_it_is_one_and_unsubscribes_nobody(directory: Path) -> None:
    async with smtp_server() as server:
        code, said = await send_test(server, directory, "--to", "you@mail.example", "--locale", "de", "--step", "1")
    assert (code, said) == (0, "sent to you@mail.example: 250 OK\n")
    (envelope,) = server.taken
    assert envelope.rcpt_tos == ["you@mail.example"]
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == "[Test] Ada, Ihr Warenkorb wartet"
    assert message["List-Unsubscribe"] is None
    body = message.get_body(("html",))
    assert body is not None
    assert "Meadow Linen Throw" in body.get_content()


async def test_what_is_no_address_is_refused_before_the_server_is_asked(directory: Path) -> None:
    async with smtp_server() as server:
        code, said = await send_test(server, directory, "--to", "you@mail.example\r\nBcc: all@mail.example")
    assert code == 2
    assert "is no address that a mail can go to" in said
    assert not server.lines


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [("450 busy", 1, "not sent, try again later: 450 busy"), ("550 no such user", 2, "refused it: 550 no such user")],
)
async def test_what_the_server_answers_is_told(directory: Path, answer: str, code: int, said: str) -> None:
    async with smtp_server() as server:
        server.at["RCPT"] = answer
        found, shown = await send_test(server, directory, "--to", "you@mail.example")
    assert found == code
    assert said in shown
    assert server.taken == []


async def test_without_a_server_nothing_is_sent_and_it_says_so(directory: Path) -> None:
    async with smtp_server() as server:
        pass
    code, said = await send_test(server, directory, "--to", "you@mail.example")
    assert code == 1
    assert "can't be used; nothing was sent" in said
