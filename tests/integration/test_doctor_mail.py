"""`stagepost doctor mail` against a real name server and a real mail server of this process."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.integration.notifier_world import smtp_server
from tests.unit.notifier.test_doctor_records import key

SHOP = """\
main-shop:
  name: Fern
  url: https://shop.example
  currency: EUR
  timezone: Europe/Berlin
  sender: {name: Fern, email: hello@news.shop.example}
"""
Zone = Mapping[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone; a name that is not in it does not exist."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        (question,) = query.question
        name = question.name.to_text().rstrip(".")
        records = self.zone.get((name, question.rdtype.name), [])
        if records:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype.name, *records))
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def name_server(zone: Zone) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(zone), local_addr=("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


def texts(*said: str) -> list[str]:
    """As they stand in a zone: in parts of 255."""
    return [" ".join(f'"{one[at : at + 255]}"' for at in range(0, len(one), 255)) for one in said]


GOOD: Zone = {
    ("news.shop.example", "TXT"): texts("v=spf1 include:_spf.relay.example ~all", "verification=1"),
    ("_spf.relay.example", "TXT"): texts("v=spf1 ip4:192.0.2.0/24 ~all"),
    ("s1._domainkey.news.shop.example", "TXT"): texts(key(2048)),
    ("_dmarc.shop.example", "TXT"): texts("v=DMARC1; p=quarantine"),
    ("news.shop.example", "MX"): ["20 b.shop.example.", "10 a.shop.example."],
}


async def doctor(folder: Path, server: str, port: int, *more: str, **settings: str) -> tuple[int, str]:
    """The command itself; its exit code and what it said."""
    (folder / "storefronts.yaml").write_text(SHOP, encoding="utf-8")
    smtp = {"HOST": "127.0.0.1", "PORT": str(port), "SECURITY": "none", "TIMEOUT": "2s", **settings}
    env = {**os.environ, **{f"STAGEPOST_SMTP__{name}": value for name, value in smtp.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        *("doctor", "mail", "--shop", str(folder), "--server", server, *more),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_all_is_well(tmp_path: Path) -> None:
    signer, own = tmp_path / "signer.pem", tmp_path / "own.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(signer)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)

    def let_in(_: object, __: object, ___: object, ____: object, given: LoginPassword) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"stagepost", b"right"), handled=False)

    async with (
        name_server(GOOD) as names,
        smtp_server(tls=context, authenticator=let_in, auth_require_tls=True) as server,
    ):
        secure = {"SECURITY": "starttls", "CA_FILE": str(signer), "USERNAME": "stagepost"}
        code, said = await doctor(tmp_path, names, server.port, "--selector", "s1", PASSWORD="right", **secure)
        assert code == 0, said
        assert said.count("ok ") == 5, said
        assert "TLSv1" in said
        assert "lets us in" in said
        assert "a.shop.example, b.shop.example" in said
        code, said = await doctor(tmp_path, names, server.port, "--selector", "s1", PASSWORD="wrong", **secure)
        assert code == 2
        assert "does not let us in" in said
        assert "wrong" not in said
        code, said = await doctor(tmp_path, names, server.port, "--selector", "s1", SECURITY="starttls")
        assert code == 2
        assert "CA_FILE" in said


async def test_what_is_missing_is_written_out(tmp_path: Path) -> None:
    async with name_server({}) as names, smtp_server() as server:
        code, said = await doctor(tmp_path, names, server.port, "--selector", "s1")
    assert code == 2
    assert 'news.shop.example. TXT "v=spf1 include:YOUR-RELAY ~all"' in said
    assert '_dmarc.news.shop.example. TXT "v=DMARC1; p=none' in said
    assert "s1._domainkey.news.shop.example." in said
    assert "MX 10" in said
    assert "without TLS" in said


async def test_without_a_selector_the_usual_ones_are_tried_and_none_found_is_no_fault(tmp_path: Path) -> None:
    async with smtp_server() as server:
        async with name_server(GOOD) as names:
            code, said = await doctor(tmp_path, names, server.port)
            assert code == 0
            assert "selector s1: an RSA key of 2048 bits" in said
        without = {name: records for name, records in GOOD.items() if "_domainkey" not in name[0]}
        async with name_server(without) as names:
            code, said = await doctor(tmp_path, names, server.port)
            assert code == 0
            assert "--selector" in said


async def test_without_a_network_it_says_so_and_gives_no_verdict(tmp_path: Path) -> None:
    async with name_server({}) as names:
        gone = names
    async with smtp_server() as server:
        code, said = await doctor(tmp_path, gone, server.port)
    assert code == 1
    assert "no name server answered" in said
    assert not any(line.startswith("fault") for line in said.splitlines())


async def test_a_mail_server_that_is_away_is_a_fault_with_a_way_out(tmp_path: Path) -> None:
    async with smtp_server() as server:
        port = server.port
    async with name_server(GOOD) as names:
        code, said = await doctor(tmp_path, names, port, "--selector", "s1")
    assert code == 2
    assert "STAGEPOST_SMTP__HOST" in said
