"""The dev stack does what it promises: real processes, started and ended as an operator would."""

import os
import re
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import aiosmtplib
import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
StartStack = Callable[..., Stack]
Eventually = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def ground(start_stack: StartStack) -> Iterator[Stack]:
    """What the services stand on, without them."""
    stack = start_stack("--only", "postgres,kafka,mailbox", "--restart", "--free-ports")
    stack.wait()
    yield stack
    stack.stop()


async def topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        found: list[str] = await admin.list_topics()
        return found
    finally:
        await admin.close()


async def send(smtp: str, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", "ada@example.com", subject
    message.set_content("Hello")
    host, port = smtp.split(":")
    await aiosmtplib.send(message, hostname=host, port=int(port), start_tls=False)


async def subjects(http: httpx.AsyncClient, mailbox: str) -> list[str]:
    return [m["Subject"] for m in (await http.get(f"{mailbox}/api/v1/messages")).json()["messages"]]


async def test_kafka_and_postgres_are_where_the_endpoints_say_and_are_migrated(ground: Stack) -> None:
    assert "storefront.events" in await topics(ground.endpoints["kafka"])
    connection = await asyncpg.connect(ground.endpoints["postgres"])
    assert (await connection.fetchval("SHOW server_version")).startswith("18.")
    assert await connection.fetchval("SELECT count(*) FROM public.alembic_version") == 1
    await connection.close()


async def test_asking_for_a_topic_does_not_make_it(ground: Stack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=ground.endpoints["kafka"])
    await admin.start()
    await admin.describe_topics(["never-made"])
    assert "never-made" not in await admin.list_topics()
    await admin.close()


async def test_postgres_wants_the_password(ground: Stack) -> None:
    wrong = re.sub(r":[^:@/]+@", ":guess@", ground.endpoints["postgres"])
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs Postgres as themselves")
def test_postgres_does_not_run_as_root(ground: Stack) -> None:
    assert Path(f"/proc/{ground.pid('postgres')}").stat().st_uid != 0


def test_no_secret_is_on_a_command_line(ground: Stack) -> None:
    lines = "\n".join(ground.processes())
    password = (ground.home / "keys" / "postgres-password").read_text(encoding="utf-8")
    assert "server.properties" in lines
    for secret in (password, ground.endpoints["write_key"], ground.endpoints["operator_key"]):
        assert secret not in lines


def test_keys_are_for_their_owner_only(ground: Stack) -> None:
    for path in (*(ground.home / "keys").iterdir(), ground.home / "endpoints.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_endpoints_for_people_show_no_secret(ground: Stack) -> None:
    said = ground.command("endpoints").stdout
    assert ground.endpoints["mailbox"] in said
    assert ground.endpoints["write_key"] not in said
    assert (ground.home / "keys" / "postgres-password").read_text(encoding="utf-8") not in said


def test_a_home_has_one_stack(ground: Stack) -> None:
    second = ground.command("up", "--only", "mailbox")
    assert second.returncode == 2
    assert "a stack runs in" in second.stderr


async def test_what_kafka_and_postgres_hold_outlives_kill_9(ground: Stack, eventually: Eventually) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=ground.endpoints["kafka"])
    await admin.start()
    await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    connection = await asyncpg.connect(ground.endpoints["postgres"])
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.close()

    async def topic_is_there() -> bool:
        try:
            return "kept" in await topics(ground.endpoints["kafka"])
        except KafkaError:
            return False

    async def table_is_there() -> bool:
        try:
            again = await asyncpg.connect(ground.endpoints["postgres"])
        except (OSError, asyncpg.PostgresError):
            return False
        found = await again.fetchval("SELECT to_regclass('kept')")
        await again.close()
        return found is not None

    ground.kill("kafka")
    ground.kill("postgres")
    for name in ("kafka", "postgres"):
        await eventually(partial(says, ground, f"{name} ended (killed by SIGKILL) and is started again"))
    await eventually(topic_is_there)
    await eventually(table_is_there)


async def says(stack: Stack, line: str) -> bool:
    return line in stack.said


async def test_mail_outlives_the_mailbox(ground: Stack, http: httpx.AsyncClient, eventually: Eventually) -> None:
    await send(ground.endpoints["smtp"], "Kept")
    before = ground.pid("mailbox")

    assert ground.command("restart", "mailbox").returncode == 0

    async def another_runs() -> bool:
        return ground.pid("mailbox") != before

    await eventually(another_runs)
    assert ground.command("endpoints", "--wait", "30").returncode == 0
    assert "Kept" in await subjects(http, ground.endpoints["mailbox"])


def test_only_what_runs_can_be_restarted(ground: Stack) -> None:
    answer = ground.command("restart", "ingest")
    assert answer.returncode == 2
    assert "no ingest runs" in answer.stderr


def test_two_homes_have_two_stacks_and_a_taken_port_gets_a_free_one(start_stack: StartStack) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8025))
            taken.listen()
        except OSError:
            """Somebody else has it, which is as good."""
        first, second = start_stack("--only", "mailbox"), start_stack("--only", "mailbox")
        first.wait()
        second.wait()
    ports = {stack.endpoints[name].rpartition(":")[2] for stack in (first, second) for name in ("mailbox", "smtp")}
    assert len(ports) == 4
    assert "8025" not in ports
    assert first.endpoints["write_key"] != second.endpoints["write_key"]
    first.stop()
    second.stop()


def test_a_home_keeps_its_keys_and_ports(start_stack: StartStack) -> None:
    first = start_stack("--only", "mailbox", "--free-ports")
    first.wait()
    first.stop()
    second = start_stack("--only", "mailbox", "--free-ports", home=first.home)
    second.wait()
    assert second.endpoints == first.endpoints
    second.stop()


def test_when_a_part_dies_all_stop_and_the_end_of_its_log_is_shown(start_stack: StartStack) -> None:
    stack = start_stack("--only", "postgres,mailbox", "--free-ports")
    stack.wait()
    stack.kill("mailbox")
    assert stack.process.wait(timeout=60) == 1
    assert "mailbox ended by itself (killed by SIGKILL)" in stack.said
    assert "Application startup complete" in stack.said
    assert stack.nothing_is_left()


def test_one_that_cannot_start_says_why(start_stack: StartStack) -> None:
    """Its folder is a file: nothing that a restart would mend."""
    home = Path(tempfile.mkdtemp(prefix="stagepost-test-"))
    (home / "mailbox").mkdir()
    (home / "mailbox" / "1.eml").mkdir()
    stack = start_stack("--only", "mailbox", "--free-ports", home=home)
    assert stack.process.wait(timeout=60) == 1
    assert "mailbox ended by itself (exit code 1)" in stack.said
    assert "IsADirectoryError" in stack.said


def test_a_shop_that_cannot_be_meant_starts_nothing(start_stack: StartStack, tmp_path: Path) -> None:
    (tmp_path / "storefronts.yaml").write_text("a-shop: {nam: A}", encoding="utf-8")
    stack = start_stack("--shop", str(tmp_path))
    assert stack.process.wait(timeout=60) == 2
    assert "storefronts.yaml:1:10 `nam` is not known here; did you mean `name`?" in stack.said
    assert not (stack.home / "run.json").exists()


def test_kill_9_of_the_parent_leaves_nothing(start_stack: StartStack) -> None:
    stack = start_stack("--only", "postgres,mailbox", "--free-ports")
    stack.wait()
    stack.process.kill()
    stack.process.wait()
    assert stack.nothing_is_left()


def test_down_stops_a_running_stack(start_stack: StartStack) -> None:
    stack = start_stack("--only", "postgres,mailbox", "--free-ports")
    stack.wait()
    assert stack.command("down").returncode == 0
    assert stack.process.wait(timeout=5) == 0
    assert stack.nothing_is_left()
    assert "Nothing runs" in stack.command("down").stdout


def test_down_stops_what_even_the_guardian_left(start_stack: StartStack) -> None:
    """A stopped process hears no signal; the guardian, who would have killed it in time, is dead as well."""
    stack = start_stack("--only", "postgres,mailbox", "--free-ports")
    stack.wait()
    mailbox = stack.pid("mailbox")
    os.kill(mailbox, signal.SIGSTOP)
    os.kill(guardian_of(stack), signal.SIGKILL)
    stack.process.kill()
    stack.process.wait()
    assert "Stopped mailbox, which was left behind." in stack.command("down").stdout
    assert stack.nothing_is_left()


def guardian_of(stack: Stack) -> int:
    return next(
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and f"guardian\0{stack.home}" in (entry / "cmdline").read_text(errors="replace")
    )


def test_down_spares_a_stranger_with_a_recycled_id(start_stack: StartStack) -> None:
    stack = start_stack("--only", "mailbox", "--free-ports")
    stack.wait()
    record = (stack.home / "run.json").read_text(encoding="utf-8")
    mailbox = stack.pid("mailbox")
    stack.stop()
    # As if the ids in an old record had been given to us.
    (stack.home / "run.json").write_text(
        record.replace(str(mailbox), str(os.getpid())).replace(str(stack.process.pid), str(os.getpid())),
        encoding="utf-8",
    )
    assert "Nothing runs" in stack.command("down").stdout


def test_waiting_ends_when_the_stack_has_gone(start_stack: StartStack) -> None:
    stack = start_stack("--only", "mailbox", "--free-ports")
    stack.wait()
    stack.stop()
    answer = stack.command("endpoints", "--wait", "1")
    assert answer.returncode == 1
    assert "does not run after 1 s" in answer.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user gets to what is theirs")
def test_postgres_runs_in_a_home_that_is_root_s_alone(start_stack: StartStack, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    home = closed / "home"
    home.mkdir(parents=True)
    closed.chmod(0o700)
    stack = start_stack("--only", "postgres", "--free-ports", home=home)
    stack.wait()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    stack.stop()
    data = (home / "postgres").resolve()
    assert (data / "data" / "PG_VERSION").exists()

    shutil.rmtree(home)
    home.mkdir()
    anew = start_stack("--only", "postgres", "--free-ports", home=home)
    anew.wait()
    anew.stop()
    shutil.rmtree(data)
